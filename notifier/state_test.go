package notifier

import (
	"testing"

	"github.com/backout-io/backout"
)

// TestEveryMomentHasAState: a moment without one would never resolve, or never
// open, what relays keep for a rollback.
func TestEveryMomentHasAState(t *testing.T) {
	for _, m := range backout.Moments() {
		if _, ok := standings[m]; !ok {
			t.Errorf("the moment %s has no state: add it to standings", m)
		}
	}
	if len(standings) != len(backout.Moments()) {
		t.Errorf("%d states for %d moments", len(standings), len(backout.Moments()))
	}
	if StateOf("of another release") != StateOK || SeverityOf("of another release") != SeverityInfo {
		t.Error("an unknown moment raises or ends something")
	}
}

// TestExhaustedIsNotTheEnd: what a relay keeps open must stay so while people have
// to take over.
func TestExhaustedIsNotTheEnd(t *testing.T) {
	for m, want := range map[backout.Moment]State{
		backout.MomentExhausted: StatePending, backout.MomentRecovered: StateEnded, backout.MomentAborted: StateEnded,
		backout.MomentCancelled: StateEnded, backout.MomentLevelStarted: StateRunning, backout.MomentRed: StatePending,
	} {
		if got := StateOf(m); got != want {
			t.Errorf("%s: %s, want %s", m, got, want)
		}
	}
}
