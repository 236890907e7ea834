package engine

import (
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// Monitoring is a dead-man's switch: an alert that always fires. When it does not
// come any more, nobody would tell that a target is red.
type Monitoring struct {
	Watchdog     rules.Matchers
	MissingAfter time.Duration
	// Audience are the audiences to tell.
	Audience []string
}

// maxWatchdogs bounds how many different alerts are kept that match.
const maxWatchdogs = 100

// watchdog is one alert that matches, as far as its deliveries go.
type watchdog struct {
	// seen is when it was told last that it fires, open when so without naming an
	// end, as webhooks do; ends is the latest end it named.
	seen, open, ends time.Time
	// ended is the latest end that was told, endedSeen when that arrived.
	ended, endedSeen time.Time
	gone             bool
}

// fires takes in that it fires. A late duplicate of what has ended is no news.
func (d *watchdog) fires(a *backout.Alert, at time.Time) {
	if !d.ended.IsZero() && !a.StartsAt.After(d.ended) && at.Before(d.endedSeen.Add(lateFor)) {
		return
	}
	d.gone, d.seen = false, latest(d.seen, at)
	if a.EndsAt.IsZero() {
		d.open = latest(d.open, at)
	} else {
		d.ends = latest(d.ends, a.EndsAt)
	}
}

// lateFor is how long a firing with an old start counts as a late duplicate, as in
// package evidence.
const lateFor = 2 * time.Minute

// over takes in that it has ended. Monitoring that lives does not say so.
func (d *watchdog) over(a *backout.Alert, at time.Time) {
	ended := a.EndsAt
	if ended.IsZero() {
		ended = at
	}
	if ended.After(d.ended) && !d.seen.After(at) {
		d.gone, d.ended, d.endedSeen = true, ended, at
	}
}

// until is how long it counts as there: until it ended, as long as it named itself,
// or for so long since it was seen.
func (d *watchdog) until(missingAfter time.Duration) time.Time {
	if d.gone {
		return d.endedSeen
	}
	named := d.ends
	if most := d.seen.Add(missingAfter); named.After(most) {
		named = most
	}
	if d.open.IsZero() {
		return named
	}
	return latest(d.open.Add(missingAfter), named)
}

// watchdogs are all alerts that match: as long as one is there, somebody watches.
type watchdogs map[string]*watchdog

// take takes in a delivery of one.
func (ds watchdogs) take(a *backout.Alert, at time.Time) {
	d := ds[a.Fingerprint]
	if d == nil {
		if len(ds) == maxWatchdogs {
			ds.dropOldest()
		}
		d = &watchdog{}
		ds[a.Fingerprint] = d
	}
	if a.Firing {
		d.fires(a, at)
	} else {
		d.over(a, at)
	}
}

// notAfter corrects what came in by a clock that was ahead of now: it counts from now.
func (ds watchdogs) notAfter(now time.Time) {
	for _, d := range ds {
		d.seen, d.open, d.endedSeen = earliest(d.seen, now), earliest(d.open, now), earliest(d.endedSeen, now)
	}
}

func (ds watchdogs) dropOldest() {
	oldest := ""
	for fingerprint, d := range ds {
		if oldest == "" || d.seen.Before(ds[oldest].seen) {
			oldest = fingerprint
		}
	}
	delete(ds, oldest)
}

// last is when any of them was seen firing; zero when none ever was.
func (ds watchdogs) last() time.Time {
	var at time.Time
	for _, d := range ds {
		at = latest(at, d.seen)
	}
	return at
}

// until is how long at least one of them counts as there, and whether that ended
// because the alert itself said so.
func (ds watchdogs) until(missingAfter time.Duration) (until time.Time, said bool) {
	for _, d := range ds {
		if u := d.until(missingAfter); u.After(until) {
			until, said = u, d.gone
		}
	}
	return until, said
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
