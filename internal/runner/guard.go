package runner

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
)

// guarded is the host as the executor sees it: an attempt that was asked to stop
// does not start, one that the target has taken is not sent again, and output
// goes on where it stopped.
type guarded struct {
	backout.Host
	j *job
}

// Start implements [backout.Host].
func (g guarded) Start(ctx context.Context, attempt string, e backout.Exec) error {
	g.j.starting.Lock()
	defer g.j.starting.Unlock()
	if g.j.taken {
		return nil
	}
	if _, reason := g.j.tooLate(); reason != nil {
		return g.late(ctx, attempt, reason)
	}
	if g.j.sent || g.j.resumed {
		report, err := g.Probe(ctx, attempt)
		if err != nil {
			return err
		}
		if report.State == backout.AttemptNotStarted {
			if err := g.j.lost(report); err != nil {
				return err
			}
		}
	}
	// Right before the start: asking the target may have taken long.
	if g.j.Begin != nil {
		if err := g.j.Begin(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotNow, err)
		}
	}
	err := g.Host.Start(ctx, attempt, e)
	if err == nil || !errors.Is(err, host.ErrNoConnection) && !backout.IsPermanent(err) {
		g.j.sent = true
	}
	if err != nil {
		return err
	}
	g.j.taken = true
	if g.j.Task.Step.Reboots {
		// Should the disk come back without the attempt, this is what is left of it.
		g.j.bootAtStart, _ = g.BootID(ctx)
	}
	return nil
}

// late answers a start of an attempt that is not to begin any more.
func (g guarded) late(ctx context.Context, attempt string, reason error) error {
	if !g.j.sent && !g.j.resumed {
		return backout.Permanent(reason)
	}
	fenced, err := g.j.fence(ctx)
	switch {
	case err != nil:
		return err
	case fenced:
		return backout.Permanent(reason)
	}
	return nil
}

// Attach implements [backout.Host]. What was copied before the connection was
// lost is not fetched again.
func (g guarded) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	if out != io.Writer(g.j.out) || attempt != g.j.Task.AttemptID {
		return g.Host.Attach(ctx, attempt, offset, out)
	}
	if behind := g.j.attached - offset; behind > 0 {
		g.j.out.pass(behind)
		offset = g.j.attached
	}
	return g.Host.Attach(ctx, attempt, offset, counted{g.j})
}

// counted keeps count of what has been attached to.
type counted struct{ j *job }

// Write implements [io.Writer].
func (c counted) Write(p []byte) (int, error) {
	n, err := c.j.out.Write(p)
	c.j.attached += int64(n)
	return n, err
}
