package handlers

import (
	"context"
	"io"
	"time"

	"github.com/backout-io/backout"
)

// Actor is who asks, and by which channel.
type Actor struct {
	Name   string
	Groups []string
	// Via is cli, api, slack, dashboard or demo.
	Via string
}

// LogEntry is one record of a log as the API shows it.
type LogEntry struct {
	// ID is the change's or the rollback's.
	ID     string         `json:"id"`
	Seq    uint64         `json:"seq"`
	Record backout.Record `json:"record"`
}

// ChangeFilter chooses changes; zero fields choose all.
type ChangeFilter struct {
	State  backout.ChangeState
	Target string
}

// RollbackFilter chooses rollbacks; zero fields choose all.
type RollbackFilter struct {
	ChangeID   string
	ActiveOnly bool
}

// GateResult is the gate's answer: a no has violations, a yes the hash it is
// bound to. Warnings never stop a window.
type GateResult struct {
	ChangeID   string              `json:"change_id"`
	Passed     bool                `json:"passed"`
	PlanHash   string              `json:"plan_hash,omitempty"`
	Violations []backout.Violation `json:"violations,omitempty"`
	Warnings   []backout.Violation `json:"warnings,omitempty"`
	// Looks are all answers of executors and captures, by target, level and check;
	// those that say no are among Violations too.
	Looks []GateLook `json:"looks,omitempty"`
	// ValidUntil is when a yes goes stale.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// GateLook is one cell of the gate's table: one check of one target, at one level
// or, when that is empty, at none.
type GateLook struct {
	Target string `json:"target"`
	Level  string `json:"level,omitempty"`
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	// Loses says what the level would lose on this target now.
	Loses string `json:"loses,omitempty"`
}

// StartRequest asks for a rollback by hand.
type StartRequest struct {
	ChangeID string `json:"change_id"`
	// Targets must be named; nothing means nothing, never all.
	Targets []string `json:"targets"`
	// Level is "L1" to "L9"; empty means the first.
	Level  string `json:"level,omitempty"`
	Reason string `json:"reason"`
}

// Verb is what a person can do to a rollback.
type Verb string

// The verbs.
const (
	VerbHold     Verb = "hold"
	VerbRelease  Verb = "release"
	VerbPause    Verb = "pause"
	VerbResume   Verb = "resume"
	VerbEscalate Verb = "escalate"
	VerbAbort    Verb = "abort"
	// VerbResolve answers an attempt in doubt.
	VerbResolve Verb = "resolve"
)

// Action is one verb with what it needs.
type Action struct {
	Verb   Verb   `json:"verb"`
	Reason string `json:"reason,omitempty"`
	// AttemptID and Verdict (happened, did_not, failed) are for resolve.
	AttemptID string `json:"attempt_id,omitempty"`
	Verdict   string `json:"verdict,omitempty"`
}

// PauseState is the pause switch.
type PauseState struct {
	On     bool      `json:"on"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Intake takes alerts in. It returns nil only when they are on disk;
// [backout.ErrUnavailable] asks the sender to come again.
type Intake interface {
	Accept(ctx context.Context, in Delivery) error
}

// Delivery is one request's alerts: as they came, and decoded.
type Delivery struct {
	// Kind is "webhook" or "v2".
	Kind string
	// Source names the sender, as its token is called.
	Source string
	Body   []byte
	Alerts []backout.Alert
	// Truncated is how many alerts the sender left out.
	Truncated int
}

// Changes is what the API needs of changes. Errors wrap root sentinels; a gate's
// no is a [*backout.RefusedError].
type Changes interface {
	PlanChange(ctx context.Context, by Actor, spec backout.ChangeSpec) (backout.Change, error)
	ListChanges(ctx context.Context, f ChangeFilter) ([]backout.Change, error)
	Change(ctx context.Context, id string) (backout.Change, error)
	ChangeLog(ctx context.Context, id string) ([]LogEntry, error)
	CheckGate(ctx context.Context, by Actor, id string) (GateResult, error)
	OpenChange(ctx context.Context, by Actor, id string) (backout.Change, error)
	ExtendChange(ctx context.Context, by Actor, id string, closes time.Time, reason string) (backout.Change, error)
	CloseChange(ctx context.Context, by Actor, id, reason string) (backout.Change, error)
	CancelChange(ctx context.Context, by Actor, id, reason string) (backout.Change, error)
	PatchStarted(ctx context.Context, by Actor, id string) (backout.Change, error)
	PatchEnded(ctx context.Context, by Actor, id string, exitCode int) (backout.Change, error)
}

// Baselines is what the API needs of baselines, deltas, drift and holds.
type Baselines interface {
	// CaptureBaseline captures every target of a change whose window is shut, and
	// lets its steps prepare.
	CaptureBaseline(ctx context.Context, by Actor, changeID string) (backout.Change, error)
	// Baseline returns what is stored of a target; [backout.ErrNotFound] before it
	// was captured.
	Baseline(ctx context.Context, changeID, target string) (backout.Baseline, error)
	Delta(ctx context.Context, changeID, target string) (backout.Delta, error)
	// Drift compares targets with their baselines now; no target means all of the
	// change.
	Drift(ctx context.Context, by Actor, changeID string, targets []string) ([]backout.Drift, error)
	// DriftReport returns a stored drift by its digest.
	DriftReport(ctx context.Context, digest string) (backout.Drift, error)
	// Holds lists the holds, the newest first; all includes released ones.
	Holds(ctx context.Context, all bool) ([]backout.Hold, error)
	// ReleaseHold lets the patch come back to a target.
	ReleaseHold(ctx context.Context, by Actor, changeID, target, reason string) (backout.Hold, error)
}

// Rollbacks is what the API needs of rollbacks.
type Rollbacks interface {
	ListRollbacks(ctx context.Context, f RollbackFilter) ([]backout.Rollback, error)
	Rollback(ctx context.Context, id string) (backout.Rollback, error)
	RollbackLog(ctx context.Context, id string) ([]LogEntry, error)
	// FollowRollback calls fn with every record after from, until fn fails, ctx
	// ends or the rollback's last event was given.
	FollowRollback(ctx context.Context, id string, from uint64, fn func(LogEntry) error) error
	StartRollback(ctx context.Context, by Actor, r StartRequest) (backout.Rollback, error)
	Vote(ctx context.Context, by Actor, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error)
	Act(ctx context.Context, by Actor, id string, a Action) (backout.Rollback, error)
	// StepOutput returns what the attempt has printed, capped and redacted.
	StepOutput(ctx context.Context, rollbackID, attemptID string) ([]byte, error)
}

// Control is what the API needs of the server itself.
type Control interface {
	Pause(ctx context.Context, by Actor, reason string) (PauseState, error)
	Resume(ctx context.Context, by Actor, reason string) (PauseState, error)
	PauseState(ctx context.Context) (PauseState, error)
	// Reload builds everything from the files again, then swaps; on problems the
	// old config stays and they are returned as [backout.Problems].
	Reload(ctx context.Context) error
	// Backup writes a backup of the store to w; after an error w holds none.
	Backup(ctx context.Context, by Actor, w io.Writer) error
	// Ready returns nil once alerts may come; the error says what is missing.
	Ready() error
	Targets(ctx context.Context) ([]backout.Target, error)
	// NotifyTest sends a test notice through the channel, now.
	NotifyTest(ctx context.Context, by Actor, channel string) error
	// Notices lists what is undelivered: waiting, and given up.
	Notices(ctx context.Context) ([]NoticeStatus, error)
	// Runners lists the runners near the targets that were heard of lately.
	Runners(ctx context.Context) ([]RunnerStatus, error)
}

// RunnerStatus is one runner near the targets, as this server hears it.
type RunnerStatus struct {
	Name    string `json:"name"`
	Site    string `json:"site"`
	Release string `json:"release"`
	// Alive tells whether it was heard within the last few seconds.
	Alive    bool      `json:"alive"`
	LastSeen time.Time `json:"last_seen"`
	// Running of its Slots are taken.
	Running int `json:"running"`
	Slots   int `json:"slots"`
}

// NoticeStatus is one undelivered notice.
type NoticeStatus struct {
	Channel string         `json:"channel"`
	Notice  backout.Notice `json:"notice"`
	GivenUp bool           `json:"given_up"`
	Tries   int            `json:"tries"`
	Error   string         `json:"error,omitempty"`
}
