package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/retry"
)

// lost says why an attempt whose record the target does not have must not be
// started there: the target has rebooted since the claim, perhaps into a disk from
// before it. Where the claim knows no boot id, only a step that reboots can have
// done that.
func (j *job) lost(report backout.AttemptReport) error {
	switch {
	case j.Boot == "" && j.Task.Step.Reboots:
		return fmt.Errorf("%w: it is not known whether the target rebooted since it was claimed, and its record is not there", backout.ErrInDoubt)
	case j.Boot == "" || report.Boot == "" || j.Boot == report.Boot:
		return nil
	}
	return fmt.Errorf("%w: the target rebooted since it was claimed, and its record is not there", backout.ErrInDoubt)
}

// rebooted makes the result of a step that reboots its target: its command ended
// with 0 or was cut by the reboot, and the target answers under another boot id.
// It settles nothing where neither can be said. An executor that finds the target
// broken after that has the last word.
func (j *job) rebooted(ctx context.Context, e backout.Executor, outcome backout.Outcome, err error) (_ Result, settled bool) {
	if err != nil {
		if !errors.Is(err, backout.ErrInDoubt) {
			return Result{}, false
		}
		report, asked := j.probe(ctx)
		if asked != nil || !j.cutByReboot(report) {
			return Result{}, false
		}
		outcome.Summary = "cut by the reboot"
	}
	err = j.awaitReboot(ctx)
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx), true
	case errors.Is(err, backout.ErrInDoubt):
		return doubt(err), true
	case err != nil:
		// Its command is over: nothing of it runs any more.
		return Result{Outcome: outcome, Err: err}, true
	}
	outcome.Summary = strings.TrimPrefix(outcome.Summary+", rebooted", ", ")
	if p, ok := e.(backout.Prober); ok {
		// What it cannot tell, the boot id has told.
		if seen, err := j.seen(ctx, p); err == nil && seen.State == backout.ProbeBroken {
			return Result{Outcome: outcome, Err: errors.New(detailed(inWords(seen.State), seen.Detail))}, true
		}
	}
	return Result{Outcome: outcome}, true
}

// cutByReboot tells whether the attempt was begun, and a reboot has ended it: its
// record says so, or went with the disk that the reboot has put back.
func (j *job) cutByReboot(report backout.AttemptReport) bool {
	switch report.State {
	case backout.AttemptUnknown:
		return report.Rebooted()
	case backout.AttemptNotStarted:
		before := j.begunUnder()
		return j.hasTaken() && before != "" && report.Boot != "" && report.Boot != before
	case backout.AttemptFinished, backout.AttemptRunning:
	}
	return false
}

// How often a target that is to reboot is looked at.
const (
	rebootSoon   = time.Second
	rebootSeldom = 5 * time.Second
)

// awaitReboot waits until the target answers under another boot id than the
// attempt began under, and has come up, or until the attempt is asked to end.
func (j *job) awaitReboot(ctx context.Context) error {
	return retry.Do(ctx, retry.Policy{First: rebootSoon, Most: rebootSeldom}, func(ctx context.Context) error {
		err := j.backFromReboot(ctx)
		if reason := j.stopped(); reason != nil && err != nil {
			return backout.Permanent(fmt.Errorf("%w while the target reboots: %w", reason, err))
		}
		return err
	})
}

// begunUnder is the boot id that the attempt began under, as far as this runner
// knows: the claim's where the target did not tell any more.
func (j *job) begunUnder() string {
	j.starting.Lock()
	defer j.starting.Unlock()
	return cmp.Or(j.bootAtStart, j.Boot)
}

// backFromReboot returns nil once the target has come up again.
func (j *job) backFromReboot(ctx context.Context) error {
	report, err := j.host.Probe(ctx, j.Task.AttemptID)
	if err != nil {
		return err
	}
	before := cmp.Or(report.ClaimBoot, j.begunUnder())
	if before == "" && report.State == backout.AttemptNotStarted {
		return backout.Permanent(fmt.Errorf("%w: its record is gone, and it is not known under which boot id it began", backout.ErrInDoubt))
	}
	if before == "" || report.Boot == "" || before == report.Boot {
		return errors.New("the target has not rebooted yet")
	}
	// Where there is no systemd, answering is being up.
	up, err := j.host.Run(ctx, backout.Exec{Argv: []string{"systemctl", "is-system-running"}})
	if err != nil {
		return err
	}
	if state := strings.TrimSpace(string(up.Stdout)); state == "starting" || state == "initializing" || state == "stopping" {
		return fmt.Errorf("the target is %s", state)
	}
	return nil
}
