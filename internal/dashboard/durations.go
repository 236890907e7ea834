package dashboard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// logsPerList is how many logs one view of the list reads, for at most readLogs.
	// What a rollback has taken is kept, so the next view reads others.
	logsPerList = 10
	readLogs    = time.Second
	// keptSpans is of how many rollbacks it is kept.
	keptSpans = 2000
	// spansRest is how long a log is not read again that could not be read, or that of one
	// that is under way, whatever happens to it: an open page is made anew with each step.
	spansRest = 10 * time.Second
	// runningStep is how often the bar of a level that runs grows: an open page is sent
	// again when it does.
	runningStep = 15 * time.Second
)

// spans keeps when the levels of rollbacks have run, by their ids.
type spans struct {
	mu   sync.Mutex
	kept map[string]readSpans
}

// readSpans is what the log of a rollback said of its levels as it was then.
type readSpans struct {
	levels   []ui.Span
	revision uint64
	over     bool
	at       time.Time
	// failed tells that it could not be read when it was asked for last, at that time.
	failed bool
}

// holds tells whether that is enough to know of the rollback as it is now.
func (s *readSpans) holds(r *backout.Rollback, now time.Time) bool {
	rests := now.Sub(s.at) < spansRest && (s.failed || !r.Status.Final())
	return rests || s.over || s.revision == r.Revision && r.Revision != 0
}

// spansOf says when the levels of the rollback ran. One that has left no level behind says
// so by itself; of any other the log has to be read, which is done at most so often: ok is
// false for what was not read.
func (d *Dashboard) spansOf(ctx context.Context, r *backout.Rollback, left *int) (out []ui.Span, ok bool) {
	if r.Level <= r.StartAt {
		out = make([]ui.Span, len(r.Frozen.Plan.Levels))
		if r.Level >= 0 && r.Level < len(out) {
			out[r.Level] = ui.Span{Entered: r.LevelEnteredAt, Started: r.LevelStartedAt, Ended: leftAt(r)}
		}
		return out, true
	}
	d.spans.mu.Lock()
	known, found := d.spans.kept[r.ID]
	d.spans.mu.Unlock()
	now := time.Now()
	if found && known.holds(r, now) || *left == 0 || ctx.Err() != nil {
		return known.levels, known.levels != nil // as far as it was known
	}
	*left--
	// Read past the logs that open pages use.
	log, err := d.o.Services.Rollbacks.RollbackLog(ctx, r.ID)
	switch {
	case errors.Is(err, context.Canceled): // whoever asked went away
	case err != nil:
		known.at, known.failed = now, true
		d.spans.keep(r.ID, known)
	default:
		known = readSpans{levels: slices.Clip(pastOf(log).spans(len(r.Frozen.Plan.Levels))), revision: r.Revision, over: r.Status.Final(), at: now}
		d.spans.keep(r.ID, known)
	}
	return known.levels, known.levels != nil
}

func (s *spans) keep(id string, read readSpans) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= keptSpans {
		s.kept = map[string]readSpans{}
	}
	s.kept[id] = read
}

// leftAt is when the level was over that the rollback came to last; zero while it is not.
func leftAt(r *backout.Rollback) time.Time {
	switch {
	case r.Status == backout.RollbackAwaiting && r.Ask != nil:
		return r.Ask.AskedAt
	case r.Status == backout.RollbackHeld && r.HeldStatus == backout.RollbackAwaiting:
		return r.HeldAt
	}
	return r.EndedAt
}

// durations adds the picture of how long levels took. The page is of use without it.
func (d *Dashboard) durations(ctx context.Context, q *query, out *ui.Rollbacks, list []backout.Rollback) {
	ctx, cancel := context.WithTimeout(ctx, readLogs)
	defer cancel()
	left := logsPerList
	picture := chart.Durations{ID: "took"}
	for i := range list {
		spans, ok := d.spansOf(ctx, &list[i], &left)
		if !ok {
			out.Unread++
			continue
		}
		if timed := d.timed(&list[i], spans, q.now); len(timed.Levels) > 0 {
			picture.Rollbacks = append(picture.Rollbacks, timed)
		}
	}
	if len(picture.Rollbacks) > 0 {
		out.Picture, out.Words = picture, picture.Words()
	}
}

// timed is how long each level of the rollback took that has begun a step.
func (d *Dashboard) timed(r *backout.Rollback, spans []ui.Span, now time.Time) chart.Timed {
	out := chart.Timed{Name: r.ID, Href: d.o.Base + "/rollbacks/" + r.ID, At: r.OpenedAt}
	for i, s := range spans {
		if s.Started.IsZero() {
			continue
		}
		l := &r.Frozen.Plan.Levels[i]
		level := chart.TimedLevel{Name: l.Name, Took: s.Ended.Sub(s.Started), Limit: time.Duration(l.EscalateAfter), Outcome: "did not help"}
		switch {
		case s.Ended.IsZero():
			level.Running, level.Took, level.Outcome = true, ran(now.Sub(s.Started), level.Limit), ""
		case i == r.Level && r.Status.Final():
			level.Outcome = strings.ReplaceAll(string(r.Status), "_", " ")
		}
		out.Levels = append(out.Levels, level)
	}
	return out
}

// ran is how long a level has run, in steps: not less than it is, and over its limit only
// when it is.
func ran(d, limit time.Duration) time.Duration {
	d = max(d, 0)
	steps := (d + runningStep - 1).Truncate(runningStep)
	if limit > 0 && d <= limit {
		return min(steps, limit)
	}
	return steps
}
