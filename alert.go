package backout

import (
	"strings"
	"time"
)

// Alert is one Alertmanager alert, from a webhook or from the v2 API.
//
// Its texts come from outside and are hostile until proven otherwise: they are
// passed on as data only, never as part of a shell line, a template or a page.
type Alert struct {
	// Fingerprint identifies the label set: 16 hex digits, computed as
	// Alertmanager does, so both ways in agree on it.
	Fingerprint  string            `json:"fingerprint"`
	Firing       bool              `json:"firing"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"starts_at"`
	EndsAt       time.Time         `json:"ends_at,omitzero"`
	GeneratorURL string            `json:"generator_url,omitempty"`
}

// Name is the alertname label.
func (a *Alert) Name() string { return a.Labels["alertname"] }

// OwnAlertPrefix begins the names of backout's alerts about itself, those that it
// relays to an Alertmanager among them.
const OwnAlertPrefix = "Backout"

// Own tells an alert about backout itself. It speaks against no change and keeps no
// target red: a rollback that was told to an Alertmanager would come back as evidence
// for the next.
func (a *Alert) Own() bool { return strings.HasPrefix(a.Name(), OwnAlertPrefix) }

// Evidence is what is known about one change at one moment: who is red, and
// whether it is the patched ones.
type Evidence struct {
	// RedTargets is how many of the change's targets have a firing alert that
	// started after the window opened.
	RedTargets int `json:"red_targets" expr:"red_targets"`
	// RedSharePatched is RedTargets over the change's targets, 0 to 1. Where patching
	// is told of single targets, only those told count here, and those that are
	// known not to be patched yet count to the control group.
	RedSharePatched float64 `json:"red_share_patched" expr:"red_share_patched"`
	// RedShareUnpatched is the same among the control group: inventory targets
	// outside every live change, and those of this change that are known not to be
	// patched yet, see [Change.Unpatched]. 0 when there are none.
	RedShareUnpatched float64 `json:"red_share_unpatched" expr:"red_share_unpatched"`
	// RedUnpatched is how many of the control group are red, of ControlTargets. A
	// share of nothing is 0, so a rule that compares shares may want to know.
	RedUnpatched   int `json:"red_unpatched" expr:"red_unpatched"`
	ControlTargets int `json:"control_targets" expr:"control_targets"`
	// DistinctAlerts is how many different alert names are firing on the red
	// targets of the change.
	DistinctAlerts int `json:"distinct_alerts" expr:"distinct_alerts"`
	// MinutesSincePatch counts from the end of patching, or from the opening
	// while patching is not known to be over.
	MinutesSincePatch float64 `json:"minutes_since_patch" expr:"minutes_since_patch"`
}

// Signals are what is known beyond the alert itself about one alert on one target
// of a change.
type Signals struct {
	// Flaps is how many times the alert has ended and come back on the target
	// within the last hour.
	Flaps int `json:"flaps"`
	// Asked tells whether Alertmanager has said lately how it treats the alert;
	// without it Silenced and Inhibited are false and say nothing.
	Asked     bool `json:"asked"`
	Silenced  bool `json:"silenced"`
	Inhibited bool `json:"inhibited"`
	// FirstRed is when the first alert began on the target after it was patched;
	// zero while it has not been red since.
	FirstRed time.Time `json:"first_red,omitzero"`
	// RedBeforePatch tells whether an alert began on the target after the window
	// opened and before the target was patched. While it is not known to be patched,
	// every alert since the opening is one.
	RedBeforePatch bool `json:"red_before_patch"`
}

// Mode says what a rule may do.
type Mode string

// The values of [Mode].
const (
	// ModeShadow records the verdict and does nothing.
	ModeShadow Mode = "shadow"
	// ModeAsk opens a rollback that waits for an approval.
	ModeAsk Mode = "ask"
	// ModeAuto opens a rollback that follows its plan.
	ModeAuto Mode = "auto"
)

// Scope says which targets of the change a verdict takes back.
type Scope string

// The values of [Scope].
const (
	// ScopeTarget takes back the red target only.
	ScopeTarget Scope = "target"
	// ScopeChange takes back every target of the change.
	ScopeChange Scope = "change"
)

// Per says what a [Throttle] counts for.
type Per string

// The values of [Per].
const (
	// PerChange counts for each change alone.
	PerChange Per = "change"
	// PerRule counts for all changes together.
	PerRule Per = "rule"
)

// Throttle keeps a rule from acting too soon and too often. The zero value does
// neither.
type Throttle struct {
	// OnceWithin is how long a rule that has acted does not act again. What it
	// says meanwhile is recorded.
	OnceWithin Duration `json:"once_within,omitempty"`
	// AtLeast is how many different alerts on targets must have matched, each
	// within Within, before the rule acts; 0 and 1 ask for no more than one.
	AtLeast int      `json:"at_least,omitempty"`
	Within  Duration `json:"within,omitempty"`
	// Per says what both count for; empty means [PerChange].
	Per Per `json:"per,omitempty"`
	// Latch holds the rule's rollback for an approval when one of the change, whoever
	// opened it, has begun with the same level before.
	Latch bool `json:"latch,omitempty"`
}

// RuleRecord is what a rule has said of one change, and what became of it.
type RuleRecord struct {
	Rule string `json:"rule"`
	// Hash is that of the rule's content when it spoke first; a rule whose
	// content is another has a record of its own.
	Hash string `json:"hash"`
	// Mode is what the rule was allowed to do.
	Mode Mode `json:"mode"`
	// First and Last are the times of its verdicts; Verdicts counts those recorded,
	// Moot those of them from which no mode would have made a rollback.
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Verdicts int       `json:"verdicts"`
	Moot     int       `json:"moot,omitempty"`
	// Targets are those it spoke of, the first 50.
	Targets []string `json:"targets,omitempty"`
	// Judged is what a person said of it; nil when nobody has.
	Judged *Judgement `json:"judged,omitempty"`
}

// Judgement is whether a person agrees with what a rule said of a change.
type Judgement struct {
	Agree  bool      `json:"agree"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Verdict is what a rule said of one alert and one change.
type Verdict struct {
	Rule string `json:"rule"`
	// RuleHash identifies the rule's content; empty in logs of old releases.
	RuleHash string `json:"rule_hash,omitempty"`
	Group    string `json:"group"`
	Mode     Mode   `json:"mode"`
	ChangeID string `json:"change_id"`
	Target   string `json:"target"`
	Scope    Scope  `json:"scope"`
	// StartAt is the level to begin with; empty means the first.
	StartAt string `json:"start_at,omitempty"`
	// For is how long the alert must stay red before anything starts.
	For         Duration          `json:"for,omitempty"`
	Fingerprint string            `json:"fingerprint"`
	AlertName   string            `json:"alert_name"`
	Reasons     []string          `json:"reasons"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Stopped says in words what kept a rule that matched from acting; empty when
	// nothing did.
	Stopped string `json:"stopped,omitempty"`
	// Moot is set when nothing would have been opened whatever the rule's mode: its
	// throttle was not satisfied, or the target was being rolled back, or had been.
	Moot bool `json:"moot,omitempty"`
	// Promoted says in words who let the rule do what it may, and on what evidence;
	// empty when nobody had to.
	Promoted string    `json:"promoted,omitempty"`
	At       time.Time `json:"at"`
}
