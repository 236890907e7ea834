// Package runner carries out attempts: it claims, runs the executor on the
// target's host, follows it over lost connections, and says how it ended.
//
// # What it promises
//
//   - The claim comes before the first effect; without it nothing is done.
//   - A result is the target's word. Where the executor reports an error, the
//     target is asked what became of the attempt: one that still runs is followed
//     on, one that nobody knows the end of is in doubt, and neither is ever
//     started again under a new name by this package.
//   - A lost connection ends nothing; it is tried again until the attempt's end
//     is known, or somebody stops the attempt, or the context ends. In the last
//     case the work goes on, and [Runner.Resume] finds it.
//   - What the target has once taken is never sent to it again. A reboot may bring
//     back a disk on which the attempt's record does not exist, and "never seen"
//     would mean "run it once more"; boot ids tell that from a start that got lost.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/lock"
)

// Hosts finds a target's far end.
type Hosts interface {
	For(t backout.Target) (backout.Host, error)
}

// Options are what a [Runner] needs.
type Options struct {
	Executors *executors.Registry
	// Checks are those that [Runner.Check] knows.
	Checks *checks.Registry
	Hosts  Hosts
	// Capture looks at a target; nil means [capture.Take].
	Capture func(context.Context, backout.Host, backout.BaselineSpec) (backout.Inventory, error)
	// AIDE lets AIDE check a target; nil means [capture.CheckAIDE].
	AIDE func(context.Context, backout.Host) (backout.AIDEReport, error)
	// Resolve fills in the secrets of a step's section; nil for none.
	Resolve func(config any) error
	// Secrets are hidden in output wherever they appear.
	Secrets []backout.Secret
	// MaxOutput is how many bytes of an attempt's output are kept, its head and
	// its tail; zero means 1 MiB.
	MaxOutput int
	Log       *slog.Logger
}

// Job is one attempt to carry out.
type Job struct {
	Task backout.Task
	// Claim is called before the first effect; on error nothing is done. Nil
	// claims nothing.
	// It returns the attempt's deadline; zero means the task's own.
	Claim func(context.Context, Claimed) (time.Time, error)
	// Begin is asked each time before a start is sent to the target; an error
	// means not now, and it is asked again, or, where it wraps [backout.ErrStale],
	// not by this runner any more. Nil always allows it.
	Begin func(context.Context) error
	// Expired is asked when the deadline has passed, and says for how much longer
	// the attempt may go on: its clock may have stood still. Nil means no longer.
	Expired func() (again time.Duration)
	// HandOver is called when the target has been out of reach for a while; true
	// means that somebody else follows the attempt from now on. Nil: nobody can.
	HandOver func(context.Context) bool
	// Boot is the target's boot id that the claim named, for [Runner.Resume].
	Boot string
	// Frozen is the plan that the step is from, and Gate the answer that let its
	// window open. A runner near the target wants to see both.
	Frozen backout.FrozenPlan
	Gate   backout.GatePassed
	// Live receives the output as it appears, without secrets; nil for none.
	Live io.Writer
}

// Claimed is what a claim records of who carries out the attempt, and where.
type Claimed struct {
	// Via is the runner near the target; empty for this one.
	Via string
	// Boot is the target's boot id just before; empty when it did not answer.
	Boot string
}

// Result is how an attempt ended. Exactly one of these holds: Err is nil (the
// step's work is done), or one of the flags or none of them says what Err means.
type Result struct {
	Outcome backout.Outcome
	// Err is why the attempt failed, when no flag is set.
	Err error
	// Unclaimed is set when the claim failed: nothing was done.
	Unclaimed bool
	// InDoubt is set when nobody can know whether the effect happened.
	InDoubt bool
	// Interrupted is set when the context ended first, or the attempt was handed
	// over: the work, if it began, goes on.
	Interrupted bool
	// Output is what was kept, without secrets.
	Output []byte
}

// Runner carries out attempts. It is safe for concurrent use.
type Runner struct {
	o Options

	mu   sync.Mutex
	jobs map[string]*job
	work sync.WaitGroup
}

// New returns a runner.
func New(o Options) *Runner {
	if o.MaxOutput <= 0 {
		o.MaxOutput = 1 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Capture == nil {
		o.Capture = capture.Take
	}
	if o.AIDE == nil {
		o.AIDE = capture.CheckAIDE
	}
	return &Runner{o: o, jobs: map[string]*job{}}
}

// Run carries out an attempt that has not begun, to its end.
func (r *Runner) Run(ctx context.Context, j Job) Result { return r.carry(ctx, j, false) }

// Resume carries on with an attempt that a runner before has claimed: it asks
// the target first. One that never started there is started, which is safe as
// the target starts it once at most.
func (r *Runner) Resume(ctx context.Context, j Job) Result { return r.carry(ctx, j, true) }

// Running returns the ids of the attempts being carried out, sorted.
func (r *Runner) Running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.jobs))
	for id := range r.jobs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Stop asks for the end of an attempt that this runner carries out, and returns
// at once; its Run or Resume tells how it ended. An attempt that has not started
// will not. For others it is [backout.ErrNotFound].
func (r *Runner) Stop(attemptID, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.jobs[attemptID]
	if j == nil {
		return fmt.Errorf("stop attempt %s: %w", attemptID, backout.ErrNotFound)
	}
	j.ask(errors.New(reason))
	return nil
}

// GiveUp asks that an attempt which this runner carries out does not begin any
// more; one that has begun goes on to its end. For others it is
// [backout.ErrNotFound].
func (r *Runner) GiveUp(attemptID, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.jobs[attemptID]
	if j == nil {
		return fmt.Errorf("give up attempt %s: %w", attemptID, backout.ErrNotFound)
	}
	j.giveUp(errors.New(reason))
	return nil
}

// Wait returns when no attempt is being carried out.
func (r *Runner) Wait() { r.work.Wait() }

func (r *Runner) carry(ctx context.Context, given Job, resumed bool) Result {
	j := &job{
		Job: given, resumed: resumed, asked: make(chan struct{}), starting: lock.New(),
		log: r.o.Log.With("change_id", given.Task.ChangeID, "rollback_id", given.Task.RollbackID, "level", given.Task.Level,
			"target", given.Task.Target.Name, "attempt", given.Task.AttemptID),
	}
	if !r.enter(j) {
		return Result{Err: fmt.Errorf("attempt %s is being carried out: %w", given.Task.AttemptID, backout.ErrExists), Unclaimed: true}
	}
	defer r.leave(j)
	executor, err := r.build(ctx, j.Task)
	if err == nil {
		j.host, err = r.hostOf(j.Task)
	}
	if claimed := j.claim(ctx); claimed != nil {
		return Result{Err: fmt.Errorf("claim attempt: %w", claimed), Unclaimed: true}
	}
	if err != nil {
		// An attempt that was begun before may be running all the same.
		return Result{Err: err, InDoubt: resumed}
	}
	secrets := make([]string, len(r.o.Secrets))
	for i, s := range r.o.Secrets {
		secrets[i] = s.Reveal()
	}
	j.out = newOutput(r.o.MaxOutput, secrets, j.Live)
	result := j.run(ctx, executor)
	result.Output = j.out.bytes()
	return result
}

// thisMachine is where the runner itself runs.
var thisMachine = backout.Target{Name: "this machine", Transport: "local"}

// OnRunner tells whether steps of this executor run on the runner's own machine.
func (r *Runner) OnRunner(uses string) bool {
	kind, ok := r.o.Executors.Lookup(uses)
	return ok && kind.OnRunner
}

// hostOf is where the step's attempt runs: on the target, or on the runner's own
// machine where the executor works from there.
func (r *Runner) hostOf(t backout.Task) (backout.Host, error) {
	if r.OnRunner(t.Step.Uses) {
		return r.o.Hosts.For(thisMachine)
	}
	return r.o.Hosts.For(t.Target)
}

func (r *Runner) build(ctx context.Context, t backout.Task) (backout.Executor, error) {
	kind, ok := r.o.Executors.Lookup(t.Step.Uses)
	if !ok {
		return nil, backout.Permanent(fmt.Errorf("executor %q is not known to this release", t.Step.Uses))
	}
	return kind.Build(ctx, t.Step.With, r.o.Resolve)
}

func (r *Runner) enter(j *job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs[j.Task.AttemptID] != nil {
		return false
	}
	r.jobs[j.Task.AttemptID] = j
	r.work.Add(1)
	return true
}

func (r *Runner) leave(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, j.Task.AttemptID)
	r.work.Done()
}

// timedOut is why an attempt past its deadline is stopped.
func timedOut(t backout.Task) error {
	if t.Step.Timeout > 0 {
		return fmt.Errorf("timed out after %v", t.Step.Timeout)
	}
	return fmt.Errorf("timed out at %s", t.Deadline.UTC().Format(time.RFC3339))
}
