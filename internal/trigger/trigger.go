package trigger

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Case is what is decided on.
type Case struct {
	Verdict backout.Verdict
	Alert   *backout.Alert
	// Change is the change as it stands.
	Change *backout.Change
	// Throttle is that of the rule.
	Throttle backout.Throttle
	Now      time.Time
}

// Do is what follows.
type Do string

// The values of [Do].
const (
	// Nothing follows.
	Nothing Do = "nothing"
	// Record writes the verdict to the change's log.
	Record Do = "record"
	// Evidence adds the alert to the rollback RollbackID.
	Evidence Do = "evidence"
	// Open opens a rollback.
	Open Do = "open"
)

// Next is what follows from a verdict, and why not more.
type Next struct {
	Do Do
	// Stopped says in words what kept the rule from acting; empty when nothing did.
	Stopped string
	// Moot is set when no mode would have made a rollback of the verdict.
	Moot bool
	// RollbackID is the rollback that has the target, for [Evidence].
	RollbackID string
	// The rest is for [Open]: what is taken back, from which level on, what an
	// approval is asked for first ("" for none), and when it may start (zero for
	// now).
	Targets    []string
	StartAt    int
	AskFirst   string
	StartAfter time.Time
}

// Decide says what follows. It notes nothing in the book: see [Book.Matched] and
// [Book.Acted].
func Decide(c Case, b *Book) Next {
	v, ch := c.Verdict, c.Change
	if !ch.State.Live() {
		return Next{Do: Nothing, Stopped: "the change is " + string(ch.State) + ", not open or watching", Moot: true}
	}
	next := beyondMode(c, b)
	switch {
	case v.Mode == backout.ModeShadow:
		return Next{Do: Record, Stopped: both(v.Stopped, next.Stopped), Moot: next.Moot}
	case next.Moot:
		return next
	}
	return open(c, b)
}

// beyondMode says what no mode of the rule changes.
func beyondMode(c Case, b *Book) Next {
	v, ch := c.Verdict, c.Change
	if id := ch.ActiveRollback(v.Target); id != "" {
		return Next{Do: Evidence, RollbackID: id, Stopped: v.Target + " is being rolled back by " + id, Moot: true}
	}
	if id := ch.TakenBack(v.Target); id != "" {
		return Next{Do: Nothing, Stopped: fmt.Sprintf("%s was already rolled back by %s: a person may start another", v.Target, id), Moot: true}
	}
	if why := b.stops(c); why != "" {
		return Next{Do: Record, Stopped: why, Moot: true}
	}
	return Next{}
}

func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func open(c Case, b *Book) Next {
	v := c.Verdict
	next := Next{Do: Open, Targets: []string{v.Target}}
	if v.Scope == backout.ScopeChange {
		next.Targets = slices.DeleteFunc(slices.Clone(c.Change.Targets), func(t string) bool {
			return c.Change.ActiveRollback(t) != "" || c.Change.TakenBack(t) != ""
		})
	}
	plan := &c.Change.Frozen.Plan
	var err error
	if next.StartAt, err = plan.LevelNamed(v.StartAt); err != nil {
		// A person decides; a rule that does not fit the plan must not go unheard.
		next.AskFirst = fmt.Sprintf("rule %s wants to start at %s, which plan %s does not have", v.Rule, v.StartAt, plan.Name)
	}
	if why := b.latched(c, next.StartAt); why != "" {
		next.AskFirst = why
	}
	if v.Mode == backout.ModeAsk {
		next.AskFirst = "rule " + v.Rule + " is in mode ask"
		if v.Stopped != "" {
			next.AskFirst += ": " + v.Stopped
		}
	}
	if until := c.Alert.StartsAt.Add(time.Duration(v.For)); v.For > 0 && until.After(c.Now) {
		next.StartAfter = until.UTC()
	}
	return next
}
