package backout

import (
	"regexp"
	"strings"
	"time"
)

// RollbackStatus is where a rollback stands.
type RollbackStatus string

// The states of a rollback. internal/rollback moves them; DESIGN.md there draws
// the arrows.
const (
	// RollbackPending has started nothing: it waits for its rule's "for", or
	// for the approval of its first level.
	RollbackPending RollbackStatus = "pending"
	// RollbackRunning runs the steps of its level.
	RollbackRunning RollbackStatus = "running"
	// RollbackVerifying has run the level's steps and watches the checks.
	RollbackVerifying RollbackStatus = "verifying"
	// RollbackAwaiting waits for the approval of its next level.
	RollbackAwaiting RollbackStatus = "awaiting_approval"
	// RollbackHeld needs a human, and a notice has said so.
	RollbackHeld RollbackStatus = "held"
	// RollbackAborting was aborted while steps ran; it ends with the last one.
	RollbackAborting RollbackStatus = "aborting"
	// RollbackRecovered is final: every target has recovered.
	RollbackRecovered RollbackStatus = "recovered"
	// RollbackExhausted is final: the last level did not help.
	RollbackExhausted RollbackStatus = "exhausted"
	// RollbackAborted is final: a person ended it.
	RollbackAborted RollbackStatus = "aborted"
	// RollbackCancelled is final: the alert resolved before anything started.
	RollbackCancelled RollbackStatus = "cancelled"
)

// Final tells whether the rollback has ended for good.
func (s RollbackStatus) Final() bool {
	switch s {
	case RollbackRecovered, RollbackExhausted, RollbackAborted, RollbackCancelled:
		return true
	case RollbackPending, RollbackRunning, RollbackVerifying, RollbackAwaiting, RollbackHeld, RollbackAborting:
		return false
	}
	return false
}

// Rollback is one execution of a plan for some targets of one change: the fold
// of its events.
type Rollback struct {
	ID          string     `json:"id"`
	ChangeID    string     `json:"change_id"`
	ChangeTitle string     `json:"change_title,omitempty"`
	Patch       Patch      `json:"patch"`
	Frozen      FrozenPlan `json:"frozen"`
	// Loses says what levels would lose; see [Rollback.Lost].
	Loses    map[string]string `json:"loses,omitempty"`
	Trigger  Trigger           `json:"trigger"`
	Status   RollbackStatus    `json:"status"`
	OpenedAt time.Time         `json:"opened_at"`
	EndedAt  time.Time         `json:"ended_at,omitzero"`
	// StartAt is the index of the first level; StartAfter the end of the rule's
	// "for".
	StartAt    int       `json:"start_at"`
	StartAfter time.Time `json:"start_after,omitzero"`
	// Level is the index of the level entered last, -1 before the first.
	Level          int       `json:"level"`
	LevelEnteredAt time.Time `json:"level_entered_at,omitzero"`
	// LevelStartedAt is when the level's first step started; zero before.
	LevelStartedAt time.Time `json:"level_started_at,omitzero"`
	// BegunAt is when a runner first claimed a step of any level; zero while nothing can
	// have happened.
	BegunAt time.Time `json:"begun_at,omitzero"`
	// LevelDeadline is when the level's time is up. Until its first step has
	// started it bounds the wait for a runner.
	LevelDeadline time.Time `json:"level_deadline,omitzero"`
	// Overdue is set when the level's time was up while steps still ran.
	Overdue bool          `json:"overdue,omitempty"`
	Targets []TargetState `json:"targets"`
	// Ask is the open question to the approvers, if any.
	Ask *Ask `json:"ask,omitempty"`
	// Asks counts the questions asked so far.
	Asks int `json:"asks,omitempty"`
	// AskFirst says why the first level needs an approval whatever its plan says.
	AskFirst string `json:"ask_first,omitempty"`
	// Excluded may not approve: requester, plan author, who started it by hand.
	Excluded []string `json:"excluded,omitempty"`
	// Exploited are those of the patch's CVEs that were known to be exploited when the
	// rollback was opened; Labels are the change's.
	Exploited []string          `json:"exploited,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Decided is the question that was closed last.
	Decided *Decided `json:"decided,omitempty"`
	// Given is what let the level begin, as long as nothing of it has started.
	Given *Given `json:"given,omitempty"`
	// Reviews are the levels that one person started alone, oldest first.
	Reviews []Review `json:"reviews,omitempty"`
	// ReopenedAt is when going back first reopened what the patch had closed.
	ReopenedAt time.Time `json:"reopened_at,omitzero"`
	// HeldAt is set while the rollback is held, with the cause, the reason in
	// words, and the status it goes back to. It is when the hold began that stands now,
	// and tells it from another: one may take another's place, and it does not move.
	HeldAt     time.Time      `json:"held_at,omitzero"`
	HeldCause  HoldCause      `json:"held_cause,omitempty"`
	HeldReason string         `json:"held_reason,omitempty"`
	HeldStatus RollbackStatus `json:"held_status,omitempty"`
	// StillSince is since when its clocks stand still for holds; the time before a pause
	// ended has been given back already.
	StillSince time.Time `json:"still_since,omitzero"`
	// FailuresAccepted is set when a person released a hold at stop_at_failures
	// in this level.
	FailuresAccepted bool `json:"failures_accepted,omitempty"`
	// EscalateBy is who asked to leave the level while its steps still ran.
	EscalateBy string `json:"escalate_by,omitempty"`
	// PausedAt is set while the rollback is paused; its clocks stand still.
	PausedAt     time.Time `json:"paused_at,omitzero"`
	PausedBy     string    `json:"paused_by,omitempty"`
	PausedReason string    `json:"paused_reason,omitempty"`
	// Evidence are the alerts that speak for this rollback, oldest first, at
	// most 100.
	Evidence []AlertRef `json:"evidence,omitempty"`
	// Reason says why the rollback is where it is, in a few words.
	Reason string `json:"reason,omitempty"`
	// Revision is the sequence of the rollback's last record.
	Revision uint64 `json:"revision,omitempty"`
}

// HoldCause says why a rollback is held.
type HoldCause string

// The values of [HoldCause].
const (
	// HoldPerson is a person's hold.
	HoldPerson HoldCause = "person"
	// HoldDenied is an approval that was denied, or expired unanswered.
	HoldDenied HoldCause = "denied"
	// HoldDoubt is an attempt nobody knows the end of.
	HoldDoubt HoldCause = "doubt"
	// HoldFailures is a level that failed on too many targets.
	HoldFailures HoldCause = "failures"
	// HoldNobody is an approval that nobody may give.
	HoldNobody HoldCause = "nobody"
)

// Trigger says what opened a rollback: a rule's verdict or a person.
type Trigger struct {
	Verdict *Verdict `json:"verdict,omitempty"`
	// By is the person, for a rollback started by hand.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// AlertRef is an alert as a rollback remembers it.
type AlertRef struct {
	Fingerprint string    `json:"fingerprint"`
	Name        string    `json:"name"`
	Target      string    `json:"target"`
	StartsAt    time.Time `json:"starts_at"`
	Summary     string    `json:"summary,omitempty"`
}

// TargetPhase is where one target stands within the current level.
type TargetPhase string

// The values of [TargetPhase].
const (
	// TargetWaiting has not begun the current level.
	TargetWaiting TargetPhase = "waiting"
	// TargetRunning has an attempt that is requested or started.
	TargetRunning TargetPhase = "running"
	// TargetInDoubt has an attempt nobody knows the end of.
	TargetInDoubt TargetPhase = "in_doubt"
	// TargetDone has run every step of the level and is being verified.
	TargetDone TargetPhase = "done"
	// TargetFailed has a step of the level that failed.
	TargetFailed TargetPhase = "failed"
	// TargetRecovered is back; no further level touches it.
	TargetRecovered TargetPhase = "recovered"
)

// TargetState is one target of a rollback.
type TargetState struct {
	Name  string      `json:"name"`
	Phase TargetPhase `json:"phase"`
	// Step is the index of the current step in the current level.
	Step int `json:"step"`
	// Attempt is the current attempt, if any; its id is the fence.
	Attempt *Attempt `json:"attempt,omitempty"`
	// Tries is the highest number that an attempt of any step has had here.
	Tries int `json:"tries,omitempty"`
	// GreenSince is since when every check has been green; zero while red.
	GreenSince time.Time `json:"green_since,omitzero"`
	// Red says why the checks are not green, when they are not.
	Red string `json:"red,omitempty"`
	// Failure says why the level failed here.
	Failure string `json:"failure,omitempty"`
	// RecoveredAt and RecoveredLevel say when, and by which level (-1 before
	// the first).
	RecoveredAt    time.Time `json:"recovered_at,omitzero"`
	RecoveredLevel int       `json:"recovered_level,omitempty"`
	// Baseline is the digest of the target's baseline; empty when it has none.
	Baseline string `json:"baseline,omitempty"`
	// Drift is what the last drift check said.
	Drift *DriftFound `json:"drift,omitempty"`
	// Held are the packages that a step keeps from coming back, since HeldAt.
	Held   []string  `json:"held,omitempty"`
	HeldAt time.Time `json:"held_at,omitzero"`
}

// Attempt is one try of one step on one target.
type Attempt struct {
	// ID names the try everywhere, on the target too: rollback, level, step,
	// target and number; see [AttemptID].
	ID     string `json:"id"`
	Number int    `json:"number"`
	// Runner is the server that claimed the attempt, or took it over; empty while
	// it is only requested.
	Runner string `json:"runner,omitempty"`
	// Via is the runner near the target that carries it out; empty for the one
	// built into the server.
	Via string `json:"via,omitempty"`
	// Boot is the target's boot id before the first effect; empty when it could
	// not be asked.
	Boot      string    `json:"boot,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// Deadline ends the attempt by its step's time-out; zero means none.
	Deadline time.Time `json:"deadline,omitzero"`
	// Stopping is set once a stop was asked for; Unstarted when only one of what
	// has not begun.
	Stopping  bool `json:"stopping,omitempty"`
	Unstarted bool `json:"unstarted,omitempty"`
}

// CurrentLevel returns the level entered last, or nil before the first.
func (r *Rollback) CurrentLevel() *Level {
	if r.Level < 0 || r.Level >= len(r.Frozen.Plan.Levels) {
		return nil
	}
	return &r.Frozen.Plan.Levels[r.Level]
}

// NextUp returns the index of the level that the rollback comes to when it has none that
// runs: what was left out stays so. It is the number of levels when none is left.
func (r *Rollback) NextUp() int {
	next := r.Level + 1
	if r.Level < 0 {
		next = r.StartAt
	}
	if r.Decided != nil {
		next = max(next, r.Decided.Level)
	}
	return next
}

// Leaves returns the index of the level that escalating leaves: the one that is asked for,
// the one that a hold keeps from being asked for anew, or the one that runs. It is -1 when
// there is none yet.
func (r *Rollback) Leaves() int {
	waits := r.HeldStatus == RollbackPending || r.HeldStatus == RollbackAwaiting
	switch {
	case r.Ask != nil:
		return r.Ask.Level
	case r.Status == RollbackHeld && waits && (r.Decided != nil || r.HeldCause == HoldNobody):
		return r.NextUp()
	}
	return r.Level
}

// LevelEnds returns when the level's time is up; zero while that ends nothing: before the
// first level, between two, when it was up already and steps still run, and after an
// abort. A hold or a pause makes every clock stand still, this one too.
func (r *Rollback) LevelEnds() time.Time {
	if r.Status == RollbackRunning && !r.Overdue || r.Status == RollbackVerifying {
		return r.LevelDeadline
	}
	return time.Time{}
}

// NextLevel returns the level that would be entered next, or nil after the last.
func (r *Rollback) NextLevel() *Level {
	next := r.Level + 1
	if r.Level < 0 {
		next = r.StartAt
	}
	if next >= len(r.Frozen.Plan.Levels) {
		return nil
	}
	return &r.Frozen.Plan.Levels[next]
}

// Lost says what the level of that index would lose: what its executors said last,
// or else the plan. What they said is read long after: ages in it are as of now.
func (r *Rollback) Lost(level int, now time.Time) string {
	if level < 0 || level >= len(r.Frozen.Plan.Levels) {
		return ""
	}
	l := &r.Frozen.Plan.Levels[level]
	if said := r.Loses[l.Name]; said != "" {
		return lostSince.ReplaceAllStringFunc(said, func(part string) string { return aged(part, now) })
	}
	return l.Loses
}

// lostSince is how executors tell since when something would be lost.
var lostSince = regexp.MustCompile(`since \d{4}-\d\d-\d\dT\d\d:\d\dZ \([^()]* ago\)`)

func aged(said string, now time.Time) string {
	stamp := strings.Fields(said)[1]
	from, err := time.Parse("2006-01-02T15:04Z", stamp)
	if err != nil || now.Before(from) {
		return said
	}
	return "since " + stamp + " (" + Duration(now.Sub(from).Truncate(time.Minute)).String() + " ago)"
}

// Target returns the named target's state, or nil.
func (r *Rollback) Target(name string) *TargetState {
	for i := range r.Targets {
		if r.Targets[i].Name == name {
			return &r.Targets[i]
		}
	}
	return nil
}

// Unreviewed tells whether one person started a level alone and nobody else has said yet
// what they found when they looked at it. That may be so long after the end.
func (r *Rollback) Unreviewed() bool {
	for i := range r.Reviews {
		if r.Reviews[i].ReviewedBy == "" {
			return true
		}
	}
	return false
}

// Ask is an open question to people: may this level start? It is bound to the
// plan's hash, the level and the targets; any change of them is a new question.
type Ask struct {
	// ID names the question; a vote must carry it.
	ID string `json:"id"`
	// NoticeID names the notice by which people are asked, on every channel. It follows
	// from the place of the question in the log, so it is in no event.
	NoticeID string `json:"notice_id,omitempty"`
	// Level is the index of the level asked for.
	Level  int      `json:"level"`
	Why    string   `json:"why,omitempty"`
	Policy Approval `json:"policy"`
	// AskedAt and Deadline bound it; at the deadline Policy says what happens.
	AskedAt  time.Time `json:"asked_at"`
	Deadline time.Time `json:"deadline,omitzero"`
	// Excluded may not approve: requester, plan author, who triggered it.
	Excluded []string `json:"excluded,omitempty"`
	Votes    []Vote   `json:"votes,omitempty"`
	// PlanHash and Targets are what the question is bound to beside its level; both are
	// empty in questions of old releases.
	PlanHash string   `json:"plan_hash,omitempty"`
	Targets  []string `json:"targets,omitempty"`
	// Renews is the question that this one is asked in place of.
	Renews string `json:"renews,omitempty"`
	// Refused is how many refused votes on it the log keeps.
	Refused int `json:"refused,omitempty"`
	// LastCallAt is when people were called for the last time, shortly before the
	// deadline; zero before that.
	LastCallAt time.Time `json:"last_call_at,omitzero"`
	// Members is a digest of who was in the asked groups when one person broke the glass.
	Members string `json:"members,omitempty"`
	// DownAt is since when nobody can be told of it, and its clock stands still, for
	// DownReason; zero while somebody can. Downs counts how often that was so.
	DownAt     time.Time `json:"down_at,omitzero"`
	DownReason string    `json:"down_reason,omitempty"`
	Downs      int       `json:"downs,omitempty"`
}

// LastCallBefore is how long before the deadline of a question people are called once
// more, where votes are missing and the question is open for twice that or longer.
const LastCallBefore = 2 * time.Minute

// Decided is what became of a question.
type Decided struct {
	AskID string `json:"ask_id"`
	Level int    `json:"level"`
	// Outcome is as in [Answered], or voided; Reason says why it was voided.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// By is who decided; empty for the clock.
	By string    `json:"by,omitempty"`
	At time.Time `json:"at"`
	// Groups and Members are whose votes counted; see [Vote.Members].
	Groups  []string `json:"groups,omitempty"`
	Members string   `json:"members,omitempty"`
	// Refused goes on from [Ask.Refused]: who comes too late is kept too.
	Refused int `json:"refused,omitempty"`
}

// Given is what let a level begin: good for a time, and for nothing else.
type Given struct {
	AskID string    `json:"ask_id"`
	Until time.Time `json:"until"`
	// Before is the level that was left for it, with its times.
	Before          int       `json:"before"`
	BeforeEnteredAt time.Time `json:"before_entered_at,omitzero"`
	BeforeStartedAt time.Time `json:"before_started_at,omitzero"`
}

// Review is a level that one person started without the votes it needs, and what
// somebody else said of that afterwards.
type Review struct {
	AskID  string    `json:"ask_id"`
	Level  int       `json:"level"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// ReviewedBy is empty while the review is open.
	ReviewedBy string    `json:"reviewed_by,omitempty"`
	ReviewedAt time.Time `json:"reviewed_at,omitzero"`
	Finding    string    `json:"finding,omitempty"`
}

// Choice is what a person voted.
type Choice string

// The values of [Choice].
const (
	// ChoiceApprove lets the level start, once there are enough.
	ChoiceApprove Choice = "approve"
	// ChoiceDeny holds the rollback; one is enough.
	ChoiceDeny Choice = "deny"
)

// Vote is one person's answer to an [Ask], whatever channel it came by.
type Vote struct {
	User   string   `json:"user"`
	Groups []string `json:"groups,omitempty"`
	Choice Choice   `json:"choice"`
	Reason string   `json:"reason,omitempty"`
	// Via is the channel: cli, api, slack, dashboard.
	Via string `json:"via,omitempty"`
	// LoginAt is when the voter last proved who they are; zero when nobody knows.
	LoginAt time.Time `json:"login_at,omitzero"`
	// Members is a digest of who was in the asked groups; empty when nobody knows.
	Members string    `json:"members,omitempty"`
	At      time.Time `json:"at"`
}

// Approvals counts the approving votes.
func (a *Ask) Approvals() int {
	n := 0
	for _, v := range a.Votes {
		if v.Choice == ChoiceApprove {
			n++
		}
	}
	return n
}
