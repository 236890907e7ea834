package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/retry"
)

// CaptureLook says what is to be captured of a target, and by which plan.
type CaptureLook struct {
	Target   backout.Target
	ChangeID string
	Frozen   backout.FrozenPlan
	// AIDE is the digest of AIDE's database at the baseline, where AIDE is to check
	// the target as well, which takes minutes: with that database it does.
	AIDE string
}

// Capture looks at the target as the plan's baseline section says; see
// [capture.Take].
func (r *Runner) Capture(ctx context.Context, l CaptureLook) (backout.Inventory, error) {
	h, err := r.o.Hosts.For(l.Target)
	if err != nil {
		return backout.Inventory{}, backout.Permanent(err)
	}
	seen, err := r.o.Capture(ctx, h, l.Frozen.Plan.Baseline)
	if err == nil && l.AIDE != "" && seen.AIDE != nil && seen.AIDE.Database == l.AIDE {
		var report backout.AIDEReport
		report, err = r.o.AIDE(ctx, h)
		seen.AIDE.Report = &report
	}
	if err != nil {
		return backout.Inventory{}, r.hidden(err)
	}
	return seen, nil
}

// Errand is what [Runner.Tend] does beside the steps of a rollback.
type Errand string

// The errands.
const (
	// ErrandPrepare makes what the way back needs: the Prepare of a level's step,
	// or the whole of a baseline step, whose task is at [backout.LevelBaseline].
	ErrandPrepare Errand = "prepare"
	// ErrandCleanup removes what is not needed any more: the Cleanup of a step, or
	// the whole of a clean-up step, whose task is at [backout.LevelCleanup].
	ErrandCleanup Errand = "cleanup"
	// ErrandRelease releases what the step holds.
	ErrandRelease Errand = "release"
)

// errandAway is how long an errand goes on trying to reach its target. Nothing but
// the errand waits for it.
const errandAway = time.Minute

// Tend runs an errand under the task's attempt, which has no rollback. It may be
// called again with the same attempt: what runs is attached to. An executor that
// has nothing to do for the errand does nothing and well. The plan is for runners
// near the target, which want to see that the step stands in it.
func (r *Runner) Tend(ctx context.Context, _ backout.FrozenPlan, errand Errand, t backout.Task) (backout.Prepared, error) {
	made, err := r.tend(ctx, errand, t)
	if err != nil {
		return backout.Prepared{}, r.hidden(fmt.Errorf("%s of step %s: %w", errand, t.Step.Uses, err))
	}
	if made != nil {
		return backout.Prepared{Uses: t.Step.Uses, Facts: made}, nil
	}
	return backout.Prepared{}, nil
}

// tend returns what was made; nil when nothing was to be made.
func (r *Runner) tend(ctx context.Context, errand Errand, t backout.Task) (map[string]string, error) {
	if errand == ErrandPrepare {
		if err := executors.BeforePatch(t); err != nil {
			return nil, err
		}
	}
	executor, err := r.build(ctx, t)
	if err != nil {
		return nil, err
	}
	h, err := r.hostOf(t)
	if err != nil {
		return nil, backout.Permanent(err)
	}
	do := doing(executor, errand, whole(errand, t))
	if do == nil {
		return nil, nil
	}
	return follow(ctx, h, t, do)
}

// errandFunc is what an errand calls of an executor. It returns what was made.
type errandFunc func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (map[string]string, error)

// doing is what the executor does for the errand; nil for nothing.
func doing(e backout.Executor, errand Errand, whole bool) errandFunc {
	if whole {
		return func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (map[string]string, error) {
			outcome, err := e.Execute(ctx, t, h, out)
			return made(outcome.Facts), err
		}
	}
	switch errand {
	case ErrandPrepare:
		if p, ok := e.(backout.Preparer); ok {
			return func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (map[string]string, error) {
				prepared, err := p.Prepare(ctx, t, h, out)
				return made(prepared.Facts), err
			}
		}
	case ErrandCleanup:
		if c, ok := e.(backout.Cleaner); ok {
			return quiet(c.Cleanup)
		}
	case ErrandRelease:
		if h, ok := e.(backout.Holder); ok {
			return quiet(h.Release)
		}
	}
	return nil
}

// made is never nil: a step that makes nothing worth telling has been prepared too.
func made(facts map[string]string) map[string]string {
	if facts == nil {
		return map[string]string{}
	}
	return facts
}

func quiet(do func(context.Context, backout.Task, backout.Host, io.Writer) error) errandFunc {
	return func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (map[string]string, error) {
		return nil, do(ctx, t, h, out)
	}
}

// follow calls the executor until the errand's end is known. Neither a lost
// connection nor an error while its command runs is the end: the executor is called
// again, and attaches. Past its time-out or its deadline it is ended on the target:
// whoever asked for it counts on that nothing of it comes to be later.
func follow(ctx context.Context, h backout.Host, t backout.Task, do errandFunc) (facts map[string]string, last error) {
	until := t.Deadline
	if most := time.Duration(t.Step.Timeout); most > 0 && (until.IsZero() || time.Until(until) > most) {
		until = time.Now().Add(most)
	}
	within, cancel := ctx, func() {}
	if !until.IsZero() {
		within, cancel = context.WithDeadline(ctx, until)
	}
	defer cancel()
	var away time.Time
	_ = retry.Do(within, retry.Policy{Most: 5 * time.Second}, func(ctx context.Context) error {
		facts, last = do(ctx, t, h, io.Discard)
		switch {
		case last == nil:
			return nil
		case errors.Is(last, host.ErrUnreachable) && away.IsZero():
			away = time.Now()
		case errors.Is(last, host.ErrUnreachable) && time.Since(away) < errandAway:
		case !errors.Is(last, host.ErrUnreachable) && runs(ctx, h, t):
			away = time.Time{}
		default:
			return backout.Permanent(last)
		}
		return last
	})
	if last != nil && !until.IsZero() && !time.Now().Before(until) {
		return nil, errors.Join(timedOut(t), stopErrand(context.WithoutCancel(ctx), h, t))
	}
	return facts, last
}

// runs tells whether the target says that the errand's command runs.
func runs(ctx context.Context, h backout.Host, t backout.Task) bool {
	report, err := h.Probe(ctx, t.AttemptID)
	return err == nil && report.State == backout.AttemptRunning
}

// stopErrand ends an errand on its target whose time is up.
func stopErrand(ctx context.Context, h backout.Host, t backout.Task) error {
	ctx, cancel := context.WithTimeout(ctx, errandAway/2)
	defer cancel()
	if err := h.Stop(ctx, t.AttemptID); err != nil {
		return fmt.Errorf("and it may run yet: %w", err)
	}
	return nil
}

// hiddenError is an error whose text has no secrets.
type hiddenError struct {
	error
	text string
}

// Error implements error.
func (h hiddenError) Error() string { return h.text }

// Unwrap lets the cause be asked for, not printed.
func (h hiddenError) Unwrap() error { return h.error }

// hidden is the error without secrets in its text: it may repeat a command's output.
func (r *Runner) hidden(err error) error {
	secrets := make([]string, len(r.o.Secrets))
	for i, s := range r.o.Secrets {
		secrets[i] = s.Reveal()
	}
	redact := newRedactor(secrets)
	var text strings.Builder
	for line := range strings.Lines(err.Error()) {
		text.Write(redact.line([]byte(line)))
	}
	return hiddenError{err, strings.TrimSpace(text.String())}
}
