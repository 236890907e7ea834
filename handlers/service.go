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

// Rules is what the API needs of rules.
type Rules interface {
	// ListRules lists the rules of the config with what they may do and how they
	// have done, in the order of their files.
	ListRules(ctx context.Context) ([]RuleStatus, error)
	// Explain says what every rule makes of one alert.
	Explain(ctx context.Context, r ExplainRequest) (Explained, error)
	// RedAlerts lists at most so many of the alerts that fire now, those on targets
	// of live changes first, the newest first, and says how many there are.
	RedAlerts(ctx context.Context, most int) (list []RedAlert, all int, err error)
	// PromoteRule lets a rule do more, or less.
	PromoteRule(ctx context.Context, by Actor, rule string, p Promotion) (RuleStatus, error)
	// JudgeRule says whether a person agrees with what a rule said of a change.
	JudgeRule(ctx context.Context, by Actor, changeID, rule string, j backout.Judgement) (backout.Change, error)
	// History calls fn with what came in and what became of it between the times,
	// in order: first the changes whose windows were open then, then their rollbacks,
	// then the posts, then the end.
	History(ctx context.Context, since, until time.Time, fn func(HistoryEntry) error) error
}

// RuleStatus is one rule as the server knows it.
type RuleStatus struct {
	Rule        string   `json:"rule"`
	Group       string   `json:"group"`
	File        string   `json:"file"`
	Line        int      `json:"line,omitempty"`
	Match       []string `json:"match,omitempty"`
	When        string   `json:"when,omitempty"`
	TargetLabel string   `json:"target_label"`
	Hash        string   `json:"hash"`
	// Throttle is what keeps it from acting too soon and too often.
	Throttle backout.Throttle `json:"throttle,omitzero"`
	// FileMode is what the file says, Mode what the rule may do now; Why says why
	// that is less.
	FileMode backout.Mode `json:"file_mode"`
	Mode     backout.Mode `json:"mode"`
	Why      string       `json:"why,omitempty"`
	// Promotion is the last word on what it may do and on what evidence, nil when
	// nobody has said any; History are the last 50, the newest first.
	Promotion *Promoted  `json:"promotion,omitempty"`
	History   []Promoted `json:"history,omitempty"`
	Score     RuleScore  `json:"score"`
	// LastVerdict is when it matched last; zero when it never did.
	LastVerdict time.Time `json:"last_verdict,omitzero"`
}

// RuleScore is how a rule has done, counted in changes that it spoke of with the
// content it has now.
type RuleScore struct {
	// Agreed and Disagreed are by a person's judgement or, without one, by what
	// became of the change; Open are those nobody can tell of yet.
	Agreed    int `json:"agreed"`
	Disagreed int `json:"disagreed"`
	Open      int `json:"open"`
	// ByPeople of the agreed and disagreed are judged by a person.
	ByPeople int `json:"by_people"`
	// Precision is Agreed over both, 0 to 1; 0 when there are none.
	Precision float64 `json:"precision"`
}

// Promotion asks that a rule may do as much as Mode.
type Promotion struct {
	Mode   backout.Mode `json:"mode"`
	Reason string       `json:"reason"`
	// Hash is that of the rule as the person knows it; when it is given and the rule
	// says something else by now, nothing is promoted.
	Hash string `json:"hash,omitempty"`
}

// Promoted is who let a rule act, and what was known of it then.
type Promoted struct {
	Mode backout.Mode `json:"mode"`
	// Lowered says that it takes something from the rule: it counts also where no
	// promotion is required.
	Lowered bool      `json:"lowered,omitempty"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Hash    string    `json:"hash"`
	Score   RuleScore `json:"score"`
}

// ExplainRequest asks about one alert: given whole, or one that the server has
// seen, by its fingerprint.
type ExplainRequest struct {
	Alert       *backout.Alert `json:"alert,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	// ChangeIDs ask about these changes, live or not; none means those live on the
	// alert's target.
	ChangeIDs []string `json:"change_ids,omitempty"`
	// Rule asks about one rule; empty means all.
	Rule string `json:"rule,omitempty"`
	// At is the moment; zero means now. Changes are taken as they stood then.
	At time.Time `json:"at,omitzero"`
}

// Explained is what every rule makes of an alert.
type Explained struct {
	Alert backout.Alert `json:"alert"`
	At    time.Time     `json:"at"`
	// Notes say what the answer does not know, or takes for granted.
	Notes []string `json:"notes,omitempty"`
	// Rules are those that match first, then by how little they miss.
	Rules []ExplainedRule `json:"rules"`
	// Said is what the logs of the changes say of the alert: what really followed.
	Said []string `json:"said,omitempty"`
}

// ExplainedRule is what one rule makes of the alert and one change.
type ExplainedRule struct {
	Rule     string       `json:"rule"`
	Group    string       `json:"group"`
	Mode     backout.Mode `json:"mode"`
	Target   string       `json:"target,omitempty"`
	ChangeID string       `json:"change_id,omitempty"`
	Matched  bool         `json:"matched"`
	// Why says in one line what follows, or why nothing does.
	Why string `json:"why"`
	// Follows is what follows from a match: nothing, record, evidence or open.
	Follows string `json:"follows,omitempty"`
	// Guard is the reason no rule can change, Stopped what kept a rule that
	// matched from acting; empty when nothing did.
	Guard   string `json:"guard,omitempty"`
	Stopped string `json:"stopped,omitempty"`
	// Holds are what a rollback that opens would wait for before it starts.
	Holds []string      `json:"holds,omitempty"`
	Parts []ExplainPart `json:"parts"`
	// Waiting tells that only a query keeps the rule from matching, whose value is
	// not known yet.
	Waiting bool   `json:"waiting,omitempty"`
	Error   string `json:"error,omitempty"`
	// Misses is how many conditions, the guard included, did not hold.
	Misses int `json:"misses"`
}

// Acts tells whether the rule would open a rollback.
func (r *ExplainedRule) Acts() bool { return r.Follows == "open" }

// ExplainPart is one condition with what was found.
type ExplainPart struct {
	// Kind is match or when.
	Kind string `json:"kind"`
	Text string `json:"text"`
	Held bool   `json:"held"`
	// Failed marks the part that kept the rule, or the "and" that it stands in, from
	// holding: the first that does not.
	Failed bool `json:"failed,omitempty"`
	// Unknown says why nobody can tell whether it holds.
	Unknown string `json:"unknown,omitempty"`
	Error   string `json:"error,omitempty"`
	// Op is and, or, not for a part that is made of Parts.
	Op    string        `json:"op,omitempty"`
	Parts []ExplainPart `json:"parts,omitempty"`
}

// RedAlert is one alert that fires now, on a target.
type RedAlert struct {
	Target string        `json:"target"`
	Alert  backout.Alert `json:"alert"`
	// ChangeIDs are the live changes on the target.
	ChangeIDs []string `json:"change_ids,omitempty"`
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
	// NotifyTest sends a test notice through the channel, now.
	NotifyTest(ctx context.Context, by Actor, channel string) error
	// Notices lists what is undelivered: waiting, and given up.
	Notices(ctx context.Context) ([]NoticeStatus, error)
	// Monitoring tells whether anybody would tell that a target is red.
	Monitoring(ctx context.Context) (MonitoringStatus, error)
	// Runners lists the runners near the targets that were heard of lately.
	Runners(ctx context.Context) ([]RunnerStatus, error)
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

// NoticeStatus is one undelivered notice.
type NoticeStatus struct {
	Channel string         `json:"channel"`
	Notice  backout.Notice `json:"notice"`
	GivenUp bool           `json:"given_up"`
	Tries   int            `json:"tries"`
	Error   string         `json:"error,omitempty"`
}
