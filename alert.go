package backout

import "time"

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

// Evidence is what is known about one change at one moment: who is red, and
// whether it is the patched ones.
type Evidence struct {
	// RedTargets is how many of the change's targets have a firing alert that
	// started after the window opened.
	RedTargets int `json:"red_targets" expr:"red_targets"`
	// RedSharePatched is RedTargets over the change's targets, 0 to 1.
	RedSharePatched float64 `json:"red_share_patched" expr:"red_share_patched"`
	// RedShareUnpatched is the same among the control group: inventory targets
	// outside every live change. 0 when there are none.
	RedShareUnpatched float64 `json:"red_share_unpatched" expr:"red_share_unpatched"`
	// DistinctAlerts is how many different alert names are firing on the red
	// targets of the change.
	DistinctAlerts int `json:"distinct_alerts" expr:"distinct_alerts"`
	// MinutesSincePatch counts from the end of patching, or from the opening
	// while patching is not known to be over.
	MinutesSincePatch float64 `json:"minutes_since_patch" expr:"minutes_since_patch"`
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

// Verdict is what a rule said of one alert and one change.
type Verdict struct {
	Rule     string `json:"rule"`
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
	At          time.Time         `json:"at"`
}
