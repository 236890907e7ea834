package rules

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr/vm"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout"
)

// DefaultTargetLabel is the alert label that names the target, unless a group
// says otherwise.
const DefaultTargetLabel = "instance"

// OwnAlertPrefix begins the names of backout's alerts about itself, which never speak
// against a change; see [backout.Alert.Own].
const OwnAlertPrefix = backout.OwnAlertPrefix

// Rule is one rule as its file has it, with the defaults filled in.
type Rule struct {
	Name        string            `json:"rule"`
	Group       string            `json:"group"`
	File        string            `json:"file"`
	Line        int               `json:"line,omitempty"`
	TargetLabel string            `json:"target_label"`
	Match       []string          `json:"match,omitempty"`
	When        string            `json:"when,omitempty"`
	Mode        backout.Mode      `json:"mode"`
	StartAt     string            `json:"start_at,omitempty"`
	Scope       backout.Scope     `json:"scope"`
	For         backout.Duration  `json:"for,omitempty"`
	Throttle    backout.Throttle  `json:"throttle,omitzero"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Hash identifies what the rule says: of everything but its name, group, file,
	// mode and annotations. Two rules with one hash speak of the same alerts.
	Hash string `json:"hash"`
}

// rule is a [Rule] ready to match.
type rule struct {
	Rule
	matchers    []*labels.Matcher
	conditions  []*condition
	when        *expression
	annotations []annotation
	// label is the place of TargetLabel in the set's labels.
	label int
	// steps is what the patterns of its matchers cost.
	steps int
	uses  []Use
}

// Set is the rules of all files, compiled and indexed. It never changes and may
// be used by any number of goroutines. The nil Set and the zero Set match
// nothing.
type Set struct {
	rules []*rule
	// labels are the target labels in use, each once.
	labels  []string
	index   *index
	byName  map[string]int
	scratch sync.Pool
}

func newSet(list []*rule) *Set {
	s := &Set{rules: list, byName: make(map[string]int, len(list))}
	places := map[string]int{}
	demands := make([][]demand, len(list))
	for i, r := range list {
		place, ok := places[r.TargetLabel]
		if !ok {
			place = len(s.labels)
			places[r.TargetLabel] = place
			s.labels = append(s.labels, r.TargetLabel)
		}
		r.label = place
		s.byName[r.Name] = i
		demands[i] = r.demands()
	}
	s.index = newIndex(demands)
	s.scratch.New = func() any { return &scratch{named: make([]named, len(s.labels))} }
	return s
}

// demands lists the labels that the rule insists on.
func (r *rule) demands() []demand {
	var list []demand
	for _, c := range r.conditions {
		if c.few {
			list = append(list, demand{c.Name, c.values})
		}
	}
	if r.when != nil {
		list = append(list, r.when.demands...)
	}
	return list
}

// Len is the number of rules.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Rules lists the rules in the order of their files. The caller may keep and
// change the list, not the maps in it.
func (s *Set) Rules() []Rule {
	if s == nil {
		return nil
	}
	list := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		list[i] = r.Rule
	}
	return list
}

// Rule returns the rule of that name.
func (s *Set) Rule(name string) (Rule, bool) {
	if s == nil {
		return Rule{}, false
	}
	i, ok := s.byName[name]
	if !ok {
		return Rule{}, false
	}
	return s.rules[i].Rule, true
}

// TargetLabels lists the alert labels that name targets, each once.
func (s *Set) TargetLabels() []string {
	if s == nil {
		return nil
	}
	return append([]string(nil), s.labels...)
}

// World is what a set asks while it matches. Nothing it returns is changed or
// kept. It must give the same answers during one call.
type World interface {
	// ChangesOn returns the live changes that have this target, in any order.
	ChangesOn(target string) []*backout.Change
	// Target returns a target of the inventory.
	Target(name string) (backout.Target, bool)
	// Evidence says what is known about the change now.
	Evidence(ch *backout.Change) backout.Evidence
	// Signals says what else is known of the alert on a target of the change.
	Signals(ch *backout.Change, target, fingerprint string) backout.Signals
	// Query returns the value of a PromQL query about a target, as far as it is
	// known already: it never waits. [ErrNotYet] says that nobody knows it yet, and
	// that the world will find out; any other error, that it cannot be known.
	Query(query, target string) (float64, error)
}

// ErrNotYet says that a query's value is not known yet.
var ErrNotYet = errors.New("the query has not been answered yet")

// scratch is what one call of Match works on, kept for the next one.
type scratch struct {
	vm         vm.VM
	facts      facts
	named      []named
	candidates []int32
	// cut tells that the facts of the alert are cut.
	cut bool
	// aimed is what the facts speak of: a change on a target; aimedChange and
	// aimedTarget tell that what is known of these two stands there.
	aimed                    *candidate
	aimedChange, aimedTarget bool
	reasons                  reasons
	verdicts                 []verdict
}

// verdict is one that was given, without its reasons: they end at that place
// among those of all.
type verdict struct {
	backout.Verdict
	reasons int
}

// named is what one target label of an alert leads to.
type named struct {
	target  string
	changes []candidate
	// known is set once the inventory was asked.
	known bool
	facts backout.Target
}

// candidate is a change that the alert may speak against.
type candidate struct {
	change   *backout.Change
	asked    bool
	evidence backout.Evidence
	listened bool
	signals  backout.Signals
	// boxed are the facts of this alert and this change, whole and cut, once an
	// expression has read them.
	boxed [2]any
}

func (m *scratch) clear() {
	m.facts, m.cut = facts{}, false
	for i := range m.named {
		clear(m.named[i].changes)
		m.named[i] = named{changes: m.named[i].changes[:0]}
	}
	m.candidates, m.aimed = m.candidates[:0], nil
	m.forget()
}

// forget drops the verdicts that were given.
func (m *scratch) forget() {
	m.reasons.clear()
	clear(m.verdicts)
	m.verdicts = m.verdicts[:0]
}

// guard says why no rule may count this alert against this change, or "".
func guard(a *backout.Alert, c *backout.Change) string {
	switch {
	case !c.State.Live():
		return "the change is " + string(c.State) + ", not open or watching"
	case c.OpenedAt.IsZero():
		return "the change's window has not opened"
	case a.StartsAt.Before(c.OpenedAt):
		return "the alert was firing before the window opened, at " + c.OpenedAt.UTC().Format(time.RFC3339)
	}
	return ""
}

// guardAlert says why the alert counts against no change at all, or "".
func guardAlert(a *backout.Alert) string {
	switch {
	case !a.Firing:
		return "the alert is resolved"
	case a.Own():
		return "alerts about backout itself never count"
	}
	return ""
}

func isOwn(name string) bool { return strings.HasPrefix(name, OwnAlertPrefix) }
