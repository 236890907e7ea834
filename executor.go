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
// target now. It changes nothing. Of an executor without it the gate asks only
// that the step can be built and the target answers: it says yes without proof
// and without a warning.
type Preflighter interface {
	Preflight(ctx context.Context, t Task, h Host) []Violation
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
	// AttemptNotStarted means that the target has never seen it: starting is safe.
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
	// Boot is the target's boot id now, ClaimBoot the one under which the attempt
	// was begun there; empty where it is not known.
	Boot, ClaimBoot string
}

// Rebooted tells whether the target has rebooted since the attempt was begun.
func (r AttemptReport) Rebooted() bool {
	return r.Boot != "" && r.ClaimBoot != "" && r.Boot != r.ClaimBoot
}

// Host is one target's far end: local, over SSH, over WinRM.
//
// An attempt's work outlives the connection. All methods may be called from
// several goroutines; all honour ctx.
type Host interface {
	// Run runs a short command, waits for it, and returns its exit code as
	// data. It is for looking; never for a step's effect. Output over 1 MiB is
	// cut.
	Run(ctx context.Context, e Exec) (ExecResult, error)
	// Start runs the command detached, under the attempt's id. A second Start of
	// the same attempt changes nothing and returns nil.
	Start(ctx context.Context, attempt string, e Exec) error
	// Attach copies the attempt's output (stdout and stderr together) from the
	// offset on, until the attempt ends or ctx does, and reports its state. A
	// lost connection is an error; attach again.
	Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (AttemptReport, error)
	// Probe asks what became of the attempt.
	Probe(ctx context.Context, attempt string) (AttemptReport, error)
	// Stop ends the attempt's whole process group: SIGTERM, then SIGKILL after
	// ten seconds. One that has ended is not an error; one that was never started
	// counts as finished from then on, with exit code 143, and a later Start runs
	// nothing. An error means that it may still run, or begin to: stop it again.
	Stop(ctx context.Context, attempt string) error
	// Forget removes what the target keeps of a finished attempt.
	Forget(ctx context.Context, attempt string) error
	// BootID changes when the target reboots.
	BootID(ctx context.Context) (string, error)
}

// AttemptID names one try of one step on one target: "CHG1-r1.L1.s1.t3.a1".
// Levels, steps, targets and tries count from 1; target is its place in the
// rollback. The id is a safe file name.
func AttemptID(rollbackID string, level, step, target, number int) string {
	return fmt.Sprintf("%s.L%d.s%d.t%d.a%d", rollbackID, level+1, step+1, target+1, number)
}
