package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/evidence"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

const (
	// redReadFor and redReadMost bound one read: in time, and in posts. The next one
	// goes on from there.
	redReadFor  = 2 * time.Second
	redReadMost = 500_000
	// redBefore is how long before its window alerts are read for a change: what
	// fired by then is told again every 4 h, unless Alertmanager was told otherwise.
	redBefore = 6 * time.Hour
	// redTargets is how many targets are shown of a change, redSpans how many times of
	// redness of all its targets are told apart, about.
	redTargets = 200
	redSpans   = 20_000
)

// around is how much is shown before the window of a change, and after its end.
func around(c *backout.Change, now time.Time) (from, until time.Time) {
	end := c.EndedAt
	if end.IsZero() {
		end = now
	}
	margin := min(max(end.Sub(c.OpenedAt)/10, 10*time.Minute), 2*time.Hour)
	until = earliest(end.Add(margin), now)
	return c.OpenedAt.Add(-margin).UTC(), until.UTC()
}

// next reads on, where there is anything to read, and says what is known then.
func (h *redHistory) next(ctx context.Context, e *Engine, c backout.Change, last redAnswer) redAnswer {
	now := time.Now()
	from, until := around(&c, now)
	a := redAnswer{at: now, ended: c.EndedAt, posts: e.posted.Load(), whole: last.whole}
	if h.history == nil || !last.whole || a.posts != last.posts {
		a.whole, a.err = h.read(ctx, e, until, c.State.Final())
	}
	if a.err != nil {
		return a
	}
	if a.whole {
		h.history.Advance(until)
	}
	a.RedHistory = handlers.RedHistory{From: from, Until: until}
	a.Targets, a.MoreTargets = h.shown(e, from, until, !a.whole, !c.State.Final())
	a.Cut = h.cut(from, a.whole)
	if a.final = a.whole && c.State.Final() && until.Before(now); a.final {
		h.history = nil
	}
	return a
}

// read takes in what came in up to the time and has not been taken in yet. whole is
// false when that was too much for once.
func (h *redHistory) read(ctx context.Context, e *Engine, until time.Time, ended bool) (whole bool, err error) {
	deadline := time.Now().Add(redReadFor)
	ctx, stop := context.WithDeadlineCause(ctx, deadline, errEnough)
	defer stop()
	if h.history == nil {
		if h.kept, err = e.store.Alerts.KeptSince(ctx); err != nil {
			return false, err
		}
		most := min(max(redSpans/max(1, len(h.targets)), 20), 250)
		h.history = evidence.NewHistory(h.targets, evidence.HistoryOptions{MaxSpans: most})
		h.after, h.garbled = store.Position{}, 0
	}
	select {
	case e.histories.slots <- struct{}{}:
		defer func() { <-e.histories.slots }()
	case <-ctx.Done():
		return false, enough(ctx, context.Cause(ctx))
	}
	cfg, n := e.cfg(), 0
	err = e.readPosts(ctx, h.after, h.opened.Add(-redBefore), func(pos store.Position, p store.Post) error {
		if ended && p.ReceivedAt.After(until) {
			return errPast
		}
		if n++; n > e.histories.most || time.Now().After(deadline) {
			return errEnough
		}
		h.after = pos
		h.take(cfg, p)
		return nil
	})
	if errors.Is(err, errPast) {
		return true, nil
	}
	return false, enough(ctx, err)
}

// errEnough ends a read that takes too long.
var errEnough = errors.New("enough for one read")

// enough is nil where a read has ended because it was long enough.
func enough(ctx context.Context, err error) error {
	if errors.Is(err, errEnough) || errors.Is(context.Cause(ctx), errEnough) {
		return nil
	}
	return err
}

// readPosts hands over what is stored behind a position, or where there is none since a
// time, and ends with [errPast] when that was all, with fn's error, or with ctx.
func (e *Engine) readPosts(ctx context.Context, after store.Position, since time.Time, fn func(store.Position, store.Post) error) error {
	ctx, caughtUp := context.WithCancelCause(ctx)
	defer caughtUp(nil)
	each := func(pos store.Position, _ bool, p store.Post) error { return fn(pos, p) }
	all := func() { caughtUp(errPast) }
	var err error
	if after.Seq > 0 {
		err = e.store.Alerts.FollowAfter(ctx, after, each, all)
	} else {
		err = e.store.Alerts.Follow(ctx, since, each, all)
	}
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && errors.Is(cause, errPast) {
		return errPast
	}
	return err
}

// take takes in a post.
func (h *redHistory) take(cfg *Config, p store.Post) {
	alerts, err := decodePost(p)
	if err != nil {
		h.garbled++
	}
	at := earliest(p.ReceivedAt, time.Now()) // another server's clock may be ahead
	labels := cfg.Rules.TargetLabels()
	for i := range alerts {
		a := &alerts[i]
		if cfg.Monitoring != nil && cfg.Monitoring.Watchdog.Match(a) {
			continue
		}
		for _, label := range labels {
			if target := rules.Host(a.Labels[label]); target != "" {
				h.history.Observe(target, a, at)
			}
		}
	}
}

// shown is what people see of the history. live says that what fires now is known.
func (h *redHistory) shown(e *Engine, from, until time.Time, cut, live bool) (list []handlers.TargetHistory, more int) {
	list = make([]handlers.TargetHistory, len(h.targets))
	for i, name := range h.targets {
		var now []*backout.Alert
		if live {
			now = e.world.redSince(name, time.Time{})
		}
		list[i] = handlers.TargetHistory{Target: name, Red: within(h.history.Spans(name, cut, now), from, until)}
	}
	if len(list) <= redTargets {
		return list, 0
	}
	// The reddest are shown, in the order of all.
	order := make([]int, len(list))
	red := make([]time.Duration, len(list))
	for i := range list {
		order[i], red[i] = i, redFor(list[i].Red, until)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(red[b], red[a]) })
	order = order[:redTargets]
	slices.Sort(order)
	few := make([]handlers.TargetHistory, redTargets)
	for i, place := range order {
		few[i] = list[place]
	}
	return few, len(list) - redTargets
}

// within are the spans between the times. What goes on behind the last is red yet.
func within(spans []evidence.Span, from, until time.Time) []handlers.RedSpan {
	out := []handlers.RedSpan{}
	for _, s := range spans {
		if !s.To.IsZero() && (!s.To.After(from) || !s.From.Before(until)) {
			continue
		}
		// What fires yet may have begun only now, or by a clock that is ahead.
		span := handlers.RedSpan{From: earliest(latest(s.From, from), until).UTC(), To: s.To.UTC(), Alerts: s.Alerts}
		if s.To.IsZero() || s.To.After(until) {
			span.To = time.Time{}
		}
		if span.Alerts == nil {
			span.Alerts = []string{}
		}
		out = append(out, span)
	}
	return out
}

func redFor(spans []handlers.RedSpan, until time.Time) (all time.Duration) {
	for _, s := range spans {
		if s.To.IsZero() {
			s.To = until
		}
		all += s.To.Sub(s.From)
	}
	return all
}

// cut says what is missing.
func (h *redHistory) cut(from time.Time, whole bool) string {
	var list []string
	if h.kept.After(from) {
		list = append(list, "alerts are kept since "+h.kept.UTC().Format(time.RFC3339)+" only: what was red before is not known")
	}
	if !whole {
		until := "of alerts none is read yet"
		if now := h.history.Now(); !now.IsZero() {
			until = "alerts that came after " + now.UTC().Format(time.RFC3339) + " are not read yet"
		}
		list = append(list, until+": there are many, look again in a moment")
	}
	if h.history.Evicted() > 0 {
		list = append(list, "more alerts fired at once than are counted: a red target may look green")
	}
	if h.history.Joined() {
		list = append(list, "targets were red too often to tell each time apart: what is close together is told as one")
	}
	if h.history.Unnamed() {
		list = append(list, "more alerts fired at once than are named")
	}
	if h.garbled > 0 {
		list = append(list, fmt.Sprintf("%d stored requests cannot be decoded any more", h.garbled))
	}
	return strings.Join(list, "; ")
}
