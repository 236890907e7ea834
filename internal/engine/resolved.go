package engine

import (
	"context"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// saidOver is when the alerts of a rollback were said to be over, and since when somebody
// must have watched for that to be true.
type saidOver struct{ at, since time.Time }

// cancelResolved cancels a rollback that has not started when its alerts are said to be
// over just now. When Prometheus dies all of them seem to be, and the watchdog's end may
// come last: so what has entered a level waits until the watchdog would have been missed,
// see [Engine.confirmEnds].
func (e *Engine) cancelResolved(r backout.Rollback) {
	patience := time.Duration(0)
	if m := e.cfg().Monitoring; m != nil {
		patience = m.MissingAfter
	}
	e.cancelWatched(r, time.Now().Add(-patience))
}

// cancelQuiet is cancelResolved where nobody says it just now: the alerts of the rollback
// may have ended at any time since it was opened.
func (e *Engine) cancelQuiet(r backout.Rollback) { e.cancelWatched(r, r.OpenedAt) }

func (e *Engine) cancelWatched(r backout.Rollback, since time.Time) {
	if r.Level < 0 || e.cfg().Monitoring == nil {
		e.cancelSettled(r)
		return
	}
	if r.Trigger.Verdict != nil && !r.Status.Final() && !rollback.Started(r) && !e.stillRed(r) {
		e.over.LoadOrStore(r.ID, saidOver{at: time.Now(), since: since})
	}
}

// confirmEnds cancels what waited until it is known that somebody watched when its alerts
// ended. What ended while nobody did is unknown, and goes on.
func (e *Engine) confirmEnds(cfg *Monitoring) {
	e.over.Range(func(id, heard any) bool {
		rollbackID, _ := id.(string)
		end, _ := heard.(saidOver)
		r, ok := e.rollbacks.get(rollbackID)
		red := ok && e.stillRed(r) // again: its next end waits anew
		if !red && cfg != nil && time.Since(end.at) < cfg.MissingAfter {
			return true
		}
		e.over.Delete(id)
		if ok && !red && e.monitoring.during(end.since, time.Now().UTC()) == "" {
			e.cancelSettled(r)
		}
		return true
	})
}

// cancelUnconfirmed cancels what has not started where an alert is only heard of no more:
// it is unknown, not resolved. That ends what waits, and no level that was entered.
func (e *Engine) cancelUnconfirmed(r backout.Rollback) {
	if r.Level < 0 {
		e.cancelSettled(r)
	}
}

// cancelSettled cancels a rollback that has not started and has no reason to any
// more. One older than what is remembered of alerts is left to people. While monitoring is
// blind every alert seems to be over, and none counts as resolved.
func (e *Engine) cancelSettled(r backout.Rollback) {
	unknown := time.Since(r.OpenedAt) > e.remember
	if r.Trigger.Verdict == nil || r.Status.Final() || rollback.Started(r) || unknown || e.stillRed(r) || e.monitoring.red() != "" {
		return
	}
	e.spawn(func(ctx context.Context) { e.decided(ctx, r.ID, rollback.Resolved{}) })
}

// stillRed tells whether an alert that speaks for the rollback fires still.
func (e *Engine) stillRed(r backout.Rollback) bool {
	return slices.ContainsFunc(r.Evidence, func(ref backout.AlertRef) bool { return e.world.firing(ref.Target, ref.Fingerprint) })
}
