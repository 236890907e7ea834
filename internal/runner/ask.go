package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

const (
	// askPatience is how long a step that is said to be under way, or to wait for a
	// boot, is asked for again, once its attempt tells nothing any more. The level's
	// clock runs on meanwhile.
	askPatience = 15 * time.Minute
	askEvery    = 5 * time.Second
	// askTimeout bounds one answer, whatever time-out the executor has.
	askTimeout = 2 * time.Minute
)

// askState asks the target's state, where the attempt is in doubt and its executor
// can read that: what the step was to bring about is there, or it is not. It starts
// nothing. A doubt that the state does not resolve stays one.
func (j *job) askState(ctx context.Context, e backout.Executor, r Result) Result {
	prober, ok := e.(backout.Prober)
	if !ok || !r.InDoubt || ctx.Err() != nil {
		return r
	}
	ended := false
	for began := time.Now(); ; {
		seen, err := j.seen(ctx, prober)
		switch {
		case ctx.Err() != nil:
			return interrupted(ctx)
		case err != nil:
			return doubt(fmt.Errorf("%w; and its state cannot be asked: %w", r.Err, err))
		}
		switch seen.State {
		case backout.ProbeDone:
			return Result{Outcome: backout.Outcome{Summary: detailed("found done", seen.Detail), Held: seen.Held}}
		case backout.ProbeNotDone, backout.ProbeBroken:
			if ended {
				return Result{Err: fmt.Errorf("%s, and nothing of the attempt runs: %w", detailed(inWords(seen.State), seen.Detail), plain(r.Err))}
			}
			// It is a failure only of what can do nothing any more: ended under its
			// id, and looked at once more after that.
			if err := j.endedOnTarget(ctx); err != nil {
				return doubt(fmt.Errorf("%w; %s, and it may run yet: %w", r.Err, detailed(inWords(seen.State), seen.Detail), err))
			}
			ended = true
			continue
		case backout.ProbeInProgress, backout.ProbePendingReboot:
			if j.asksAgain(ctx, began) {
				continue
			}
		case backout.ProbeUnknown:
		}
		return doubt(fmt.Errorf("%w; %s", r.Err, detailed(inWords(seen.State), seen.Detail)))
	}
}

// seen is what the executor reads from the target's state.
func (j *job) seen(ctx context.Context, p backout.Prober) (backout.Probed, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return p.Probe(ctx, j.Task, j.host)
}

// endedOnTarget makes sure that nothing of the attempt is alive on the target, and
// that nothing begins under its id any more.
func (j *job) endedOnTarget(ctx context.Context) error {
	report, err := j.forbid(ctx)
	switch {
	case err != nil:
		return err
	case report.State == backout.AttemptRunning, report.State == backout.AttemptNotStarted:
		return fmt.Errorf("its attempt is %s after it was stopped", strings.ReplaceAll(string(report.State), "_", " "))
	}
	return nil
}

// asksAgain pauses before the state is asked again; false when there is no use in
// it any more.
func (j *job) asksAgain(ctx context.Context, began time.Time) bool {
	if time.Since(began) > askPatience {
		return false
	}
	timer := time.NewTimer(askEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return true // the next answer tells
	case <-j.asked:
		return false
	case <-timer.C:
		return true
	}
}

// plain is the error as text, which is in doubt no more.
func plain(err error) error {
	if err == nil {
		return errors.New("its end is not known")
	}
	return errors.New(err.Error())
}

func inWords(s backout.ProbeState) string {
	switch s {
	case backout.ProbeNotDone:
		return "found not done"
	case backout.ProbeBroken:
		return "found broken"
	case backout.ProbeInProgress:
		return "found under way for too long"
	case backout.ProbePendingReboot:
		return "it waits for a reboot"
	case backout.ProbeDone, backout.ProbeUnknown:
	}
	return "the target's state does not tell either"
}

func detailed(words, detail string) string {
	if detail == "" {
		return words
	}
	return words + " (" + detail + ")"
}
