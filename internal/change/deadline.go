package change

import (
	"time"

	"github.com/backout-io/backout"
)

// GateRetry is how long after a no the gate of a window that opens by itself is
// asked again.
const GateRetry = time.Minute

// NextDeadline returns when something about the change is due by itself, and
// false when nothing is. A time that is past is due now.
//
// For a planned or ready change whose window opens by itself it is the time to
// ask the gate and open: at the opening, and [GateRetry] after each no, until
// the window is over. For any other state it is the time of the next [Tick].
func NextDeadline(c backout.Change) (time.Time, bool) {
	switch c.State {
	case backout.ChangePlanned, backout.ChangeReady:
		return nextOpening(c)
	case backout.ChangeOpen:
		return c.Window.Closes, true
	case backout.ChangeWatching:
		return c.WatchUntil, true
	case backout.ChangeBackingOut:
		// The end of the watch waits for the rollback, the end of the window
		// does not: the watch must be known when the rollback ends.
		if c.WatchUntil.IsZero() {
			return c.Window.Closes, true
		}
	case backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled:
	}
	return time.Time{}, false
}

func nextOpening(c backout.Change) (time.Time, bool) {
	if c.Capture != nil {
		return leaseEnd(*c.Capture), true
	}
	if !c.Window.Auto || c.Window.Opens.IsZero() {
		return time.Time{}, false
	}
	due := c.Window.Opens
	if retry := c.GateAt.Add(GateRetry); len(c.Violations) > 0 && retry.After(due) {
		due = retry
	}
	if over(c.Window, due) {
		return time.Time{}, false
	}
	return due, true
}

// tick moves what is due. A server that was down may find both ends passed.
func tick(c backout.Change, in Input) []backout.Event {
	events := captureGivenUp(c, in.At)
	opened := c.State == backout.ChangeOpen || c.State == backout.ChangeBackingOut
	if opened && c.WatchUntil.IsZero() && over(c.Window, in.At) {
		started := backout.WatchStarted{Until: c.Window.Closes.Add(time.Duration(c.Window.Watch))}
		events = append(events, started)
		c = Apply(c, c.Revision, in.At, started)
	}
	return append(events, watchOver(c, in)...)
}

// watchOver ends a watch whose time is up. While a rollback is active the state
// is backing_out, and the watch goes on.
func watchOver(c backout.Change, in Input) []backout.Event {
	if c.State != backout.ChangeWatching || in.At.Before(c.WatchUntil) {
		return nil
	}
	return []backout.Event{backout.ChangeEnded{State: endOfWatch(c), Reason: "the watch is over", Blind: in.Blind}}
}

// endOfWatch is closed when nothing had to be taken back.
func endOfWatch(c backout.Change) backout.ChangeState {
	if failedRollback(c) != "" {
		return backout.ChangeBackoutFailed
	}
	if len(takenBack(c)) > 0 {
		return backout.ChangeBackedOut
	}
	return backout.ChangeClosed
}
