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
