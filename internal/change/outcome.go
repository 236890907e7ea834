package change

import (
	"slices"

	"github.com/backout-io/backout"
)

// Outcome is whether a change agrees with what a rule said of it.
type Outcome string

// The values of [Outcome].
const (
	// Agreed and Disagreed count for the rule, and against it.
	Agreed    Outcome = "agreed"
	Disagreed Outcome = "disagreed"
	// Undecided is what nobody can tell yet, or ever.
	Undecided Outcome = "open"
	// Moot is a record of verdicts that are moot, every one: it does not count.
	Moot Outcome = "moot"
)

// OutcomeOf says what became of a record of the change. byPerson tells whether a
// person judged it; what a person said goes before everything else.
//
// Otherwise rollbacks tell, but for those that were cancelled before they began
// anything. Its own ones: one that was aborted or denied disagrees, whatever others
// did; one that recovered agrees, and so does one that people approved and that ended
// without recovering. Without any that tells, those of others on one of its targets: a
// person's agrees unless it was aborted, another rule's as its own would. When nothing
// of that is there and the change has ended, it disagrees: nobody took a target back.
func OutcomeOf(c *backout.Change, r *backout.RuleRecord) (o Outcome, byPerson bool) {
	switch {
	case r.Judged != nil && r.Judged.Agree:
		return Agreed, true
	case r.Judged != nil:
		return Disagreed, true
	case r.Moot >= r.Verdicts:
		return Moot, false
	}
	var own, others []Outcome
	for i := range c.Rollbacks {
		ref := &c.Rollbacks[i]
		switch {
		case ref.Status == backout.RollbackCancelled:
		case ref.Rule == r.Rule && ref.RuleHash == r.Hash:
			own = append(own, ofRule(ref))
		case touches(ref, r):
			others = append(others, ofOther(ref))
		}
	}
	switch {
	case slices.Contains(own, Disagreed):
		return Disagreed, false
	case slices.Contains(own, Agreed), slices.Contains(others, Agreed):
		return Agreed, false
	case len(own)+len(others) == 0 && c.State.Final():
		return Disagreed, false
	}
	return Undecided, false
}

// touches tells whether the rollback takes back a target that the record is about.
func touches(ref *backout.RollbackRef, r *backout.RuleRecord) bool {
	return len(r.Targets) >= recordTargets || slices.ContainsFunc(ref.Targets, func(t string) bool { return slices.Contains(r.Targets, t) })
}

// ofRule is what the end of a rule's own rollback says.
func ofRule(ref *backout.RollbackRef) Outcome {
	switch ref.Status {
	case backout.RollbackRecovered:
		return Agreed
	case backout.RollbackAborted:
		return Disagreed
	case backout.RollbackExhausted:
		if ref.Asked {
			return Agreed
		}
	case backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting,
		backout.RollbackHeld, backout.RollbackAborting, backout.RollbackCancelled:
	}
	return Undecided
}

// ofOther is what a rollback says that the rule did not open.
func ofOther(ref *backout.RollbackRef) Outcome {
	switch {
	case ref.Rule != "":
		if o := ofRule(ref); o == Agreed {
			return o
		}
	case ref.Status != backout.RollbackAborted:
		return Agreed
	}
	return Undecided
}
