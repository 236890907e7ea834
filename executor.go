package backout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Executor puts something back on one target.
//
// Execute runs one attempt to its end. It must be safe to call again with the
// same attempt: what was started is attached to, never started twice. It returns
// nil error only when the step's work is done; an error wrapping [ErrInDoubt]
// when nobody can know; any other error when it failed. Output goes to out as it
// appears. When ctx ends it returns and leaves the target's work running: a lost
// connection must not end a transaction. Stopping is [Host].Stop's job.
type Executor interface {
	Execute(ctx context.Context, t Task, h Host, out io.Writer) (Outcome, error)
}

// Preflighter is an [Executor] that can say whether it would succeed on the
// target now. It changes nothing, and what it cannot find out is a no. Of an
// executor without it the gate says no.
//
// It is asked before the patch, when Task.Delta is nil: would what is installed now
// come back after the patch? And while the window is open: would it still? Then
// Task.Prepared has what was made, and Task.Delta what the patch has changed, once
// that is known.
type Preflighter interface {
	Preflight(ctx context.Context, t Task, h Host) []Violation
}

// Loser is an [Executor] that can say what its step would lose on the target, were
// it run now: "data written since 2026-11-26T18:00Z (2h ago)". Empty means nothing.
// It changes nothing.
type Loser interface {
	Loses(ctx context.Context, t Task, h Host) (string, error)
}

// Preparer is an [Executor] that has to make something on the target before the
// patch, so that its Execute can succeed after it: keep old packages, copy files.
// It follows the rules of Execute: an attempt of the task's id, idempotent. What
// it returns is stored with the baseline and comes back in Task.Prepared. Preparing
// again under another attempt renews what the same change has prepared before.
type Preparer interface {
	Prepare(ctx context.Context, t Task, h Host, out io.Writer) (Prepared, error)
}

// Prober is an [Executor] that can tell from the target's state whether its work
// is done, whatever became of the attempt. It changes nothing. It is asked when an
// attempt is in doubt, and it is how Execute itself verifies.
type Prober interface {
	Probe(ctx context.Context, t Task, h Host) (Probed, error)
}

// Probed is the answer of a [Prober].
type Probed struct {
	State ProbeState
	// Detail says what was seen, for people.
	Detail string
	// Held is what is kept from coming back, as in Outcome.Held, where the step
	// holds something and is done.
	Held []string
}

// ProbeState is how far a step's work is on the target.
type ProbeState string

// The values of [ProbeState].
const (
	// ProbeNotDone: nothing of it has happened, nothing of it is under way.
	ProbeNotDone ProbeState = "not_done"
	// ProbeInProgress: it is under way.
	ProbeInProgress ProbeState = "in_progress"
	// ProbePendingReboot: it is scheduled, and the next boot does it.
	ProbePendingReboot ProbeState = "pending_reboot"
	// ProbeDone: the target is as the step should make it.
	ProbeDone ProbeState = "done"
	// ProbeBroken: it ended half way, or failed.
	ProbeBroken ProbeState = "broken"
	// ProbeUnknown: the target does not tell.
	ProbeUnknown ProbeState = "unknown"
)

// Cleaner is an [Executor] that leaves something on the target which has to go
// once the change is over: a snapshot, kept packages. It is idempotent; what is
// not there any more is not an error. It never releases a hold.
type Cleaner interface {
	Cleanup(ctx context.Context, t Task, h Host, out io.Writer) error
}

// Holder is an [Executor] whose work keeps the patch from coming back; its
// Outcome.Held says so. Release ends that, and is idempotent.
type Holder interface {
	Release(ctx context.Context, t Task, h Host, out io.Writer) error
}

// Privileged is an [Executor] that can say which programs it runs as root, for
// "backout plan sudoers".
type Privileged interface {
	// Sudo returns command lines as sudoers(5) writes them.
	Sudo() []string
}

// ErrInDoubt says that it cannot be known whether the step's effect happened.
var ErrInDoubt = errors.New("in doubt: it may or may not have happened")

// Task is one attempt of one step on one target.
type Task struct {
	AttemptID  string `json:"attempt_id"`
	RollbackID string `json:"rollback_id"`
	ChangeID   string `json:"change_id"`
	Level      string `json:"level"`
	Step       Step   `json:"step"`
	Target     Target `json:"target"`
	PlanHash   string `json:"plan_hash"`
	// Patch is what the change applies.
	Patch Patch `json:"patch,omitzero"`
	// Baseline is the digest of the target's baseline; empty before there is one.
	Baseline string `json:"baseline,omitempty"`
	// Prepared is what was made on the target before the patch, by all steps.
	Prepared []Prepared `json:"prepared,omitempty"`
	// Opened says that the plan's baseline has been made, and that Prepared has all of
	// it: what a step misses there will not come.
	Opened bool `json:"opened,omitempty"`
	// Delta is what the patch changed on the target; nil before it is known.
	Delta *Delta `json:"delta,omitempty"`
	// WindowFor is how long the patch's traces have to be kept: what is left of
	// window and watch. Snapshots are sized by it. Zero when not known.
	WindowFor Duration `json:"window_for,omitempty"`
	// Facts are the BACKOUT_* variables of the step's environment.
	Facts map[string]string `json:"facts,omitempty"`
	// Deadline is when the step's time-out ends it; zero means none.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Outcome is how an attempt ended.
type Outcome struct {
	ExitCode int `json:"exit_code"`
	// Summary is one line for people.
	Summary string `json:"summary,omitempty"`
	// FinishedAt is the target's own time of the end; zero when not known.
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// Held are the packages that the step keeps from coming back, as the package
	// manager's own lock calls them.
	Held []string `json:"held,omitempty"`
	// Facts are what a baseline step made, for Prepared.
	Facts map[string]string `json:"facts,omitempty"`
}

// PreparedBy returns what a step of this executor has prepared, or nil. A plan may
// have several steps of one kind: fits tells whose facts these are.
func (t Task) PreparedBy(uses string, fits func(facts map[string]string) bool) map[string]string {
	for _, p := range t.Prepared {
		if p.Uses == uses && fits(p.Facts) {
			return p.Facts
		}
	}
	return nil
}

// Exec is a command line as an array: no shell reads it.
type Exec struct {
	Argv []string
	// Env is added to the target's minimal environment (PATH, HOME, LC_ALL=C).
	Env map[string]string
	// Dir is the working directory; empty means "/".
	Dir string
	// Stdin is given to Run only.
	Stdin []byte
}

// ExecResult is how a [Host].Run ended.
type ExecResult struct {
	ExitCode int
	Stdout   []byte
	Stderr   []byte
}

// AttemptState is what a target says of an attempt.
type AttemptState string

// The values of [AttemptState].
const (
	// AttemptNotStarted means that the target has never seen it, or knows that it
	// never began: starting is safe.
	AttemptNotStarted AttemptState = "not_started"
	// AttemptRunning means that its process is alive.
	AttemptRunning AttemptState = "running"
	// AttemptFinished means that it ended and its exit code is known.
	AttemptFinished AttemptState = "finished"
	// AttemptUnknown means that it was started and nobody knows its end (the
	// target rebooted, the process was killed).
	AttemptUnknown AttemptState = "unknown"
)

// AttemptReport is the answer to a probe.
type AttemptReport struct {
	State      AttemptState
	ExitCode   int
	FinishedAt time.Time
	// Detail says more about an unknown: "rebooted", "process gone".
	Detail string
	// Boot is the target's boot id now, in every report; ClaimBoot the one under
	// which the attempt was begun there, empty where nothing was begun.
	Boot, ClaimBoot string
}

// Rebooted tells whether the target has rebooted since the attempt was begun.
func (r AttemptReport) Rebooted() bool {
	return r.Boot != "" && r.ClaimBoot != "" && r.Boot != r.ClaimBoot
}

// Host is one target's far end: local, over SSH, over WinRM. All methods may be
// called from several goroutines and several processes at once; all honour ctx,
// and none undoes what was begun when ctx ends.
//
// # The record
//
// Of each attempt the target keeps a record under the attempt's id: a directory,
// or on Windows a directory and a scheduled task. The record is the truth about
// the attempt, and the target alone holds it: the caller may crash between any two
// calls and knows nothing afterwards. It holds, in the order they come to be,
//
//   - the claim: that the attempt was begun, and the boot id then;
//   - the process, named so that another one with the same number is not taken for
//     it (its start time, the task's instance);
//   - the output, in one file from which any part can be read again;
//   - the result: exit code and the target's time of the end, written whole or not
//     at all.
//
// It survives the connection, the caller, a restart of what serves the connection,
// the end of the login's session, and a reboot. Nothing but Forget removes it.
//
// # What makes Start idempotent
//
// The claim is one operation of the target that succeeds for exactly one caller
// and for everybody else says that it is there (mkdir; creating a file that must
// be new). It is on disk before the command begins. Whoever makes it begins the
// command; whoever finds it begins nothing, whatever else the record says: a claim
// that leads nowhere is an attempt in doubt, never one to begin again. What runs
// the command is started from the claim at most once, is not restarted by itself,
// not after a reboot either, and belongs neither to the session nor to the service
// that took the call.
//
// # What Probe must tell apart
//
//   - not started: there is no record. To start is safe as long as Boot is the boot
//     in which the caller expects the record: a target that loses its disk with a
//     reboot loses the record too.
//   - running: there is no result, and the process, or what watches it, is alive in
//     the boot of the claim. Also the moment between claim and process.
//   - finished: there is a result. It stays true after a reboot.
//   - unknown: there is a claim, no result, and nothing of it is alive; Detail says
//     whether the target was rebooted.
//
// The result is looked for after the processes were: a step that ends meanwhile is
// finished, not unknown. An answer that is not whole is an error, not a state.
// After an error nothing is known: probe again.
type Host interface {
	// Run runs a short command, waits for it, and returns its exit code as
	// data. It is for looking; never for a step's effect. Output over 1 MiB is
	// cut.
	Run(ctx context.Context, e Exec) (ExecResult, error)
	// Start begins the command under the attempt's id, detached, and returns when
	// the claim is made; the command may begin a moment later. A second Start of the
	// same attempt changes nothing and returns nil. What the command cannot be given
	// unchanged is refused with a permanent error. After any other error the claim
	// may have been made: Start again, or Probe.
	Start(ctx context.Context, attempt string, e Exec) error
	// Attach copies the attempt's output (stdout and stderr together) from the
	// offset on, until the attempt ends or ctx does, and reports its state; all
	// output is copied before it says finished. A lost connection is an error;
	// attach again. However it ends, the attempt goes on and the target is left
	// with nothing of the attaching.
	Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (AttemptReport, error)
	// Probe asks what became of the attempt. It changes nothing.
	Probe(ctx context.Context, attempt string) (AttemptReport, error)
	// Stop ends the attempt's whole process group: SIGTERM, then SIGKILL after
	// ten seconds, even if ctx ends meanwhile. One that has ended is not an error;
	// one that was never started counts as finished from then on, with exit code
	// 143, and a later Start runs nothing. An error means that it may still run, or
	// begin to: stop it again.
	Stop(ctx context.Context, attempt string) error
	// Forget removes the record of an attempt that is finished, or that a reboot has
	// ended, and what earlier Forgets that were cut have left. One that never started
	// is not an error; one that is running or otherwise unknown is, and is kept:
	// without its record it would look as if it never started.
	Forget(ctx context.Context, attempt string) error
	// BootID changes when the target reboots, and only then. It may be remembered
	// as long as the connection lives.
	BootID(ctx context.Context) (string, error)
}

// AttemptID names one try of one step on one target: "CHG1-r1.L1.s1.t3.a1".
// Levels, steps, targets and tries count from 1; target is its place in the
// rollback. The id is a safe file name.
func AttemptID(rollbackID string, level, step, target, number int) string {
	return fmt.Sprintf("%s.L%d.s%d.t%d.a%d", rollbackID, level+1, step+1, target+1, number)
}
