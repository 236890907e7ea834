package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/lock"
	"github.com/backout-io/backout/internal/retry"
)

// How long a target that cannot be asked is waited for: a stopped attempt this
// long after the stop, one whose target answers but refuses this many times.
const (
	patience = time.Minute
	refusals = 5
)

// bootTimeout is how long a target may take to tell its boot id before the claim.
const bootTimeout = 3 * time.Second

// outOfReach is how long a target is tried before the attempt is handed over.
const outOfReach = 45 * time.Second

var errHandedOver = errors.New("handed over: the target is out of reach from here")

// errNotNow says that an attempt may not begin just now.
var errNotNow = errors.New("it may not begin now")

// job is one attempt being carried out.
type job struct {
	Job
	resumed bool
	log     *slog.Logger
	host    backout.Host
	out     *output

	// starting is held while a start is under way, so that a stop either comes
	// before it, and prevents it, or finds what it started.
	starting lock.Lock
	// sent is set once a start may have reached the target, taken once the target
	// has said so, under the boot id in bootAtStart.
	sent, taken bool
	bootAtStart string
	// awaySince is since when the target is out of reach; zero when it is not.
	awaySince time.Time
	// attached is how much of the attempt's output has been copied to out.
	attached int64

	once   sync.Once
	asked  chan struct{} // closed when a stop was asked for
	reason error         // why; set before asked is closed
	since  time.Time

	// late is why the attempt is not to begin any more, since lateSince; what
	// runs may end by itself.
	lateMu    sync.Mutex
	late      error
	lateSince time.Time
}

// giveUp asks that the attempt does not begin any more.
func (j *job) giveUp(reason error) {
	j.lateMu.Lock()
	defer j.lateMu.Unlock()
	if j.late == nil {
		j.late, j.lateSince = reason, time.Now()
	}
}

// tooLate returns since when and why the attempt is not to begin any more; a nil
// error when it may.
func (j *job) tooLate() (since time.Time, reason error) {
	if reason := j.stopped(); reason != nil {
		return j.since, reason
	}
	j.lateMu.Lock()
	defer j.lateMu.Unlock()
	return j.lateSince, j.late
}

// ask asks for the attempt's end, the first time it is called.
func (j *job) ask(reason error) {
	j.once.Do(func() {
		j.reason, j.since = reason, time.Now()
		close(j.asked)
	})
}

// stopped returns why the attempt was asked to end, or nil.
func (j *job) stopped() error {
	select {
	case <-j.asked:
		return j.reason
	default:
		return nil
	}
}

// claim takes the attempt for this runner.
func (j *job) claim(ctx context.Context) error {
	if j.Claim == nil {
		return nil
	}
	if j.host != nil {
		asking, cancel := context.WithTimeout(ctx, bootTimeout)
		// A target that is away is claimed all the same: its clock must run.
		j.Boot, _ = j.host.BootID(asking)
		cancel()
	}
	deadline, err := j.Claim(ctx, Claimed{Boot: j.Boot})
	if err == nil && !deadline.IsZero() {
		j.Task.Deadline = deadline
	}
	return err
}

// run follows the attempt to its end while watching for a reason to stop it.
func (j *job) run(ctx context.Context, e backout.Executor) Result {
	watching, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { j.watch(watching) })
	defer watch.Wait()
	defer end()
	if !j.Task.Deadline.IsZero() && !time.Now().Before(j.Task.Deadline) && j.expired() <= 0 {
		j.ask(timedOut(j.Task))
	}
	if j.resumed {
		if r, settled := j.probeFirst(ctx); settled {
			return j.askState(ctx, e, r)
		}
	}
	return j.askState(ctx, e, j.follow(ctx, e))
}

// expired tells for how much longer an attempt past its deadline may go on.
func (j *job) expired() time.Duration {
	if j.Expired == nil {
		return 0
	}
	return j.Expired()
}

// watch stops the attempt when it is asked to, or at its deadline.
func (j *job) watch(ctx context.Context) {
	var late <-chan time.Time
	if !j.Task.Deadline.IsZero() {
		timer := time.NewTimer(time.Until(j.Task.Deadline))
		defer timer.Stop()
		late = timer.C
	}
	for wait := true; wait; {
		select {
		case <-ctx.Done():
			return
		case <-late:
			if again := j.expired(); again > 0 {
				late = time.After(again)
				continue
			}
			j.ask(timedOut(j.Task))
		case <-j.asked:
		}
		wait = false
	}
	// A start under way is waited for; any later one sees that a stop was asked
	// for.
	_ = j.hasSent()
	j.log.InfoContext(ctx, "stopping attempt", "reason", j.reason.Error())
	err := retry.Do(ctx, retry.Policy{First: 200 * time.Millisecond, Most: 10 * time.Second}, func(ctx context.Context) error {
		return j.host.Stop(ctx, j.Task.AttemptID)
	})
	if err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "attempt could not be stopped", "error", err.Error())
	}
}

// probeFirst asks the target what became of an attempt of an earlier runner. It
// settles the result when nothing is to be followed.
func (j *job) probeFirst(ctx context.Context) (Result, bool) {
	report, err := j.probe(ctx)
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx), true
	case errors.Is(err, errHandedOver):
		return Result{Err: err, Interrupted: true}, true
	case err != nil:
		return doubt(fmt.Errorf("the target cannot be asked: %w", err)), true
	case report.State == backout.AttemptUnknown && !j.Task.Step.Reboots:
		return doubt(fmt.Errorf("%w: %s", backout.ErrInDoubt, report.Detail)), true
	case report.State == backout.AttemptNotStarted:
		if err := j.lost(report); err != nil {
			return doubt(err), true
		}
	default:
		j.starting.Lock()
		j.sent, j.taken, j.bootAtStart = true, true, report.ClaimBoot
		j.starting.Unlock()
	}
	return Result{}, false
}

// probe asks the target what became of the attempt.
func (j *job) probe(ctx context.Context) (report backout.AttemptReport, err error) {
	err = j.insist(ctx, func(ctx context.Context) (err error) {
		report, err = j.host.Probe(ctx, j.Task.AttemptID)
		return err
	})
	return report, err
}

// forbid makes the target take no start of the attempt any more, as one may still
// be on its way, and asks what became of it.
func (j *job) forbid(ctx context.Context) (backout.AttemptReport, error) {
	err := j.insist(ctx, func(ctx context.Context) error { return j.host.Stop(ctx, j.Task.AttemptID) })
	if err != nil {
		return backout.AttemptReport{}, err
	}
	return j.probe(ctx)
}

// insist calls the target until it answers, the context ends, or asking is in
// vain: it refuses, or has been away for too long after a stop.
func (j *job) insist(ctx context.Context, call func(context.Context) error) error {
	refused := 0
	return retry.Do(ctx, retry.Policy{}, func(ctx context.Context) error {
		err := call(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, host.ErrUnreachable) {
			refused++
		}
		since, late := j.tooLate()
		switch {
		case refused >= refusals, late != nil && time.Since(since) > patience:
			return backout.Permanent(err)
		case late == nil && errors.Is(err, host.ErrUnreachable) && j.handedOver(ctx):
			return backout.Permanent(errHandedOver)
		}
		return err
	})
}

// follow calls the executor until the attempt's end is known.
func (j *job) follow(ctx context.Context, e backout.Executor) Result {
	var result Result
	err := retry.Do(ctx, retry.Policy{First: 100 * time.Millisecond, Most: 10 * time.Second}, func(ctx context.Context) error {
		j.out.rewind()
		outcome, err := e.Execute(ctx, j.Task, guarded{j.host, j}, j.out)
		if j.Task.Step.Reboots && ctx.Err() == nil {
			var settled bool
			if result, settled = j.rebooted(ctx, e, outcome, err); settled {
				return nil
			}
		}
		var again error
		result, again = j.settle(ctx, outcome, err)
		switch {
		case errors.Is(again, errNotNow):
			j.log.DebugContext(ctx, "attempt waits", "reason", again.Error())
		case again != nil:
			j.log.WarnContext(ctx, "attempt is followed again", "error", again.Error())
		}
		return again
	})
	if err != nil {
		return interrupted(ctx)
	}
	return result
}

// settle makes the result of one call of the executor, or says that it is to be
// called again.
func (j *job) settle(ctx context.Context, outcome backout.Outcome, err error) (_ Result, again error) {
	switch {
	case err == nil:
		return Result{Outcome: outcome}, nil
	case ctx.Err() != nil:
		return interrupted(ctx), nil
	case errors.Is(err, errNotNow) && errors.Is(err, backout.ErrStale):
		return Result{Err: err, Interrupted: true}, nil
	case errors.Is(err, errNotNow):
		return Result{}, err
	case errors.Is(err, backout.ErrInDoubt):
		return doubt(err), nil
	case errors.Is(err, host.ErrUnreachable) && j.stopped() == nil:
		return j.away(ctx, outcome, err)
	}
	reached := j.resumed || j.hasSent()
	if _, late := j.tooLate(); !reached && late != nil {
		return Result{Outcome: outcome, Err: late}, nil
	}
	if !reached && backout.IsPermanent(err) {
		return Result{Outcome: outcome, Err: err}, nil
	}
	report, asked := j.probe(ctx)
	if asked == nil && report.State == backout.AttemptNotStarted {
		if err := j.lost(report); err != nil {
			return doubt(err), nil
		}
		report, asked = j.forbid(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx), nil
	case errors.Is(asked, errHandedOver):
		return Result{Err: asked, Interrupted: true}, nil
	case asked != nil:
		return doubt(fmt.Errorf("%w; and the target cannot be asked: %w", err, asked)), nil
	case report.State == backout.AttemptUnknown:
		return doubt(fmt.Errorf("%w: %s", backout.ErrInDoubt, report.Detail)), nil
	case report.State == backout.AttemptRunning:
		return Result{}, err
	case report.State == backout.AttemptFinished && errors.Is(err, host.ErrUnreachable):
		// Its end is known now, but not yet to the executor.
		return Result{}, err
	case j.stopped() != nil && report.ExitCode != 0:
		return Result{Outcome: outcome, Err: j.stopped()}, nil
	}
	return Result{Outcome: outcome, Err: err}, nil
}

// fence ends an attempt on its target that may not have begun there, so that a
// start which is still on its way runs nothing. It reports whether the attempt is
// one that never began.
func (j *job) fence(ctx context.Context) (unbegun bool, err error) {
	report, err := j.host.Probe(ctx, j.Task.AttemptID)
	if err != nil || report.State != backout.AttemptNotStarted {
		return false, err
	}
	if err := j.lost(report); err != nil {
		return false, err
	}
	if err := j.host.Stop(ctx, j.Task.AttemptID); err != nil {
		return false, err
	}
	if report, err = j.host.Probe(ctx, j.Task.AttemptID); err != nil {
		return false, err
	}
	return report.State == backout.AttemptFinished && report.ExitCode == attempt.StoppedUnstarted, nil
}

// away says what follows from a target that cannot be reached: it is tried again,
// until the attempt is not to begin any more. Then one that never reached the
// target has failed, and one that did is in doubt when the target stays away.
func (j *job) away(ctx context.Context, outcome backout.Outcome, err error) (Result, error) {
	since, late := j.tooLate()
	switch {
	case late == nil && j.handedOver(ctx):
		return Result{Err: errHandedOver, Interrupted: true}, nil
	case late == nil:
		return Result{}, err
	case !j.resumed && !j.hasSent():
		return Result{Outcome: outcome, Err: fmt.Errorf("never started, the target could not be reached: %w: %w", late, err)}, nil
	case time.Since(since) > patience:
		return doubt(fmt.Errorf("the target went away: %w", err)), nil
	}
	return Result{}, err
}

// handedOver gives the attempt to somebody who may reach the target, when this
// runner has not been able to for a while.
func (j *job) handedOver(ctx context.Context) bool {
	j.starting.Lock()
	rebooting := j.taken && j.Task.Step.Reboots
	j.starting.Unlock()
	if j.HandOver == nil || rebooting {
		// Who has begun a reboot alone knows that it has: its time-out bounds the wait.
		return false
	}
	now := time.Now()
	if j.awaySince.IsZero() {
		j.awaySince = now
	}
	if now.Sub(j.awaySince) < outOfReach {
		return false
	}
	asking, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if _, err := j.host.Probe(asking, j.Task.AttemptID); err == nil {
		j.awaySince = time.Time{} // it was only lost now and then
		return false
	}
	j.awaySince = now
	return j.HandOver(ctx)
}

func (j *job) hasSent() bool {
	j.starting.Lock()
	defer j.starting.Unlock()
	return j.sent
}

func (j *job) hasTaken() bool {
	j.starting.Lock()
	defer j.starting.Unlock()
	return j.taken
}

func doubt(err error) Result { return Result{Err: err, InDoubt: true} }

func interrupted(ctx context.Context) Result {
	return Result{Err: context.Cause(ctx), Interrupted: true}
}
