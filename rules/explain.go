package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Explanation says of one rule and one change why the rule matched or did not.
type Explanation struct {
	Rule   string       `json:"rule"`
	Group  string       `json:"group"`
	Mode   backout.Mode `json:"mode"`
	Target string       `json:"target,omitempty"`
	// ChangeID is empty when there is no change on the target to speak of.
	ChangeID string `json:"change_id,omitempty"`
	Matched  bool   `json:"matched"`
	// Guard is the reason no rule can change, if one applies: the rule did not
	// match, whatever its parts say.
	Guard string `json:"guard,omitempty"`
	// Parts are the matchers and the sides of the expression's top-level "and",
	// in the order of the rule.
	Parts []Part `json:"parts"`
	// Error is set when the expression failed; the rule counts as not matched.
	Error string `json:"error,omitempty"`
}

// Part is one condition of a rule, with the value that it was held against.
type Part struct {
	// Kind is match or when.
	Kind string `json:"kind"`
	// Text is the condition and, in brackets, what was found.
	Text string `json:"text"`
	Held bool   `json:"held"`
	// Error is set when this part failed at run time.
	Error string `json:"error,omitempty"`
}

// Misses counts the conditions that did not hold, the guard included: 1 is the
// nearest miss.
func (e Explanation) Misses() int {
	n := 0
	if e.Guard != "" {
		n++
	}
	for _, p := range e.Parts {
		if !p.Held {
			n++
		}
	}
	return n
}

// Explain says for every rule and every change that the world names on the
// alert's target why it matched or did not; Matched agrees with [Set.Match]. It
// is for people: it looks at every rule and compiles as it goes.
//
// A world that also returns changes that are not live gets their guard explained.
func (s *Set) Explain(a *backout.Alert, w World, now time.Time) []Explanation {
	if s.Len() == 0 {
		return nil
	}
	var list []Explanation
	x := newExpressions()
	parts := make([][]*expression, len(s.rules))
	for i, r := range s.rules {
		parts[i] = r.separate(x)
	}
	for i, r := range s.rules {
		m := &scratch{}
		m.facts.Now = now
		m.facts.Alert.set(a, now)
		on := &named{target: Host(a.Labels[r.TargetLabel])}
		if a.Labels[r.TargetLabel] == "" {
			list = append(list, r.explain(m, w, a, on, nil, parts[i], "the alert has no label "+r.TargetLabel+" that names a target"))
			continue
		}
		m.aim(on, w)
		changes := slices.Clone(w.ChangesOn(on.target))
		slices.SortFunc(changes, func(a, b *backout.Change) int { return cmp.Compare(a.ID, b.ID) })
		if len(changes) == 0 {
			list = append(list, r.explain(m, w, a, on, nil, nil, "no live change has target "+on.target))
		}
		for _, c := range changes {
			m.facts.Change.set(c)
			m.facts.Target.on(c)
			m.facts.Evidence = w.Evidence(c)
			m.facts.know(w.Signals(c, on.target, a.Fingerprint))
			list = append(list, r.explain(m, w, a, on, c, parts[i], cmp.Or(guardAlert(a), guard(a, c))))
		}
	}
	return list
}

// separate compiles the parts of the rule's expression one by one.
func (r *rule) separate(x *expressions) []*expression {
	if r.when == nil {
		return nil
	}
	list := make([]*expression, len(r.when.parts))
	for i, p := range r.when.parts {
		// A part of what compiled compiles; were it not so, it would show as
		// not held, with its text.
		list[i], _ = x.compile(p.text)
	}
	return list
}

// explain fills in one explanation. Without a change the expression has nothing
// to be held against, so only the matchers are shown.
func (r *rule) explain(m *scratch, w World, a *backout.Alert, on *named, c *backout.Change, parts []*expression, why string) Explanation {
	e := Explanation{Rule: r.Name, Group: r.Group, Mode: r.Mode, Target: on.target, Guard: why}
	for _, matcher := range r.matchers {
		e.Parts = append(e.Parts, Part{Kind: "match", Text: matchText(matcher, a), Held: holds(matcher, a.Labels[matcher.Name])})
	}
	if c == nil {
		return e
	}
	e.ChangeID = c.ID
	m.face(r.when, a)
	for i, compiled := range parts {
		p := Part{Kind: "when"}
		if compiled != nil {
			held, wait, err := m.holds(compiled, on, w)
			switch p.Held = held; {
			case err != nil:
				p.Error = err.Error()
			case wait != "":
				p.Error = ErrNotYet.Error()
			}
		}
		p.Text = r.when.parts[i].withValues(&m.facts)
		e.Parts = append(e.Parts, p)
	}
	held, wait, err := m.holds(r.when, on, w)
	if wait != "" {
		err = ErrNotYet
	}
	if err != nil {
		e.Error = err.Error()
	}
	e.Matched = held && err == nil && why == "" && r.firstMismatch(a) == nil
	return e
}
