package dashboard

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// bandsDrawn is how many targets have a row in the picture of a change.
	bandsDrawn = 30
	// historyRest is how long the alerts of a live change are not looked through again, at
	// least; those of one that has ended rest for historyEnded.
	historyRest, historyEnded = time.Second, 5 * time.Minute
	// historiesMost is how many are kept.
	historiesMost = 64
)

// history is when the targets of a change were red, as it was read.
type history struct {
	handlers.RedHistory
	revision uint64
	read     time.Time
	took     time.Duration
}

// histories keeps what was read: to look through the alerts may take long, and an open
// page asks every few seconds. It is safe for concurrent use.
type histories struct {
	mu   sync.Mutex
	kept map[string]history
}

// redHistory tells when the change's targets were red; whoever asks has read the change.
func (d *Dashboard) redHistory(ctx context.Context, c *backout.Change) (handlers.RedHistory, error) {
	h := &d.histories
	h.mu.Lock()
	known, ok := h.kept[c.ID]
	h.mu.Unlock()
	began := time.Now()
	rest := max(historyRest, restAfter*known.took)
	if c.State.Final() {
		rest = max(rest, historyEnded)
	}
	if ok && c.Revision != 0 && began.Sub(known.read) < rest && (known.revision == c.Revision || !c.State.Final()) {
		return known.RedHistory, nil
	}
	read, err := d.o.Services.Insight.RedHistory(ctx, c.ID)
	if err != nil {
		return read, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil || len(h.kept) >= historiesMost {
		h.kept = map[string]history{}
	}
	h.kept[c.ID] = history{read, c.Revision, time.Now(), time.Since(began)}
	return read, nil
}

// drawAlerts fills the picture of when the targets were red, and of what was done
// meanwhile. The page is of use without it.
func (d *Dashboard) drawAlerts(ctx context.Context, q *query, out *ui.Change, logs []*gist) {
	c := &out.Change
	if c.OpenedAt.IsZero() {
		return // nothing counted yet
	}
	red, err := d.redHistory(ctx, c)
	if err != nil {
		out.AlertsUnknown = err.Error()
		return
	}
	out.AlertsCut = red.Cut
	from, until, now := alertTime(c, beginOf(c, red), q.now)
	bands := chart.Bands{
		ID: "alerts-of-it", Width: pictureWidth, Title: "Alerts of " + c.ID, From: from, Until: until, Now: now,
		Window: chart.Stretch{From: c.OpenedAt, Until: windowEnd(c)}, Watch: watchOf(c),
	}
	targets := slices.Clone(red.Targets) // the answer is shared with everybody who looks
	slices.SortStableFunc(targets, compareRed)
	for i, t := range targets {
		if i >= bandsDrawn {
			out.MoreAlerts++
			if len(t.Red) > 0 {
				out.MoreRed++
			}
			continue
		}
		row := chart.Row{Name: t.Target}
		for _, span := range t.Red {
			row.Red = append(row.Red, chart.Red{From: span.From, Until: span.To, Alerts: span.Alerts})
		}
		bands.Rows = append(bands.Rows, row)
	}
	out.MoreAlerts += red.MoreTargets
	for _, g := range logs {
		bands.Marks = append(bands.Marks, g.marks...)
	}
	slices.SortStableFunc(bands.Marks, func(a, b chart.Mark) int { return a.At.Compare(b.At) })
	out.Alerts = bands
}

// compareRed puts what is red yet first, then what was red first.
func compareRed(a, b handlers.TargetHistory) int {
	rank := func(t handlers.TargetHistory) int {
		switch {
		case len(t.Red) == 0:
			return 2
		case t.Red[len(t.Red)-1].To.IsZero():
			return 0
		}
		return 1
	}
	if by := rank(a) - rank(b); by != 0 || len(a.Red) == 0 {
		return by
	}
	return a.Red[0].From.Compare(b.Red[0].From)
}

// beginOf is when the picture begins: where nothing was red before the window, shortly
// before it, so that there is room for what was since.
func beginOf(c *backout.Change, red handlers.RedHistory) time.Time {
	const before = 2 * time.Minute
	for _, t := range red.Targets {
		if len(t.Red) > 0 && t.Red[0].From.Before(c.OpenedAt) {
			return red.From
		}
	}
	if late := c.OpenedAt.Add(-before); late.After(red.From) {
		return late
	}
	return red.From
}

// alertTime is the time that the picture shows. While the change is live it has some of
// what is to come, and the present moves in steps that can be seen.
func alertTime(c *backout.Change, from, present time.Time) (begin, end, now time.Time) {
	if begin = from; begin.IsZero() || begin.After(c.OpenedAt) {
		begin = c.OpenedAt
	}
	if c.State.Final() {
		passed := c.EndedAt.Sub(begin)
		return begin.Add(-passed / 20), c.EndedAt.Add(passed / 20), time.Time{}
	}
	const least = 15 * time.Second
	now = present.Truncate(max(least, (present.Sub(begin) / 300).Truncate(least)))
	passed := now.Sub(begin)
	end = now.Add(max(2*time.Minute, (passed / 4).Truncate(time.Minute)))
	if over := ui.EndOf(c); over.After(now) && over.Before(end) {
		end = over.Add(passed / 50)
	}
	return begin, end, now
}

// windowEnd is when the window closed, or will.
func windowEnd(c *backout.Change) time.Time {
	end := c.Window.Closes
	for _, t := range []time.Time{c.PatchedAt, c.EndedAt} {
		if !t.IsZero() && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	return end
}

// watchOf is the time of the watch, as far as it is known.
func watchOf(c *backout.Change) chart.Stretch {
	if c.WatchUntil.IsZero() {
		return chart.Stretch{}
	}
	until := c.WatchUntil
	if !c.EndedAt.IsZero() && c.EndedAt.Before(until) {
		until = c.EndedAt
	}
	return chart.Stretch{From: windowEnd(c), Until: until}
}
