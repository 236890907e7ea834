package backout

import "time"

// Event is something that happened to a rollback, as its log tells it. Events
// are facts: folding them never decides anything again, so a newer version reads
// an older log as it was meant.
//
//sumtype:decl
type Event interface {
	// Kind is the event's name in the log; it never changes.
	Kind() string
}

// The events of a rollback.
type (
	// Opened is the first event: the rollback exists, and has started nothing.
	Opened struct {
		RollbackID  string     `json:"rollback_id"`
		ChangeID    string     `json:"change_id"`
		ChangeTitle string     `json:"change_title,omitempty"`
		Patch       Patch      `json:"patch"`
		Frozen      FrozenPlan `json:"frozen"`
		Targets     []string   `json:"targets"`
		// Baselines are the digests of the targets' baselines, by target.
		Baselines map[string]string `json:"baselines,omitempty"`
		// Loses says what levels would lose, by their names, as their executors said
		// last; where it does not, the plan's words count.
		Loses      map[string]string `json:"loses,omitempty"`
		StartAt    int               `json:"start_at"`
		StartAfter time.Time         `json:"start_after,omitzero"`
		Trigger    Trigger           `json:"trigger"`
		Alert      *AlertRef         `json:"alert,omitempty"`
		// Requester planned the change; it never counts as an approver.
		Requester string `json:"requester,omitempty"`
		// AskFirst says why the first level needs an approval whatever its plan
		// says (a rule in mode ask, a limit); empty when it does not.
		AskFirst string `json:"ask_first,omitempty"`
		// Exploited are those of the patch's CVEs that are known to be exploited.
		Exploited []string `json:"exploited,omitempty"`
		// Labels are the change's.
		Labels map[string]string `json:"labels,omitempty"`
	}
	// Asked opens a question to the approvers.
	Asked struct {
		Ask Ask `json:"ask"`
	}
	// Voted records one vote on the open question.
	Voted struct {
		AskID string `json:"ask_id"`
		Vote  Vote   `json:"vote"`
	}
	// Answered closes the open question.
	Answered struct {
		AskID string `json:"ask_id"`
		// Outcome is approved, denied, held, expired, unheld, moot, superseded or
		// break_glass.
		Outcome string `json:"outcome"`
		By      string `json:"by,omitempty"`
	}
	// VoteRefused records an answer to a question that does not count. It moves
	// nothing. Of each question so many are kept, and no more.
	VoteRefused struct {
		AskID string `json:"ask_id"`
		Vote  Vote   `json:"vote"`
		// Cause is one of the Refusal constants, Reason says it in words.
		Cause  string `json:"cause"`
		Reason string `json:"reason"`
		// Last says that further ones are not kept.
		Last bool `json:"last,omitempty"`
	}
	// ApprovalVoided ends a question, or takes back what it had let begin and nothing
	// of had started: what it was bound to has changed, or its time was up.
	ApprovalVoided struct {
		AskID  string `json:"ask_id"`
		Level  int    `json:"level"`
		Reason string `json:"reason"`
		// Votes is how many approvals count no more.
		Votes int `json:"votes,omitempty"`
		// Entered says that the level had been entered already.
		Entered bool `json:"entered,omitempty"`
	}
	// GlassBroken says that one person starts a level without the votes it needs.
	GlassBroken struct {
		AskID  string `json:"ask_id"`
		Level  int    `json:"level"`
		By     string `json:"by"`
		Via    string `json:"via,omitempty"`
		Reason string `json:"reason"`
		Votes  int    `json:"votes,omitempty"`
		Needed int    `json:"needed"`
		// Members is a digest of who was in the asked groups then, as in [Vote].
		Members string `json:"members,omitempty"`
	}
	// Reviewed is what somebody else says of that afterwards. It may follow the end.
	Reviewed struct {
		AskID  string `json:"ask_id"`
		By     string `json:"by"`
		Reason string `json:"reason"`
	}
	// LastCall says that the question expires soon and still lacks votes.
	LastCall struct {
		AskID string `json:"ask_id"`
	}
	// ChannelsDown says that nobody can be told of the question, so that its clock
	// stands still.
	ChannelsDown struct {
		AskID  string `json:"ask_id"`
		Reason string `json:"reason"`
	}
	// ChannelsUp says that somebody can be told again.
	ChannelsUp struct {
		AskID    string    `json:"ask_id"`
		Deadline time.Time `json:"deadline"`
	}
	// LevelEntered begins a level; its steps follow.
	LevelEntered struct {
		Level int `json:"level"`
		// Targets are those not yet recovered.
		Targets []string `json:"targets"`
		Reason  string   `json:"reason,omitempty"`
		// AskID is the question that let it begin, ValidUntil until when its first step
		// may start; both are empty for a level that needed none.
		AskID      string    `json:"ask_id,omitempty"`
		ValidUntil time.Time `json:"valid_until,omitzero"`
	}
	// StepRequested asks a runner for an attempt.
	StepRequested struct {
		Level     int    `json:"level"`
		Step      int    `json:"step"`
		Target    string `json:"target"`
		AttemptID string `json:"attempt_id"`
		Number    int    `json:"number"`
	}
	// StepStarted is a runner's claim: from here the effect may have happened.
	StepStarted struct {
		Target    string    `json:"target"`
		AttemptID string    `json:"attempt_id"`
		Runner    string    `json:"runner"`
		Deadline  time.Time `json:"deadline,omitzero"`
		// Via is the runner near the target, if it is not the built-in one.
		Via string `json:"via,omitempty"`
		// Boot is the target's boot id just before; empty when it did not answer.
		Boot string `json:"boot,omitempty"`
	}
	// StepTakenOver says that another server looks after a claimed attempt: it asks
	// the target what became of it, and never simply starts it again.
	StepTakenOver struct {
		Target    string `json:"target"`
		AttemptID string `json:"attempt_id"`
		Runner    string `json:"runner"`
		// From is the server that had it.
		From string `json:"from"`
	}
	// ClockStarted sets the level's deadline, with its first started step.
	ClockStarted struct {
		Level    int       `json:"level"`
		Deadline time.Time `json:"deadline"`
		// Reopens are the CVEs that going back opens again, told once in a rollback.
		Reopens []string `json:"reopens,omitempty"`
	}
	// StepDone ends an attempt well.
	StepDone struct {
		Target    string  `json:"target"`
		AttemptID string  `json:"attempt_id"`
		Outcome   Outcome `json:"outcome"`
	}
	// StepFailed ends an attempt badly: its level has failed on the target.
	StepFailed struct {
		Target    string  `json:"target"`
		AttemptID string  `json:"attempt_id"`
		Outcome   Outcome `json:"outcome"`
		Reason    string  `json:"reason"`
	}
	// StepInDoubt ends what can be known of an attempt; people must say.
	StepInDoubt struct {
		Target    string `json:"target"`
		AttemptID string `json:"attempt_id"`
		Reason    string `json:"reason"`
	}
	// DoubtResolved is a person's word on an attempt in doubt.
	DoubtResolved struct {
		Target    string `json:"target"`
		AttemptID string `json:"attempt_id"`
		// Verdict is happened, did_not or failed.
		Verdict string `json:"verdict"`
		By      string `json:"by"`
	}
	// StopRequested asks the runner to stop an attempt, or, with Unstarted, only
	// not to begin it any more: what runs may end by itself.
	StopRequested struct {
		Target    string `json:"target"`
		AttemptID string `json:"attempt_id"`
		Reason    string `json:"reason"`
		Unstarted bool   `json:"unstarted,omitempty"`
	}
	// LevelOverdue says that the level's time is up while steps still run.
	LevelOverdue struct {
		Level int `json:"level"`
		// By is the person who asked to escalate now; empty for the clock.
		By string `json:"by,omitempty"`
	}
	// VerifyStarted says that the level's steps have ended and checks decide.
	VerifyStarted struct {
		Level int `json:"level"`
		// Deadline replaces the level's when a late step gets its one chance.
		Deadline time.Time `json:"deadline,omitzero"`
	}
	// TargetGreen says that every check of the target is green since Since.
	TargetGreen struct {
		Target string    `json:"target"`
		Since  time.Time `json:"since"`
	}
	// TargetRed says that a check of the target is not green (any more).
	TargetRed struct {
		Target string `json:"target"`
		Reason string `json:"reason"`
		// Drift is set when it is red because it is not back to its baseline.
		Drift *DriftFound `json:"drift,omitempty"`
	}
	// TargetBack says that the target was green for as long as the plan wants.
	TargetBack struct {
		Target string `json:"target"`
		// Drift is the baseline compared with the target at that moment; nil for
		// a target without a baseline.
		Drift *DriftFound `json:"drift,omitempty"`
	}
	// LevelFailed ends a level that did not bring every target back.
	LevelFailed struct {
		Level int `json:"level"`
		// Cause is time, failure or manual.
		Cause   string   `json:"cause"`
		Targets []string `json:"targets"`
		By      string   `json:"by,omitempty"`
	}
	// HeldBack stops the rollback until a person acts.
	HeldBack struct {
		Cause  HoldCause `json:"cause"`
		Reason string    `json:"reason"`
		By     string    `json:"by,omitempty"`
	}
	// Released ends a hold. Level names the level that it lets begin where no group may
	// approve one; empty for every other hold.
	Released struct {
		By     string `json:"by,omitempty"`
		Reason string `json:"reason,omitempty"`
		Level  string `json:"level,omitempty"`
	}
	// Paused freezes the rollback's clocks and allows no new effect.
	Paused struct {
		By     string `json:"by,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	// Resumed ends a pause; every deadline moves by its length.
	Resumed struct {
		By string `json:"by,omitempty"`
	}
	// EvidenceAdded records one more alert on a target of the rollback.
	EvidenceAdded struct {
		Alert AlertRef `json:"alert"`
	}
	// AbortRequested ends the rollback once no step runs.
	AbortRequested struct {
		By     string `json:"by"`
		Reason string `json:"reason,omitempty"`
	}
	// Ended is the last event.
	Ended struct {
		Status RollbackStatus `json:"status"`
		Reason string         `json:"reason,omitempty"`
	}
)

// Kind implements [Event].
func (Opened) Kind() string         { return "opened" }
func (Asked) Kind() string          { return "asked" }
func (Voted) Kind() string          { return "voted" }
func (Answered) Kind() string       { return "answered" }
func (VoteRefused) Kind() string    { return "vote_refused" }
func (ApprovalVoided) Kind() string { return "approval_voided" }
func (GlassBroken) Kind() string    { return "glass_broken" }
func (Reviewed) Kind() string       { return "reviewed" }
func (LastCall) Kind() string       { return "last_call" }
func (ChannelsDown) Kind() string   { return "channels_down" }
func (ChannelsUp) Kind() string     { return "channels_up" }
func (LevelEntered) Kind() string   { return "level_entered" }
func (StepRequested) Kind() string  { return "step_requested" }
func (StepStarted) Kind() string    { return "step_started" }
func (StepTakenOver) Kind() string  { return "step_taken_over" }
func (ClockStarted) Kind() string   { return "clock_started" }
func (StepDone) Kind() string       { return "step_done" }
func (StepFailed) Kind() string     { return "step_failed" }
func (StepInDoubt) Kind() string    { return "step_in_doubt" }
func (DoubtResolved) Kind() string  { return "doubt_resolved" }
func (StopRequested) Kind() string  { return "stop_requested" }
func (LevelOverdue) Kind() string   { return "level_overdue" }
func (VerifyStarted) Kind() string  { return "verify_started" }
func (TargetGreen) Kind() string    { return "target_green" }
func (TargetRed) Kind() string      { return "target_red" }
func (TargetBack) Kind() string     { return "target_back" }
func (LevelFailed) Kind() string    { return "level_failed" }
func (HeldBack) Kind() string       { return "held" }
func (Released) Kind() string       { return "released" }
func (Paused) Kind() string         { return "paused" }
func (Resumed) Kind() string        { return "resumed" }
func (EvidenceAdded) Kind() string  { return "evidence_added" }
func (AbortRequested) Kind() string { return "abort_requested" }
func (Ended) Kind() string          { return "ended" }

// Why a vote does not count.
const (
	// RefusalTooLate comes after the question was closed.
	RefusalTooLate = "too_late"
	// RefusalOutdated is about targets, or a plan, that are others by now.
	RefusalOutdated = "outdated"
	RefusalPaused   = "paused"
	// RefusalTwice is a person's second vote of the same kind.
	RefusalTwice = "voted_already"
	// RefusalExcluded asked for the change, wrote the plan or started the rollback.
	RefusalExcluded = "excluded"
	RefusalGroup    = "not_in_group"
	RefusalChannel  = "wrong_channel"
	// RefusalLogin has not proved lately who they are.
	RefusalLogin = "no_fresh_login"
	// RefusalForbidden has no role that allows it; RefusalUnmapped is an account that
	// nobody has linked, RefusalInactive one of somebody who may not act any more, or of
	// another organization.
	RefusalForbidden = "forbidden"
	RefusalUnmapped  = "unmapped"
	RefusalInactive  = "inactive"
)

// Command is what an event asks the outside world to do. Carrying one out twice
// is harmless: each has an identity made from the rollback, the event's sequence
// and its place.
//
//sumtype:decl
type Command interface{ command() }

// RunStep asks a runner to claim the attempt and run the step.
type RunStep struct {
	RollbackID string
	Level      int
	Step       int
	Target     string
	AttemptID  string
}

// StopStep asks the runner of an attempt to stop it, or, with Unstarted, only not
// to begin it any more.
type StopStep struct {
	RollbackID string
	Target     string
	AttemptID  string
	// Reason is why, in words.
	Reason    string
	Unstarted bool
}

// Tell asks for a notice to an audience.
type Tell struct{ Notice Notice }

func (RunStep) command()  {}
func (StopStep) command() {}
func (Tell) command()     {}

// The events of a change, in CHANGES.
type (
	// Planned is the first event of a change.
	Planned struct {
		Spec ChangeSpec `json:"spec"`
		By   string     `json:"by,omitempty"`
	}
	// GateRefused is a gate's no, with every reason.
	GateRefused struct {
		Violations []Violation `json:"violations"`
		// Answer is the digest of the whole answer, with its table, as it is stored;
		// empty where it could not be, and in logs of old releases.
		Answer string `json:"answer,omitempty"`
		By     string `json:"by,omitempty"`
	}
	// GateRepeated says that the gate was asked again and said the same no as before
	// or, while the change is live, that the same checks say no.
	GateRepeated struct {
		Answer string `json:"answer,omitempty"`
		By     string `json:"by,omitempty"`
	}
	// GatePassed is a gate's yes, bound to the plan's hash and the targets.
	GatePassed struct {
		PlanHash string   `json:"plan_hash"`
		Targets  []string `json:"targets"`
		// Baselines are the digests of what was captured for it, by target; where
		// the window opens in the same record, those that the record has.
		Baselines map[string]string `json:"baselines,omitempty"`
		// ValidUntil is when it goes stale; zero in logs of old releases.
		ValidUntil time.Time `json:"valid_until,omitzero"`
		// Answer is as in GateRefused.
		Answer string `json:"answer,omitempty"`
	}
	// BaselineBegan says that a server captures the baseline of every target and
	// makes what the way back needs. Until it ends, or BaselineLease is over,
	// nobody else does.
	BaselineBegan struct {
		// Number counts from 1 and names the attempts on the targets.
		Number int    `json:"number"`
		Server string `json:"server"`
		By     string `json:"by,omitempty"`
		// Opening is set when the window is to open with it: snapshots are made.
		Opening bool `json:"opening,omitempty"`
	}
	// BaselineCaptured ends it well: the digests, by target.
	BaselineCaptured struct {
		Number    int               `json:"number"`
		Baselines map[string]string `json:"baselines"`
	}
	// BaselineFailed ends it without a baseline. Where the window was to open with it,
	// that is a no of the gate.
	BaselineFailed struct {
		Number     int         `json:"number"`
		Violations []Violation `json:"violations"`
		// Answer is as in GateRefused.
		Answer string `json:"answer,omitempty"`
	}
	// DeltaCaptured says what the patch changed: digests of deltas, by target.
	DeltaCaptured struct {
		Deltas map[string]string `json:"deltas"`
	}
	// ReadinessChanged says why the way back would not work any more while the
	// window is open or watched; without violations, that it would again.
	ReadinessChanged struct {
		Violations []Violation `json:"violations,omitempty"`
		// Answer is as in GateRefused.
		Answer string `json:"answer,omitempty"`
	}
	// WindowOpened freezes the plan and lets the patch begin.
	WindowOpened struct {
		Frozen FrozenPlan `json:"frozen"`
		// Baselines are the digests of the targets' baselines, by target.
		Baselines map[string]string `json:"baselines,omitempty"`
		By        string            `json:"by,omitempty"`
	}
	// WindowExtended moves the window's end.
	WindowExtended struct {
		Closes time.Time `json:"closes"`
		By     string    `json:"by,omitempty"`
		Reason string    `json:"reason,omitempty"`
	}
	// PatchStarted says that the patch command has begun.
	PatchStarted struct {
		By string `json:"by,omitempty"`
	}
	// PatchEnded says that patching is over.
	PatchEnded struct {
		ExitCode int    `json:"exit_code"`
		By       string `json:"by,omitempty"`
	}
	// TargetsPatched says that patching of these targets is over, while others of the
	// change wait for theirs.
	TargetsPatched struct {
		Targets  []string `json:"targets"`
		ExitCode int      `json:"exit_code"`
		By       string   `json:"by,omitempty"`
	}
	// WatchStarted begins the watch.
	WatchStarted struct {
		Until time.Time `json:"until"`
	}
	// RollbackRequested makes a rollback exist. The change's log decides who
	// opens one, so a target is in at most one; Opened becomes the first event
	// of the rollback's own log.
	RollbackRequested struct {
		Opened Opened `json:"opened"`
	}
	// RollbackEnded tells the change how one of its rollbacks ended.
	RollbackEnded struct {
		RollbackID string         `json:"rollback_id"`
		Status     RollbackStatus `json:"status"`
	}
	// VerdictGiven records what a rule said and nothing followed from: a shadow
	// rule, or one that its throttle stopped.
	VerdictGiven struct {
		Verdict Verdict `json:"verdict"`
	}
	// RuleJudged says whether a person agrees with what a rule of this content said
	// of the change. It may come after the change's end.
	RuleJudged struct {
		Rule   string `json:"rule"`
		Hash   string `json:"hash"`
		Agree  bool   `json:"agree"`
		By     string `json:"by"`
		Reason string `json:"reason,omitempty"`
	}
	// ChangeEnded ends the life of a change: nothing but judgements follows.
	ChangeEnded struct {
		State  ChangeState `json:"state"`
		By     string      `json:"by,omitempty"`
		Reason string      `json:"reason,omitempty"`
		// Blind says when nobody would have seen a red target, though alerts counted;
		// empty when somebody always would.
		Blind string `json:"blind,omitempty"`
	}
)

// Kind implements [Event].
func (Planned) Kind() string           { return "planned" }
func (GateRefused) Kind() string       { return "gate_refused" }
func (GateRepeated) Kind() string      { return "gate_repeated" }
func (GatePassed) Kind() string        { return "gate_passed" }
func (BaselineBegan) Kind() string     { return "baseline_began" }
func (BaselineCaptured) Kind() string  { return "baseline_captured" }
func (BaselineFailed) Kind() string    { return "baseline_failed" }
func (DeltaCaptured) Kind() string     { return "delta_captured" }
func (ReadinessChanged) Kind() string  { return "readiness_changed" }
func (WindowOpened) Kind() string      { return "window_opened" }
func (WindowExtended) Kind() string    { return "window_extended" }
func (PatchStarted) Kind() string      { return "patch_started" }
func (PatchEnded) Kind() string        { return "patch_ended" }
func (TargetsPatched) Kind() string    { return "targets_patched" }
func (WatchStarted) Kind() string      { return "watch_started" }
func (RollbackRequested) Kind() string { return "rollback_requested" }
func (RollbackEnded) Kind() string     { return "rollback_ended" }
func (VerdictGiven) Kind() string      { return "verdict_given" }
func (RuleJudged) Kind() string        { return "rule_judged" }
func (ChangeEnded) Kind() string       { return "change_ended" }
