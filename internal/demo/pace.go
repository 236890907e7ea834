package demo

import "time"

// pace are the times of a story.
type pace struct {
	// wait is how long the story waits for somebody to open the dashboard.
	wait time.Duration
	// every, holdFor and veto are those of the plan, escalateAfter that of L1. Without a
	// veto window L2 starts by itself.
	every, holdFor, escalateAfter, veto string
	// watchdog is how often the alert that always fires is sent; zero means that nobody
	// watches for it.
	watchdog time.Duration
}

// toldQuickly is the story for who reads it in the terminal only.
var toldQuickly = pace{every: "500ms", holdFor: "2s", escalateAfter: "6s"}

// watched is the story for who looks at the dashboard: slow enough to read what comes
// next, and to stop it.
var watched = pace{wait: 15 * time.Second, every: "1s", holdFor: "5s", escalateAfter: "20s", veto: "60s", watchdog: 5 * time.Second}
