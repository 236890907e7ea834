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
	// Waiting is set when nothing but a query whose value nobody knows yet keeps
	// the rule from matching.
	Waiting bool `json:"waiting,omitempty"`
	// Error is set when the expression failed; the rule counts as not matched.
	Error string `json:"error,omitempty"`
	// Verdict is what the rule said; nil when it did not match.
	Verdict *backout.Verdict `json:"-"`
}

// Misses counts the conditions that did not hold, the guard included: 1 is the
// nearest miss. What cannot be known for want of a change is counted once, by the
// guard that says so.
func (e *Explanation) Misses() int {
	n := 0
	if e.Guard != "" {
		n++
	}
	for _, p := range e.Parts {
		if !p.Held && (p.Unknown == "" || e.ChangeID != "") {
			n++
		}
	}
	return n
}

// Failed returns the part that kept the rule from matching: the first that does
// not hold, in the order in which they are tried; nil when none did.
func (e *Explanation) Failed() *Part {
	for i := range e.Parts {
		if e.Parts[i].Failed {
			return &e.Parts[i]
		}
	}
	return nil
}

// Rank sorts what matched first, then what missed least. Of two that miss as much,
// the one that a guard stopped comes first, then the one whose miss is an
// expression; after that they stay as they are.
func Rank(list []Explanation) {
	kind := func(e *Explanation) int {
		switch failed := e.Failed(); {
		case failed == nil:
			return 0
		case failed.Kind == KindWhen:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b Explanation) int {
		if a.Matched != b.Matched {
			if a.Matched {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Misses(), b.Misses()), cmp.Compare(kind(&a), kind(&b)))
	})
}

// Explain says for every rule, or for those that are named, and for every change
// that the world names on the alert's target why it matched or did not; Matched
// agrees with [Set.Match]. It is for people: it looks at every rule and compiles as
// it goes.
//
// A world may also return changes that are not live, or do not have the target: the
// guard says so.
func (s *Set) Explain(a *backout.Alert, w World, now time.Time, names ...string) []Explanation {
	if s.Len() == 0 {
		return nil
	}
	x := &explaining{set: s, a: a, w: w, m: &scratch{named: make([]named, len(s.labels))}, compiler: newExpressions()}
	x.m.facts.Now = now
	x.m.facts.Alert.set(a, now)
	for i, label := range s.labels {
		x.look(&x.m.named[i], a.Labels[label])
	}
	var list []Explanation
	for _, r := range s.rules {
		if len(names) == 0 || slices.Contains(names, r.Name) {
			list = append(list, x.rule(r)...)
		}
	}
	return list
}

// explaining is one call of Explain on its way.
type explaining struct {
	set      *Set
	a        *backout.Alert
	w        World
	m        *scratch
	compiler *expressions
}

// look finds what a target label leads to: every change, whatever guards say.
func (x *explaining) look(on *named, value string) {
	if value == "" {
		return
	}
	on.target = Host(value)
	for _, c := range x.w.ChangesOn(on.target) {
		on.changes = append(on.changes, candidate{change: c})
	}
	slices.SortFunc(on.changes, func(a, b candidate) int { return cmp.Compare(a.change.ID, b.change.ID) })
	on.changes = slices.CompactFunc(on.changes, func(a, b candidate) bool { return a.change.ID == b.change.ID })
}

// rule explains one rule, once for each change.
func (x *explaining) rule(r *rule) []Explanation {
	clauses := x.clauses(r)
	on := &x.m.named[r.label]
	if on.target != "" {
		x.m.aim(on, x.w)
	} else {
		x.m.facts.Target = targetFacts{}
	}
	if len(on.changes) == 0 {
		return []Explanation{x.without(r, on, clauses)}
	}
	list := make([]Explanation, len(on.changes))
	for i := range on.changes {
		list[i] = x.with(r, on, &on.changes[i], clauses)
	}
	return list
}

// without explains a rule for which there is no change to look at.
func (x *explaining) without(r *rule, on *named, clauses []clause) Explanation {
	e := Explanation{Rule: r.Name, Group: r.Group, Mode: r.Mode, Target: on.target}
	x.m.facts.Change, x.m.facts.Evidence = changeFacts{}, backout.Evidence{}
	x.m.facts.know(backout.Signals{})
	x.m.face(r.when, x.a)
	missing := "there is no change to hold it against"
	switch {
	case on.target == "":
		missing = "there is no target to hold it against"
		e.Guard = "the alert has no label " + r.TargetLabel + " that names a target"
	case guardAlert(x.a) != "":
		e.Guard = guardAlert(x.a)
	default:
		e.Guard = "no live change has target " + short(on.target)
	}
	e.Parts = x.parts(r, on, clauses, missing, e.Guard)
	return e
}

// with explains a rule and a change.
func (x *explaining) with(r *rule, on *named, c *candidate, clauses []clause) Explanation {
	e := Explanation{
		Rule: r.Name, Group: r.Group, Mode: r.Mode, Target: on.target, ChangeID: c.change.ID,
		Guard: cmp.Or(guardAlert(x.a), guard(x.a, c.change), guardTarget(on.target, c.change)),
	}
	x.prepare(r, on, c)
	e.Parts = x.parts(r, on, clauses, "", e.Guard)
	fits := e.Guard == "" && r.firstMismatch(x.a) == nil
	held, err := x.m.run(r.when)
	wait := ""
	if held && fits {
		held, wait, err = x.m.holds(r.when, on, x.w)
	}
	switch {
	case err != nil:
		e.Error = err.Error()
	case wait != "":
		e.Waiting = true
	case held && fits:
		e.Matched = true
		v, _ := x.m.verdict(r, x.a, on, c)
		e.Verdict = &v
	}
	return e
}

// prepare fills in the facts that a rule sees of one change.
func (x *explaining) prepare(r *rule, on *named, c *candidate) {
	x.m.facts.Change.set(c.change)
	x.m.facts.Target.on(c.change)
	c.ask(x.w)
	x.m.facts.Evidence = c.evidence
	x.m.facts.know(c.listen(x.w, x.a, on))
	x.m.face(r.when, x.a)
}

func guardTarget(target string, c *backout.Change) string {
	if slices.Contains(c.Targets, target) {
		return ""
	}
	return "the change does not have target " + short(target)
}
