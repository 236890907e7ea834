package change

import (
	"time"

	"github.com/backout-io/backout"
)

// DefaultWindow is how long a window without a closing time is open.
const DefaultWindow = time.Hour

// Input is what [Decide] looks at beside the change: when, who and what.
type Input struct {
	// At is now, to the server that decides.
	At time.Time
	// By is who asks; empty when it is the server itself.
	By string
	// Do is what is asked for.
	Do Request
	// Blind says when monitoring was blind since the window opened, for the change's
	// last notice; empty when it was not.
	Blind string
}

// Request is one thing that can be asked of a change.
//
//sumtype:decl
type Request interface{ verb() string }

// The requests.
type (
	// Plan makes the change. It is refused when the change exists.
	Plan struct{ Spec backout.ChangeSpec }

	// Gate brings the gate's answer: a no has violations, a yes the hash and the
	// targets it is bound to.
	Gate struct {
		PlanHash   string
		Targets    []string
		Violations []backout.Violation
		// Baselines are the digests of what was captured for it, of every target.
		Baselines  map[string]string
		ValidUntil time.Time
		// Answer is the digest of the whole answer as it is stored; empty where the
		// store did not take it.
		Answer string
	}

	// BeginCapture lets the server capture the baselines, which no other one may do
	// until that has ended or [backout.BaselineLease] is over. Opening is set when
	// the window is to open with it. Resumed says that the server knows of no such
	// capture of its own: one that its earlier life began was cut off.
	BeginCapture struct {
		Server           string
		Opening, Resumed bool
	}

	// Captured ends the capture of that number well.
	Captured struct {
		Number    int
		Baselines map[string]string
	}

	// CaptureFailed ends it without a baseline.
	CaptureFailed struct {
		Number     int
		Violations []backout.Violation
		// Answer is as in Gate.
		Answer string
	}

	// Open opens the window. The gate is asked again at that moment: Gate is its
	// answer, and only a yes for this very plan and these targets opens, with the
	// baselines that the capture of that number took for it.
	Open struct {
		Frozen    backout.FrozenPlan
		Gate      Gate
		Capture   int
		Baselines map[string]string
	}

	// RecordDeltas says what the patch changed on targets. PatchedAt is when patching of
	// them was over, as it was known when they were looked at.
	RecordDeltas struct {
		Deltas    map[string]string
		PatchedAt time.Time
	}

	// Readiness says why the way back would not work any more; nothing when it
	// would.
	Readiness struct {
		Violations []backout.Violation
		// Answer is as in Gate.
		Answer string
	}

	// Extend moves the window's end, only ever later.
	Extend struct {
		Closes time.Time
		Reason string
	}

	// Close ends an open window and begins the watch; while watching it ends the
	// watch. So nobody skips the watch with one command.
	Close struct{ Reason string }

	// Cancel withdraws a change whose window was never opened.
	Cancel struct{ Reason string }

	// PatchStarted says that the patch command has begun.
	PatchStarted struct{}

	// PatchEnded says that patching is over, whatever its exit code; the watch
	// counts from here. With targets it is over on those only, and the last of them
	// ends it for the change.
	PatchEnded struct {
		ExitCode int
		Targets  []string
	}

	// Tick says only that it is At.
	Tick struct{}

	// RequestRollback asks for a rollback of some of the change's targets.
	RequestRollback struct{ Request backout.RollbackRequested }

	// RollbackEnded says how one of the change's rollbacks ended. Saying it twice
	// is harmless.
	RollbackEnded struct {
		RollbackID string
		Status     backout.RollbackStatus
	}

	// RecordVerdict notes what a rule said and nothing follows from.
	RecordVerdict struct{ Verdict backout.Verdict }

	// JudgeRule says whether a person agrees with what a rule said of the change,
	// with the content it had when it spoke last. Judging again replaces what the
	// person or another one said before.
	JudgeRule struct {
		Rule   string
		Agree  bool
		Reason string
	}
)

func (Plan) verb() string            { return "plan" }
func (Gate) verb() string            { return "check gate of" }
func (BeginCapture) verb() string    { return "capture baselines of" }
func (Captured) verb() string        { return "record baselines of" }
func (CaptureFailed) verb() string   { return "end capture of" }
func (Open) verb() string            { return "open" }
func (RecordDeltas) verb() string    { return "record patch delta of" }
func (Readiness) verb() string       { return "record readiness of" }
func (Extend) verb() string          { return "extend" }
func (Close) verb() string           { return "close" }
func (Cancel) verb() string          { return "cancel" }
func (PatchStarted) verb() string    { return "start patching" }
func (PatchEnded) verb() string      { return "end patching" }
func (Tick) verb() string            { return "tick" }
func (RequestRollback) verb() string { return "roll back" }
func (RollbackEnded) verb() string   { return "end rollback of" }
func (RecordVerdict) verb() string   { return "record verdict on" }
func (JudgeRule) verb() string       { return "judge rule on" }
