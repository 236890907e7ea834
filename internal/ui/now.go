package ui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Now is what is red, what is being rolled back and when the next thing happens: for
// who is woken at night.
type Now struct {
	// Rollbacks are the active ones, sorted by [SortCards]; MoreRollbacks how many more
	// there are.
	Rollbacks     []Card
	MoreRollbacks int
	// Red are red targets of live changes that no rollback is at work on; MoreRed how many
	// more there are.
	Red     []RedTarget
	MoreRed int
	// Reviews are rollbacks that ended, with a level that one person started alone and
	// nobody has looked at yet, the oldest first; MoreReviews how many more there are.
	Reviews     []Card
	MoreReviews int
	// Changes are the live ones, what ends first first; MoreChanges how many more there
	// are. Next is the change whose window opens next.
	Changes     []backout.Change
	MoreChanges int
	Next        *backout.Change
	// Shut are the windows whose time has come and that are not open, what is over first
	// first; MoreShut how many more there are.
	Shut     []ShutWindow
	MoreShut int
	// Unready are live changes whose way back would not work any more.
	Unready []backout.Change
	// Undelivered are the notices that should have arrived.
	Undelivered Undelivered
	// Watched tells that monitoring is watched, LastSeen when it was heard last.
	Watched  bool
	LastSeen time.Time
	Blind    bool
}

// Undelivered is how many notices wait longer than a minute, or were given up. Unknown
// tells that it could not be counted in time: there are many, or the store is slow.
type Undelivered struct {
	Count   int
	Unknown bool
}

// Card is one rollback with what may be done to it.
type Card struct {
	Rollback backout.Rollback
	Actions  []Action
	// Spans are when its levels ran, by their index, where the log was read.
	Spans []Span
}

// Span is when a level ran: from when it was entered, from its first step, and until it
// ended; zero for what has not come.
type Span struct{ Entered, Started, Ended time.Time }

// RedTarget is a target that is red, and that no rollback is at work on.
type RedTarget struct {
	Target    string
	Alert     string
	Summary   string
	Since     time.Time
	ChangeIDs []string
	// BackIn is the active rollback that had brought it back, and touches it no more; empty
	// where there is none.
	BackIn string
}

// ShutWindow is a change whose window is due and not open, with what happens to it next.
type ShutWindow struct {
	ReadyRow
	Next Upcoming
}

// Page implements [Content].
func (n Now) Page() string { return "now" }

// Title implements [Content].
func (n Now) Title() string {
	switch {
	case n.Blind:
		return "BLIND"
	case len(n.Rollbacks) > 0:
		return fmt.Sprintf("(%d) RED", n.UnderWay())
	case len(n.Red) > 0:
		return "red"
	case len(n.Reviews) > 0:
		return "review owed"
	}
	return "all quiet"
}

// Tone is how bad things are, for the browser's tab.
func (n Now) Tone() string {
	switch {
	case n.Blind, len(n.Rollbacks) > 0:
		return bad
	case len(n.Red) > 0, len(n.Unready) > 0, len(n.Reviews) > 0, slices.ContainsFunc(n.Shut, ShutWindow.refused):
		return wait
	}
	return quiet
}

// refused tells that the gate keeps it shut: one that nobody has asked waits for its people.
func (w ShutWindow) refused() bool { return w.Standing().State == "gate_refused" }

// UnderWay is how many rollbacks are active, shown or not.
func (n Now) UnderWay() int { return len(n.Rollbacks) + n.MoreRollbacks }

// Owed is how many rollbacks that ended wait for a review.
func (n Now) Owed() int { return len(n.Reviews) + n.MoreReviews }

// Quiet tells that nothing is red, and that this is known.
func (n Now) Quiet() bool { return !n.Blind && len(n.Rollbacks) == 0 && len(n.Red) == 0 }

// Lead is the place of the card whose clock stands in the browser's tab and whose Hold is
// under the thumb: of what is due first, though what is held stands above it.
func (n Now) Lead() int {
	return max(slices.IndexFunc(n.Rollbacks, func(c Card) bool { return !c.Due().IsZero() }), 0)
}

// Several tells that the page has the cards of several rollbacks: a button away from its
// card, as Hold is on a phone, says which it is of.
func (v *view) Several() bool {
	n, ok := v.C.(Now)
	return ok && len(n.Rollbacks) > 1
}

// SortCards puts what needs a person first, then what is due first, then what goes on, or
// ends, with the steps that run.
func SortCards(cards []Card) {
	slices.SortStableFunc(cards, func(a, b Card) int {
		return cmp.Or(a.rank()-b.rank(), a.Due().Compare(b.Due()))
	})
}

func (c Card) rank() int {
	r := &c.Rollback
	waits := r.Status == backout.RollbackHeld || !r.PausedAt.IsZero() || r.Ask != nil
	switch {
	case !c.Due().IsZero():
		return 1
	case waits && r.Status != backout.RollbackAborting:
		return 0
	}
	return 2
}
