package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
)

// captureGone is how long a server must not have been heard until the captures that
// it had under way count as given up, long before their lease is over. What it was
// doing on a target just then has ended by then.
const captureGone = time.Minute

// sweepCaptures gives up the captures of servers that are gone, so that their
// windows can be opened by another. since says since when each of these servers is
// known to be gone.
func (e *Engine) sweepCaptures(ctx context.Context, since map[string]time.Time, now time.Time) map[string]time.Time {
	if e.peers == nil || !e.peers.Knows() {
		return since
	}
	still := map[string]time.Time{}
	e.changes.awake(func(id string, c backout.Change) {
		if c.Capture == nil || c.State.Live() || c.State.Final() || e.mine(c.Capture.Server) || e.peers.Alive(c.Capture.Server) {
			return
		}
		server := c.Capture.Server
		first, known := since[server]
		if !known {
			first = now
		}
		still[server] = first
		if now.Sub(first) < captureGone || !e.owns(id) {
			return
		}
		failed := change.CaptureFailed{Number: c.Capture.Number, Violations: []backout.Violation{{
			Check: "capture", Reason: fmt.Sprintf("server %s began to capture the baselines and is gone", server), Fix: "open the window again, or capture again",
		}}}
		if _, err := e.changeInput(ctx, id, "", failed); err != nil && ctx.Err() == nil {
			e.log.Warn("capture of a server that is gone not given up, trying again", "change_id", id, "server", server, "error", err)
		}
	})
	return still
}
