package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/expr-lang/expr/vm"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// Result is what a set says of one alert.
type Result struct {
	// Target is the host that the alert names: the one with live changes, if
	// any. Empty when no target label is on the alert.
	Target string
	// Verdicts are the rules that matched, in the order of the set, and within
	// a rule by change id.
	Verdicts []backout.Verdict
	// Errors are rules that failed at run time. A rule that fails counts as not
	// matched; an annotation that fails is left out of a verdict that stands.
	Errors []RunError
	// Waiting are rules that would match but for a query nobody knows the value of
	// yet: they count as not matched, and are to be tried again soon.
	Waiting []Wait
}

// Wait is a rule that waits for the value of a query.
type Wait struct {
	Rule     string `json:"rule"`
	ChangeID string `json:"change_id"`
	Target   string `json:"target"`
	Query    string `json:"query"`
}

// RunError says that a rule failed while it ran.
type RunError struct {
	Rule     string `json:"rule"`
	Group    string `json:"group"`
	ChangeID string `json:"change_id"`
	// Annotation names the text that failed; empty when it was the expression.
	Annotation string `json:"annotation,omitempty"`
	Err        error  `json:"-"`
}

// Error implements error.
func (e RunError) Error() string {
	what := "when"
	if e.Annotation != "" {
		what = "annotation " + e.Annotation
	}
	return fmt.Sprintf("run rule %s: %s: change %s: %v", e.Rule, what, e.ChangeID, e.Err)
}

// Unwrap returns the cause.
func (e RunError) Unwrap() error { return e.Err }

// Match says which rules hold for the alert and the live changes on its target.
// The guards in the package's doc stand before every rule.
func (s *Set) Match(a *backout.Alert, w World, now time.Time) Result {
	if s.Len() == 0 {
		return Result{}
	}
	m := s.scratch.Get().(*scratch)
	defer func() {
		m.clear()
		s.scratch.Put(m)
	}()
	res := Result{Target: s.gather(m, a, w)}
	if !slices.ContainsFunc(m.named, func(n named) bool { return len(n.changes) > 0 }) {
		return res
	}
	settler, _ := w.(Settler)
	m.facts.Now = now
	m.facts.Alert.set(a, now)
	m.candidates = s.index.candidates(a.Labels, m.candidates)
	for _, i := range m.candidates {
		r := s.rules[i]
		on := &m.named[r.label]
		if len(on.changes) == 0 || !r.satisfied(a) {
			continue
		}
		for j := range on.changes {
			if settler != nil && settler.Settled(r.Name, on.changes[j].change, on.target, a.Fingerprint) {
				continue
			}
			m.try(r, a, on, &on.changes[j], w, &res)
		}
	}
	res.Verdicts = m.given()
	return res
}

// gather looks up the changes of every target that the alert names, leaves out
// those a guard stops, and returns the target to report.
func (s *Set) gather(m *scratch, a *backout.Alert, w World) string {
	allowed := guardAlert(a) == ""
	first, red := "", ""
	for i, label := range s.labels {
		value := a.Labels[label]
		if value == "" {
			continue
		}
		on := &m.named[i]
		on.target = Host(value)
		if first == "" {
			first = on.target
		}
		if !allowed {
			continue
		}
		for _, c := range w.ChangesOn(on.target) {
			if guard(a, c) == "" {
				on.changes = append(on.changes, candidate{change: c})
			}
		}
		if len(on.changes) > 1 {
			slices.SortFunc(on.changes, func(a, b candidate) int { return cmp.Compare(a.change.ID, b.change.ID) })
			on.changes = slices.CompactFunc(on.changes, func(a, b candidate) bool { return a.change.ID == b.change.ID })
		}
		if len(on.changes) > 0 && red == "" {
			red = on.target
		}
	}
	if red != "" {
		return red
	}
	return first
}

// know asks once for what the inventory has of the target.
func (on *named) know(w World) {
	if !on.known {
		on.known = true
		on.facts, _ = w.Target(on.target)
		on.facts.Name = on.target
	}
}

// aim points the facts at a target.
func (m *scratch) aim(on *named, w World) {
	on.know(w)
	m.facts.Target.set(on.facts)
}

// try runs one rule on one change.
func (m *scratch) try(r *rule, a *backout.Alert, on *named, c *candidate, w World, res *Result) {
	m.aimAt(r, a, on, c, w)
	held, wait, err := m.holds(r.when, on, w)
	if err != nil {
		res.Errors = append(res.Errors, RunError{Rule: r.Name, Group: r.Group, ChangeID: c.change.ID, Err: err})
		return
	}
	if wait != "" {
		res.Waiting = append(res.Waiting, Wait{Rule: r.Name, ChangeID: c.change.ID, Target: on.target, Query: wait})
	}
	if held {
		res.Errors = append(res.Errors, m.give(r, a, on, c)...)
	}
}

// aimAt points the facts at a change on a target. What costs something is asked
// and copied only for a rule that reads it.
func (m *scratch) aimAt(r *rule, a *backout.Alert, on *named, c *candidate, w World) {
	if m.aimed != c {
		m.aimed, m.aimedChange, m.aimedTarget = c, false, false
		m.facts.Evidence = c.evidence
	}
	e := r.when
	if len(r.annotations) > 0 || e != nil && e.evidence {
		c.ask(w)
		m.facts.Evidence = c.evidence
	}
	if len(r.annotations) > 0 || e != nil && e.query != "" {
		on.know(w)
	}
	if e == nil {
		return
	}
	if m.cut && e.searches == 0 {
		m.aimedChange, m.aimedTarget = false, false
		m.face(e, a)
	}
	whole := !m.cut
	if e.change && !m.aimedChange {
		m.aimedChange, whole = true, true
		m.facts.Change.set(c.change)
	}
	if e.target && !m.aimedTarget {
		m.aimedTarget, whole = true, true
		m.aim(on, w)
		m.facts.Target.on(c.change)
	}
	if e.signals {
		m.facts.know(c.listen(w, a, on))
	}
	if whole && e.searches > 0 {
		m.face(e, a)
	}
}

// ask asks for the evidence, once.
func (c *candidate) ask(w World) {
	if !c.asked {
		c.asked, c.boxed = true, [2]any{}
		c.evidence = w.Evidence(c.change)
	}
}

// listen asks for the signals, once.
func (c *candidate) listen(w World, a *backout.Alert, on *named) backout.Signals {
	if !c.listened {
		c.listened, c.boxed = true, [2]any{}
		c.signals = w.Signals(c.change, on.target, a.Fingerprint)
	}
	return c.signals
}

// run says whether what an expression asks no query for holds for the facts. No
// expression holds always.
func (m *scratch) run(e *expression) (bool, error) {
	if e == nil {
		return true, nil
	}
	for i := range e.demands {
		if d := &e.demands[i]; !slices.Contains(d.values, m.facts.Alert.Labels[d.label]) {
			return false, nil
		}
	}
	if e.program == nil {
		return true, nil
	}
	return m.runIn(m.box(), e.program)
}

// box is the facts as one value: the language takes what stands in a value as it
// is, and copies everything that it takes from behind a pointer.
func (m *scratch) box() any {
	if m.aimed == nil {
		return &m.facts
	}
	place := 0
	if m.cut {
		place = 1
	}
	if m.aimed.boxed[place] == nil {
		f := &m.facts
		m.aimed.boxed[place] = boxed{f.Alert, &f.Change, &f.Target, f.Evidence, f.Now, f.Queried}
	}
	return m.aimed.boxed[place]
}

func (m *scratch) runProgram(p *vm.Program) (bool, error) { return m.runIn(&m.facts, p) }

// runIn runs a program on facts. The machine turns its own panics into errors;
// only the first line of them is for people, a drawing of the place follows.
func (m *scratch) runIn(env any, p *vm.Program) (bool, error) {
	value, err := m.vm.Run(p, env)
	if err != nil {
		return false, errors.New(firstLine(err.Error()))
	}
	held, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("the expression gave %T, not true or false", value)
	}
	return held, nil
}

// firstMismatch returns the first matcher that the alert does not satisfy, or
// nil. A label that is missing reads as empty, as in Alertmanager.
func (r *rule) firstMismatch(a *backout.Alert) *labels.Matcher {
	for _, m := range r.matchers {
		if !holds(m, a.Labels[m.Name]) {
			return m
		}
	}
	return nil
}

// satisfied tells whether the alert satisfies every matcher.
func (r *rule) satisfied(a *backout.Alert) bool {
	for _, c := range r.conditions {
		if !c.holds(a) {
			return false
		}
	}
	return true
}

// give writes down that a rule matched, and why. It returns the annotations that
// failed.
func (m *scratch) give(r *rule, a *backout.Alert, on *named, c *candidate) []RunError {
	m.reasons.explain(r, a, on, c.change, &m.facts)
	m.verdicts = append(m.verdicts, verdict{Verdict: backout.Verdict{
		Rule: r.Name, RuleHash: r.Hash, Group: r.Group, Mode: r.Mode, ChangeID: c.change.ID, Target: on.target, Scope: r.Scope,
		StartAt: r.StartAt, For: r.For, Fingerprint: a.Fingerprint, AlertName: a.Name(), At: m.facts.Now,
	}, reasons: len(m.reasons.pieces)})
	if len(r.annotations) == 0 {
		return nil
	}
	v := &m.verdicts[len(m.verdicts)-1]
	var errs []RunError
	data := annotationData{Change: c.change, Alert: a, Target: namedTarget{on.facts}, Evidence: c.evidence}
	if data.Targets = (targetNames{on.target}); r.Scope == backout.ScopeChange {
		data.Targets = c.change.Targets
	}
	v.Annotations = make(map[string]string, len(r.annotations))
	for _, t := range r.annotations {
		text, err := t.execute(data)
		if err != nil {
			errs = append(errs, RunError{Rule: r.Name, Group: r.Group, ChangeID: c.change.ID, Annotation: t.name, Err: err})
			continue
		}
		v.Annotations[t.name] = text
	}
	return errs
}

// verdict writes down that a rule matched as the only verdict there is.
func (m *scratch) verdict(r *rule, a *backout.Alert, on *named, c *candidate) (backout.Verdict, []RunError) {
	m.forget()
	errs := m.give(r, a, on, c)
	return m.given()[0], errs
}

// given returns the verdicts, for the caller to keep: one list of them, one of
// their reasons, and one text that all reasons are parts of.
func (m *scratch) given() []backout.Verdict {
	if len(m.verdicts) == 0 {
		return nil
	}
	list, texts, from := make([]backout.Verdict, len(m.verdicts)), m.reasons.strings(), 0
	for i := range m.verdicts {
		v := &m.verdicts[i]
		list[i] = v.Verdict
		list[i].Reasons = texts[from:v.reasons:v.reasons]
		from = v.reasons
	}
	return list
}
