// Package backout holds the nouns of automatic patch rollback and the
// contracts of its plug-ins.
//
// # What stands here
//
// A [Change] is one patch going to some targets in one [Window] under one
// [Plan]. An [Alert] that turns a target red while the window is open, or being
// watched, may yield a [Verdict]; a verdict may open a [Rollback], which climbs
// the plan's levels until its targets have recovered. Everything that happens
// to a rollback is an [Event] in its log, the state is the fold of that log, and
// a [Command] is what an event asks the outside world to do.
//
// # Plug-ins
//
// An [Executor] puts something back on one [Host]; a [Notifier] carries a
// [Notice] to people. Both can be written outside this module: no signature
// here speaks of an internal package.
//
// # What this package may not do
//
// It has no clock, no I/O, no goroutine and no log, and imports the standard
// library only. Times are inputs.
package backout

import (
	"slices"
	"time"
)

// ChangeState is where a change stands in its life.
type ChangeState string

// The states of a change. The arrows are drawn in internal/change.
const (
	// ChangePlanned is a change that is known and may not be made yet.
	ChangePlanned ChangeState = "planned"
	// ChangeReady is a planned change whose gate has passed.
	ChangeReady ChangeState = "ready"
	// ChangeOpen is a change whose window is open: the patch may be applied and
	// alerts count.
	ChangeOpen ChangeState = "open"
	// ChangeWatching is a change that has been patched, or whose window is over,
	// and whose alerts still count.
	ChangeWatching ChangeState = "watching"
	// ChangeBackingOut is a change with at least one rollback that is not final.
	ChangeBackingOut ChangeState = "backing_out"
	// ChangeBackedOut is final: every rollback of it recovered its targets.
	ChangeBackedOut ChangeState = "backed_out"
	// ChangeBackoutFailed is final: a rollback of it ended without recovery.
	ChangeBackoutFailed ChangeState = "backout_failed"
	// ChangeClosed is final: the watch ended and nothing had to be rolled back.
	ChangeClosed ChangeState = "closed"
	// ChangeCancelled is final: it was withdrawn before its window opened.
	ChangeCancelled ChangeState = "cancelled"
)

// Final tells whether no event moves the change any more.
func (s ChangeState) Final() bool {
	switch s {
	case ChangeBackedOut, ChangeBackoutFailed, ChangeClosed, ChangeCancelled:
		return true
	case ChangePlanned, ChangeReady, ChangeOpen, ChangeWatching, ChangeBackingOut:
		return false
	}
	return false
}

// Live tells whether alerts count for the change: its window is open, watched,
// or a rollback of it is running.
func (s ChangeState) Live() bool {
	return s == ChangeOpen || s == ChangeWatching || s == ChangeBackingOut
}

// ChangeSpec is what a person or a pipeline asks for: the change as planned.
type ChangeSpec struct {
	// ID is the change's name everywhere ("CHG0030001"): 1 to 64 characters of
	// A-Z a-z 0-9 . _ -, starting with a letter or digit.
	ID           string            `json:"id"`
	Title        string            `json:"title,omitempty"`
	Patch        Patch             `json:"patch"`
	Targets      []string          `json:"targets"`
	Plan         string            `json:"plan"`
	Window       Window            `json:"window"`
	Owner        string            `json:"owner,omitempty"`
	Stakeholders []string          `json:"stakeholders,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// Patch names what is being applied.
type Patch struct {
	// Kind is kb, advisory, packages, image or other.
	Kind string `json:"kind,omitempty"`
	// IDs are the patch's own names: KB numbers, advisories, package NEVRAs.
	IDs []string `json:"ids,omitempty"`
	// CVEs are the vulnerabilities the patch closes, and a rollback reopens.
	CVEs []string `json:"cves,omitempty"`
}

// Window says when the change may be made and how long alerts count afterwards.
type Window struct {
	Opens  time.Time `json:"opens"`
	Closes time.Time `json:"closes"`
	// TimeZone is an IANA name, for people; the times above are absolute.
	TimeZone string `json:"time_zone,omitempty"`
	// Watch is how long after patching, or after Closes, alerts still count.
	Watch Duration `json:"watch"`
	// Auto opens the window by itself at Opens once the gate passes.
	Auto bool `json:"auto,omitempty"`
}

// Change is a change as it stands: what was planned and what has happened.
type Change struct {
	ChangeSpec
	State ChangeState `json:"state"`
	// Requester planned the change; it never counts as its approver.
	Requester  string    `json:"requester,omitempty"`
	PlannedAt  time.Time `json:"planned_at"`
	OpenedAt   time.Time `json:"opened_at,omitzero"`
	PatchedAt  time.Time `json:"patched_at,omitzero"`
	WatchUntil time.Time `json:"watch_until,omitzero"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	// Frozen is the plan as it was when the window opened, with its hash; nil
	// before. Later edits of the plan file do not reach this change.
	Frozen *FrozenPlan `json:"frozen,omitempty"`
	// GateAt is when the gate last answered; zero when it was never asked.
	GateAt time.Time `json:"gate_at,omitzero"`
	// Violations are the gate's last reasons for a no.
	Violations []Violation `json:"violations,omitempty"`
	// Answer is the digest of the last answer as it is stored, with its whole table:
	// the gate's or, while the change is live, that about its readiness; empty where
	// none is stored. AnsweredAt is when it was given.
	Answer     string    `json:"answer,omitempty"`
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	// Certified is the hash of the plan that the gate's yes is bound to, ValidUntil
	// when it goes stale; both are empty when there is none.
	Certified  string    `json:"certified,omitempty"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	// Stale says why the gate's yes is worth nothing any more. It is worked out when
	// the change is read, and in no log.
	Stale string `json:"stale,omitempty"`
	// Capture is the capture of baselines that is under way; nil when none is.
	// Captures counts those that began.
	Capture  *Capture `json:"capture,omitempty"`
	Captures int      `json:"captures,omitempty"`
	// Baselines are the digests of the targets' baselines, Deltas those of what
	// the patch changed, by target.
	Baselines map[string]string `json:"baselines,omitempty"`
	Deltas    map[string]string `json:"deltas,omitempty"`
	// NotReady are the reasons why the way back would not work any more, while
	// the change is live.
	NotReady []Violation `json:"not_ready,omitempty"`
	// PatchedTargets says when patching of single targets was over, where somebody
	// told; see [Change.PatchedOn].
	PatchedTargets map[string]time.Time `json:"patched_targets,omitempty"`
	// Rules are what rules have said of the change, in the order of their first
	// verdicts.
	Rules []RuleRecord `json:"rules,omitempty"`
	// Rollbacks are the rollbacks of this change, oldest first.
	Rollbacks []RollbackRef `json:"rollbacks,omitempty"`
	// Revision is the sequence of the change's last record.
	Revision uint64 `json:"revision,omitempty"`
}

// Capture is a capture of baselines under way.
type Capture struct {
	Number  int       `json:"number"`
	Server  string    `json:"server"`
	BeganAt time.Time `json:"began_at"`
	Opening bool      `json:"opening,omitempty"`
}

// BaselineLease is how long a capture may take before another server may think
// that the one which began it is gone.
const BaselineLease = 30 * time.Minute

// FrozenPlan is a plan bound to a change by its content.
type FrozenPlan struct {
	Plan Plan `json:"plan"`
	// Hash is "sha256:" and the hex digest of the plan's canonical JSON.
	Hash string `json:"hash"`
}

// RollbackRef is a change's memory of one of its rollbacks.
type RollbackRef struct {
	ID      string         `json:"id"`
	Targets []string       `json:"targets"`
	Status  RollbackStatus `json:"status"`
	// RequestedAt is when it came to be.
	RequestedAt time.Time `json:"requested_at,omitzero"`
	// Rule opened it, with the content RuleHash; empty when a person did.
	Rule     string `json:"rule,omitempty"`
	RuleHash string `json:"rule_hash,omitempty"`
	// StartAt is the index of the level it begins with.
	StartAt int `json:"start_at,omitempty"`
	// Asked tells whether it was held for an approval before it began.
	Asked bool `json:"asked,omitempty"`
}

// ActiveRollback returns the id of the rollback that is not final and holds the
// target, or "". A target is in at most one.
func (c *Change) ActiveRollback(target string) string {
	for _, ref := range c.Rollbacks {
		if ref.Status.Final() {
			continue
		}
		if slices.Contains(ref.Targets, target) {
			return ref.ID
		}
	}
	return ""
}

// TakenBack returns the ended rollback that did something to the target, or "".
// The same change is not tried on it again without a person.
func (c *Change) TakenBack(target string) string {
	for _, r := range c.Rollbacks {
		if r.Status.Final() && r.Status != RollbackCancelled && slices.Contains(r.Targets, target) {
			return r.ID
		}
	}
	return ""
}

// PatchedOn is when patching of the target was over: as told of it alone, or of
// the whole change; zero while it is not known to be.
func (c *Change) PatchedOn(target string) time.Time {
	if at := c.PatchedTargets[target]; !at.IsZero() {
		return at
	}
	return c.PatchedAt
}

// Unpatched tells whether the target is known not to be patched yet: patching is told
// of single targets, and not of this one. While nothing is told, nobody knows, and
// every target counts as patched.
func (c *Change) Unpatched(target string) bool {
	return len(c.PatchedTargets) > 0 && c.PatchedOn(target).IsZero()
}

// Violation is one reason why the gate says no.
type Violation struct {
	// Check names what was checked, such as "plan", "targets" or "overlap".
	Check string `json:"check"`
	// Target and Level say where, when it is about one.
	Target string `json:"target,omitempty"`
	Level  string `json:"level,omitempty"`
	// Reason says what is wrong, Fix what to do about it.
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
}

// LabelRecord is the change's label that names its record in the ITSM system, where
// that is not the change's id.
const LabelRecord = "itsm"

// ITSMRecord is what an ITSM system says of a change: read, never decided, by
// backout.
type ITSMRecord struct {
	// System and ID name it for people: "ServiceNow", "CHG0030001".
	System string `json:"system"`
	ID     string `json:"id"`
	// Approved is whether it is approved; Approval says so in the system's words.
	Approved bool   `json:"approved"`
	Approval string `json:"approval,omitempty"`
	// Ended tells that it is closed or cancelled; State is the system's word.
	Ended bool   `json:"ended,omitempty"`
	State string `json:"state,omitempty"`
	// Starts and Ends are its planned window; zero where it has none.
	Starts time.Time `json:"starts,omitzero"`
	Ends   time.Time `json:"ends,omitzero"`
	// Plan is the text of its back-out plan.
	Plan string `json:"plan,omitempty"`
}

// ITSMID is the id of the change's record: its label [LabelRecord], or its own id.
func ITSMID(changeID string, labels map[string]string) string {
	if id := labels[LabelRecord]; id != "" {
		return id
	}
	return changeID
}
