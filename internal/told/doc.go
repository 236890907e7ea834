// Package told says in plain words what logs tell: one sentence for each event, the
// same on every page and in every terminal. It is pure.
//
// A sentence is made of parts, since a moment is shown as whoever reads wants it: in
// their zone, or counted from now. What comes from outside is cut to a length that hides
// nothing else, and is otherwise as it came: whoever shows a sentence makes it safe for
// the place where they do.
package told
