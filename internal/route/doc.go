// Package route decides which channels a notice goes to. Every audience has channels
// of its own; routes refine that by audience, moment, level, the change's labels and
// the time. They are a tree as Alertmanager's is: the first route that matches takes
// the notice, its own routes refine it, and with continue what follows is looked at
// too.
//
// A route may be muted at times. [Table.Silences] finds what would then reach nobody,
// before it happens; a notice of a moment that needs a person reaches its audience's
// own channels whatever the routes say.
//
// The package is pure: the time is an argument.
package route
