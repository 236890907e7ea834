package ui

import (
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
)

// Standing is what the gate's last word on a change is worth now.
type Standing struct {
	// State is a word of the looks; empty where it is of no concern any more.
	State string
	// Says says why it is worth nothing, or how many reasons there are.
	Says string
	// Until is when a yes goes stale; zero for anything else.
	Until time.Time
}

// StandingOf tells it of the change as it was read.
func StandingOf(c *backout.Change) Standing {
	switch {
	case c.State.Final():
		return Standing{}
	case c.State.Live() && len(c.NotReady) > 0:
		return Standing{State: "gate_broken", Says: countReasons(c.NotReady)}
	case c.State == backout.ChangeBackingOut:
		return Standing{State: "gate_used"}
	case c.State.Live():
		return Standing{State: "gate_holds"}
	case c.Stale != "":
		return Standing{State: "gate_stale", Says: c.Stale}
	case c.State == backout.ChangeReady:
		return Standing{State: "gate_passed", Until: c.ValidUntil}
	case len(c.Violations) > 0:
		return Standing{State: "gate_refused", Says: countReasons(c.Violations)}
	}
	return Standing{State: "gate_never"}
}

// countReasons counts different reasons: of many targets often the same is true.
func countReasons(all []backout.Violation) string {
	return plural(len(Together(all, len(all)).List), "reason")
}

// Upcoming is what happens to a change next.
type Upcoming struct {
	// Due is when; zero when no clock of the change runs.
	Due time.Time
	// Says says what happens then or, without a clock, what it waits for.
	Says string
}

// NextOf tells what happens to the change next by itself, and what only people do.
func NextOf(c *backout.Change, now time.Time) Upcoming {
	switch c.State {
	case backout.ChangePlanned, backout.ChangeReady:
		return beforeWindow(c, now)
	case backout.ChangeOpen:
		return Upcoming{c.Window.Closes, "the window closes, and the watch begins"}
	case backout.ChangeWatching:
		return Upcoming{c.WatchUntil, "the watch ends, and with it the change"}
	case backout.ChangeBackingOut:
		return Upcoming{Says: "it goes on when its rollbacks have ended"}
	case backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled:
	}
	return Upcoming{}
}

func beforeWindow(c *backout.Change, now time.Time) Upcoming {
	w := c.Window
	due, byItself := change.NextDeadline(*c)
	switch {
	case c.Capture != nil && c.Capture.Opening:
		return Upcoming{Says: "baselines are being captured on " + c.Capture.Server + ", to open the window"}
	case c.Capture != nil:
		return Upcoming{Says: "baselines are being captured on " + c.Capture.Server}
	case !w.Closes.IsZero() && !now.Before(w.Closes):
		return Upcoming{Says: "its window is over, and was never opened: extend it, or cancel the change"}
	case byItself && len(c.Violations) > 0 && now.After(w.Opens):
		return Upcoming{due, "the gate is asked again, and opens the window by itself once it says yes"}
	case byItself:
		return Upcoming{due, "the window opens by itself, if the gate says yes then"}
	case w.Opens.IsZero():
		return Upcoming{Says: "no time is planned: somebody opens the window, if the gate says yes then"}
	case now.Before(w.Opens):
		return Upcoming{w.Opens, "the window may be opened, if the gate says yes then"}
	case w.Closes.IsZero():
		return Upcoming{Says: "the window may be opened now, if the gate says yes"}
	}
	return Upcoming{w.Closes, "the window is over; until then it may be opened, if the gate says yes"}
}

// EndOf is when alerts stop counting for the change, as far as it is known; zero where
// no window is planned.
func EndOf(c *backout.Change) time.Time {
	switch {
	case !c.EndedAt.IsZero():
		return c.EndedAt
	case !c.WatchUntil.IsZero():
		return c.WatchUntil
	case c.Window.Closes.IsZero():
		return c.Window.Opens
	}
	return c.Window.Closes.Add(time.Duration(c.Window.Watch))
}

// BeginOf is when the change's window opens, or opened; zero where none is planned.
func BeginOf(c *backout.Change) time.Time {
	if !c.OpenedAt.IsZero() {
		return c.OpenedAt
	}
	return c.Window.Opens
}
