package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
)

// without is a world in which one server is alone, and the others are gone.
type without struct{ ownedBy }

// Alive implements [Peers].
func (w without) Alive(server string) bool { return server == w.name }

// TestACaptureOfAServerThatIsGoneIsGivenUp: after a minute, not with its lease. One
// that is alive keeps its capture.
func TestACaptureOfAServerThatIsGoneIsGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		peers Peers
		given bool
	}{
		"gone":  {without{ownedBy{"me"}}, true},
		"alive": {ownedBy{"me"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := New(Options{Store: w.store, Server: "me", Sender: w.mouth, Log: w.log, Peers: tt.peers}, w.cfg)
				if err := e.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				w.planned(e, "C1")
				if _, err := e.changeInput(t.Context(), "C1", "", change.BeginCapture{Server: "other", Opening: true}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(captureGone - sweepEvery)
				synctest.Wait()
				if c, _ := e.changes.get("C1"); c.Capture == nil {
					t.Fatal("given up at once")
				}
				time.Sleep(3 * sweepEvery)
				synctest.Wait()
				c, _ := e.changes.get("C1")
				if (c.Capture == nil) != tt.given {
					t.Errorf("capture under way: %+v", c.Capture)
				}
				if !tt.given {
					return
				}
				if c, err := e.OpenChange(t.Context(), alice, "C1"); err != nil || c.State != backout.ChangeOpen {
					t.Errorf("opening it then: %s, %v", c.State, err)
				}
			})
		})
	}
}
