package rules

import (
	"slices"

	"github.com/backout-io/backout"
)

// Settler is a [World] that knows beforehand of what nothing new can follow.
type Settler interface {
	World
	// Settled tells whether the rule need not be tried: whatever it says of the
	// alert on this target of the change, nothing new follows. [Set.Match] asks it
	// of each rule whose matchers hold, and takes a rule that is settled for one
	// that does not match.
	Settled(rule string, ch *backout.Change, target, fingerprint string) bool
}

// Reads says on what the answer of a rule rests beside the alert, its change and
// the inventory.
type Reads struct {
	// Time is set when it may be another at a later moment although nothing has
	// happened in between.
	Time bool
	// Evidence is set when it may be another as soon as anything has begun or ended
	// to fire anywhere.
	Evidence bool
}

// timed are the facts that time alone changes.
var timed = []string{"now", "alert.age", "evidence.minutes_since_patch"}

// Reads says on what the answer of the rule of that name rests.
func (s *Set) Reads(name string) Reads {
	if s == nil {
		return Reads{}
	}
	i, ok := s.byName[name]
	if !ok || s.rules[i].when == nil {
		return Reads{}
	}
	when := s.rules[i].when
	reads := Reads{Time: when.signals || when.query != "", Evidence: when.evidence}
	for _, p := range when.parts {
		reads.Time = reads.Time || slices.ContainsFunc(p.reads, func(r read) bool { return slices.Contains(timed, r.name) })
	}
	return reads
}
