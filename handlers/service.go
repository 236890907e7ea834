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
	// Grants are what the person may do, and where.
	Grants []backout.Grant
	// LoginAt is when the person last proved who they are: with a password or at the
	// identity provider, never with a token. Zero when nobody knows.
	LoginAt time.Time
	// Session and TokenID name what let them in, for the log; never a secret.
	Session string
	TokenID string
}

// Accounts tells whose a Slack account is.
type Accounts interface {
	// SlackActor returns who has linked the account of that team and user, as they
	// are now: [backout.ErrNotFound] when nobody has, [backout.ErrRefused] when the
	// person may not act any more. Via is slack, and LoginAt stays zero.
	SlackActor(ctx context.Context, team, user string) (Actor, error)
	// LinkSlack returns an address, good once and for ten minutes, where somebody who
	// is signed in makes the account theirs.
	LinkSlack(ctx context.Context, team, user string) (url string, err error)
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
	// ActiveOnly leaves out those that have ended.
	ActiveOnly bool
}

// RollbackFilter chooses rollbacks; zero fields choose all.
type RollbackFilter struct {
	ChangeID   string
	ActiveOnly bool
	// Unreviewed leaves out those without a level that one person started alone and that
	// nobody else has looked at yet. Those that have ended are among them.
	Unreviewed bool
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
	// At is when the gate answered.
	At time.Time `json:"at,omitzero"`
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
	// VerbBreakGlass starts the asked level without the votes it needs; VerbReview is
	// what somebody else says of that afterwards, the rollback's end or not.
	VerbBreakGlass Verb = "break_glass"
	VerbReview     Verb = "review"
)

// Action is one verb with what it needs.
type Action struct {
	Verb   Verb   `json:"verb"`
	Reason string `json:"reason,omitempty"`
	// AskID, when it is set, names the question that the actor has before them: the
	// verb is refused with [backout.ErrStale] once another one, or none, is open. A
	// break_glass must name it; for review it chooses the question that was broken.
	AskID string `json:"ask_id,omitempty"`
	// Level, when it is set, names the level that the actor wants to escalate from: the
	// verb is refused with [backout.ErrStale] once it was left. A release that lets a level
	// begin which no group may approve must name that one.
	Level string `json:"level,omitempty"`
	// Since, when it is set, is since when the rollback is held (held_at), or paused
	// (paused_at), as the actor has it before them: a release, or a resume, is refused with
	// [backout.ErrStale] once that hold or pause is over and another one stands. Escalate
	// ends a hold as release does, and is refused so as well; Unheld says that its actor has
	// none before them.
	Since  time.Time `json:"since,omitzero"`
	Unheld bool      `json:"unheld,omitempty"`
	// Approver says that the actor has the role to approve here. Whoever judges roles sets
	// it; no request can.
	Approver bool `json:"-"`
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
// [backout.ErrUnavailable] asks the sender to come again, and [backout.ErrExists] says
// that a delivery with this signature was taken before, by any server.
type Intake interface {
	Accept(ctx context.Context, in Delivery) error
}

// Delivery is one request's alerts: as they came, and decoded.
type Delivery struct {
	// Kind is "webhook" or "v2".
	Kind string
	// Source names the sender, as its token, its password, its certificate or its
	// signature does.
	Source string
	// Signature tells a signed request from every other, for as long as its time is
	// taken; empty for a request that is not signed.
	Signature string
	Body      []byte
	Alerts    []backout.Alert
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
	// PatchEnded tells that patching is over: on the targets given, or on all of the
	// change.
	PatchEnded(ctx context.Context, by Actor, id string, exitCode int, targets ...string) (backout.Change, error)
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

// RefusedVotes keeps votes that were refused before they reached a rollback: by
// whoever maps accounts to people, and whoever looks at roles.
type RefusedVotes interface {
	// VoteRefused records it in the rollback's log, where the question is known and
	// there is room. Cause is [backout.RefusalForbidden], [backout.RefusalUnmapped] or
	// [backout.RefusalInactive]; by.Name names the account where nobody knows whose it
	// is. The error says why it was not recorded.
	VoteRefused(ctx context.Context, by Actor, id, askID string, choice backout.Choice, cause, why string) error
}

// HistoryEntry is one thing of the past: exactly one of Change, Rollback, Post and
// End is set.
type HistoryEntry struct {
	Change *backout.Change `json:"change,omitempty"`
	// Rollback tells what people and rules did instead, Votes what people said to its
	// questions.
	Rollback *backout.Rollback `json:"rollback,omitempty"`
	Votes    []backout.Vote    `json:"votes,omitempty"`
	Post     *HistoryPost      `json:"post,omitempty"`
	// End is the last entry: a history without it was cut off.
	End *HistoryEnd `json:"end,omitempty"`
}

// HistoryEnd says what a history holds.
type HistoryEnd struct {
	Changes   int `json:"changes"`
	Rollbacks int `json:"rollbacks"`
	Posts     int `json:"posts"`
	// KeptSince is when the oldest post came that is still kept; zero when there is
	// none. A history cannot tell of alerts before it.
	KeptSince time.Time `json:"kept_since,omitzero"`
}

// HistoryPost is one request with alerts, as it came.
type HistoryPost struct {
	At     time.Time `json:"at"`
	Source string    `json:"source,omitempty"`
	// Kind is webhook or v2.
	Kind string `json:"kind"`
	Body []byte `json:"body"`
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
	// NotifyTest sends a test notice through a channel, now, or only writes it, and
	// returns its words.
	NotifyTest(ctx context.Context, by Actor, t TestNotice) (TestWords, error)
	// Notices lists what is undelivered: waiting, and given up.
	Notices(ctx context.Context) ([]NoticeStatus, error)
	// Monitoring tells whether anybody would tell that a target is red.
	Monitoring(ctx context.Context) (MonitoringStatus, error)
	// Runners lists the runners near the targets that were heard of lately.
	Runners(ctx context.Context) ([]RunnerStatus, error)
}

// TestNotice says which notice is to be tried, and where.
type TestNotice struct {
	// Channel is the channel's name; none never means all.
	Channel string `json:"channel"`
	// Moment is what the notice is about; empty means [backout.MomentTest].
	Moment backout.Moment `json:"moment,omitempty"`
	// Level is a level's name, L1 to L9; empty means L1.
	Level string `json:"level,omitempty"`
	// Audience is whom it is for; empty means nobody in particular.
	Audience string `json:"audience,omitempty"`
	// DryRun only writes it: nothing is sent.
	DryRun bool `json:"dry_run,omitempty"`
}

// TestWords is a test notice as its channel's people read it.
type TestWords struct {
	Channel string `json:"channel"`
	// Sent is false after a dry run, and when it did not arrive.
	Sent    bool   `json:"sent"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// Error is what the channel said when it did not arrive.
	Error string `json:"error,omitempty"`
}

// MonitoringStatus is the dead-man's switch: an alert that always fires, and what it
// means that it does not.
type MonitoringStatus struct {
	// Watched is false where the config names no such alert; the rest is zero then.
	Watched bool `json:"watched"`
	// Blind tells that it is missing: red targets may go unseen, and nothing counts
	// as recovered.
	Blind      bool      `json:"blind"`
	BlindSince time.Time `json:"blind_since,omitzero"`
	// LastSeen is when it came last; zero when it never has.
	LastSeen time.Time `json:"last_seen,omitzero"`
	// Watchdog are its matchers, MissingAfter how long it may stay away.
	Watchdog     string           `json:"watchdog,omitempty"`
	MissingAfter backout.Duration `json:"missing_after,omitempty"`
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

// NoticeStatus is a notice on one channel and how it stands there: it waits unless it
// was given up or delivered.
type NoticeStatus struct {
	Channel string         `json:"channel"`
	Notice  backout.Notice `json:"notice"`
	GivenUp bool           `json:"given_up"`
	// Delivered tells that it has arrived; At is when it did, or was tried last.
	Delivered bool      `json:"delivered,omitempty"`
	At        time.Time `json:"at,omitzero"`
	Tries     int       `json:"tries"`
	Error     string    `json:"error,omitempty"`
}
