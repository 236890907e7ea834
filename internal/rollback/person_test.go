package rollback

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestNobodyEndsAStopThatTheyHaveNotRead: who looks at an old page ends neither a hold nor
// a pause that began after it, and is told who stopped it, and why.
func TestNobodyEndsAStopThatTheyHaveNotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		stop func(by, reason string) Input
		goOn func(by string, since time.Time) Input
		at   func(r backout.Rollback) time.Time
	}{
		"a hold": {
			func(by, reason string) Input { return Hold{By: by, Reason: reason} },
			func(by string, since time.Time) Input { return Release{By: by, Since: since} },
			func(r backout.Rollback) time.Time { return r.HeldAt },
		},
		"a pause": {
			func(by, reason string) Input { return Pause{By: by, Reason: reason} },
			func(by string, since time.Time) Input { return Resume{By: by, Since: since} },
			func(r backout.Rollback) time.Time { return r.PausedAt },
		},
	} {
		t.Run(name, func(t *testing.T) {
			now := storyStart
			r := backout.Rollback{ID: "CHG1-r1", Status: backout.RollbackPending, Level: -1, StartAfter: now.Add(time.Hour), Frozen: backout.FrozenPlan{Plan: backout.Plan{
				Levels: []backout.Level{{Name: "L1", Approval: backout.Approval{Mode: backout.ApprovalNone}}},
			}}, Targets: []backout.TargetState{{Name: "web-1", Phase: backout.TargetWaiting}}}
			give := func(in Input) error {
				now = now.Add(time.Minute)
				_, after, err := Advance(r, now, in, false)
				r = after
				return err
			}
			taken := func(in Input) {
				t.Helper()
				if err := give(in); err != nil {
					t.Fatalf("%T: %v", in, err)
				}
			}
			taken(tt.stop("bob", "wait for the vendor"))
			seen := tt.at(r)
			taken(tt.goOn("bob", seen))
			taken(tt.stop("carl", "STOP, the restore overwrites new orders"))
			err := give(tt.goOn("ann", seen))
			if !errors.Is(err, backout.ErrStale) || !strings.Contains(err.Error(), "carl: STOP, the restore overwrites new orders") || tt.at(r).IsZero() {
				t.Errorf("Ann, who saw Bob's: %v", err)
			}
			taken(tt.goOn("ann", tt.at(r)))
			taken(tt.stop("carl", "STOP"))
			taken(tt.goOn("dora", time.Time{})) // from the command line she ends what there is
		})
	}
}

// TestAHoldIsNamedByWhenItBegan: by the time of that hold and no other, however long the
// clocks have stood still, or when a pause over it ends.
func TestAHoldIsNamedByWhenItBegan(t *testing.T) {
	now := storyStart
	var r backout.Rollback
	give := func(in Input) error {
		now = now.Add(time.Minute)
		_, after, err := Advance(r, now, in, false)
		r = after
		return err
	}
	taken := func(in Input) {
		t.Helper()
		if err := give(in); err != nil {
			t.Fatalf("%T: %v", in, err)
		}
	}
	taken(Open{Opened: backout.Opened{RollbackID: "CHG1-r1", ChangeID: "CHG1", Targets: []string{"web-1"}, Frozen: backout.FrozenPlan{Plan: backout.Plan{
		Levels: []backout.Level{{Name: "L1", EscalateAfter: backout.Duration(time.Hour), Steps: []backout.Step{{Uses: "command"}}}},
	}}}})
	attempt := r.Targets[0].Attempt.ID
	taken(Claim{AttemptID: attempt, Runner: "server-1"})
	deadline := r.LevelDeadline
	taken(Doubt{AttemptID: attempt, Reason: "the server died"})
	doubt := r.HeldAt
	taken(Hold{By: "carl", Reason: "STOP"})
	taken(Resolve{AttemptID: attempt, Verdict: DoubtDidNot, By: "bob"})
	if err := give(Release{By: "ann", Since: doubt}); !errors.Is(err, backout.ErrStale) || !strings.Contains(err.Error(), "carl: STOP") {
		t.Errorf("Ann, who saw the doubt: %v", err)
	}
	taken(Release{By: "ann", Since: r.HeldAt})
	if moved := r.LevelDeadline.Sub(deadline); moved != 4*time.Minute {
		t.Errorf("the deadline moved by %s, want 4m: the clock stands still since the doubt", moved)
	}
	deadline = r.LevelDeadline
	taken(Pause{By: "bob"})
	taken(Hold{By: "carl", Reason: "STOP"})
	seen := r.HeldAt
	taken(Resume{By: "bob"})
	taken(Release{By: "ann", Since: seen})
	if moved := r.LevelDeadline.Sub(deadline); moved != 3*time.Minute {
		t.Errorf("the deadline moved by %s, want 3m: paused, and held", moved)
	}
}

// TestNobodyEscalatesOverAHoldThatTheyHaveNotRead: escalating ends a hold, so it names the
// one that it was offered over, or none.
func TestNobodyEscalatesOverAHoldThatTheyHaveNotRead(t *testing.T) {
	opened := Open{Opened: backout.Opened{RollbackID: "CHG1-r1", ChangeID: "CHG1", Targets: []string{"web-1"}, Frozen: backout.FrozenPlan{Plan: backout.Plan{
		Levels: []backout.Level{
			{Name: "L1", EscalateAfter: backout.Duration(time.Hour), Steps: []backout.Step{{Uses: "command"}}},
			{Name: "L2", EscalateAfter: backout.Duration(time.Hour), Steps: []backout.Step{{Uses: "command"}}},
		},
	}}}}
	_, r, err := Advance(backout.Rollback{}, storyStart, opened, false)
	if err != nil {
		t.Fatal(err)
	}
	_, held, err := Advance(r, storyStart.Add(time.Minute), Hold{By: "carl", Reason: "STOP"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		r     backout.Rollback
		in    Escalate
		stale bool
	}{
		"held meanwhile":        {held, Escalate{Unheld: true}, true},
		"held anew":             {held, Escalate{Since: storyStart}, true},
		"over the hold":         {held, Escalate{Since: held.HeldAt}, false},
		"whatever there is":     {held, Escalate{}, false},
		"not held":              {r, Escalate{Unheld: true}, false},
		"held no more":          {r, Escalate{Since: storyStart}, false},
		"not held, and unnamed": {r, Escalate{}, false},
	} {
		tt.in.By, tt.in.From = "ann", "L1"
		events, err := Decide(tt.r, storyStart.Add(2*time.Minute), tt.in)
		if stale := errors.Is(err, backout.ErrStale) && strings.Contains(err.Error(), "carl: STOP"); stale != tt.stale || stale != (len(events) == 0) {
			t.Errorf("%s: %v, %d events", name, err, len(events))
		}
	}
}
