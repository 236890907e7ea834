package gate

import (
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// The names of the checks, as [backout.Violation].Check has them.
const (
	CheckTargets  = "targets"
	CheckWindow   = "window"
	CheckOverlap  = "overlap"
	CheckPlan     = "plan"
	CheckLevel    = "level"
	CheckVerify   = "verify"
	CheckApproval = "approval"
	// CheckReachable, CheckCapture and CheckPreflight are about one target each: it
	// answers, its state was captured, every executor was asked.
	CheckReachable = "reachable"
	CheckCapture   = "capture"
	CheckPreflight = "preflight"
	// CheckDelta is that it is known what the patch changed on a target, once it has
	// been applied.
	CheckDelta = "delta"
	// CheckMonitoring is that somebody would tell that a target is red.
	CheckMonitoring = "monitoring"
)

// DefaultValidFor is how long a yes is worth anything where the plan does not say.
const DefaultValidFor = 24 * time.Hour

// Facts are all that the gate looks at.
type Facts struct {
	Change backout.Change
	// Plan is the change's plan as it is now; nil when there is none of that name.
	Plan *backout.Plan
	// PlanHash is "sha256:" and the digest of Plan.
	PlanHash string
	// Targets is the inventory, or at least the part the change names.
	Targets map[string]backout.Target
	// Answers are what executors and captures said, target by target.
	Answers []Answer
	// Baselines are the digests of what was captured, by target.
	Baselines map[string]string
	// Live is set while the window is open: what was made for it is not asked for
	// again.
	Live bool
	// Overlaps are the ids of other live changes, by target.
	Overlaps map[string][]string
	// Groups are the people of each approver group. A person in several counts
	// once.
	Groups map[string][]string
	// OpenGroups says that people may be in groups of which nothing here knows: an
	// identity provider has them. Then nobody is counted, and a group must still be
	// known by name.
	OpenGroups bool
	// Audiences are the channels of each audience; nil when it is not to be
	// looked at whether anybody is told.
	Audiences map[string][]string
	// Readers are those of them whose people can do nothing about what they are told.
	Readers map[string]bool
	// Exploited are those of the change's CVEs that are known to be exploited.
	Exploited []string
	// Blind says why nobody would tell that a target is red; empty when somebody
	// would.
	Blind string
	// ITSM is what was found of the change's record; nil where no ITSM system is to
	// be asked. OpenFor is how long a window without an end is open.
	ITSM    *ITSM
	OpenFor time.Duration
	Now     time.Time
}

// Result is the gate's answer: a certificate, or violations.
type Result struct {
	Violations []backout.Violation `json:"violations,omitempty"`
	Warnings   []backout.Violation `json:"warnings,omitempty"`
	// Looks are the answers as a table.
	Looks []Look `json:"looks,omitempty"`
	// Certificate is nil when there are violations.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Passed tells whether the window may open.
func (r Result) Passed() bool { return r.Certificate != nil && len(r.Violations) == 0 }

// Certificate is the gate's yes and what it is bound to.
type Certificate struct {
	ChangeID string   `json:"change_id"`
	PlanHash string   `json:"plan_hash"`
	Targets  []string `json:"targets"`
	// Baselines are the digests of what the targets looked like, by target.
	Baselines  map[string]string `json:"baselines"`
	At         time.Time         `json:"at"`
	ValidUntil time.Time         `json:"valid_until"`
}

// Check answers whether the window may open at Facts.Now.
func Check(f Facts) Result {
	var v verdict
	v.checkTargets(f)
	v.checkWindow(f)
	v.checkOverlaps(f)
	v.checkITSM(f)
	if f.Blind != "" {
		v.warn(CheckMonitoring, "", f.Blind, "look at Prometheus and Alertmanager before you patch")
	}
	if v.checkPlan(f) {
		v.checkLevels(*f.Plan)
		v.checkVerify(f.Plan.Verify)
		v.checkApprovers(f)
		v.checkAudiences(f)
		v.checkAnswers(f)
	}
	r := Result{Violations: v.violations, Warnings: v.warnings, Looks: Looks(f.Answers)}
	if len(r.Violations) == 0 {
		r.Certificate = &Certificate{
			ChangeID: f.Change.ID, PlanHash: f.PlanHash, Targets: slices.Clone(f.Change.Targets), Baselines: maps.Clone(f.Baselines),
			At: f.Now, ValidUntil: f.Now.Add(validFor(f.Plan.Baseline)),
		}
	}
	return r
}

func validFor(b backout.BaselineSpec) time.Duration {
	if b.ValidFor > 0 {
		return time.Duration(b.ValidFor)
	}
	return DefaultValidFor
}

// verdict collects the answer.
type verdict struct {
	violations []backout.Violation
	warnings   []backout.Violation
}

func (v *verdict) no(check, reason, fix string) {
	v.violations = append(v.violations, backout.Violation{Check: check, Reason: reason, Fix: fix})
}

func (v *verdict) noTarget(check, target, reason, fix string) {
	v.violations = append(v.violations, backout.Violation{Check: check, Target: target, Reason: reason, Fix: fix})
}

func (v *verdict) noLevel(check, level, reason, fix string) {
	v.violations = append(v.violations, backout.Violation{Check: check, Level: level, Reason: reason, Fix: fix})
}

func (v *verdict) warn(check, level, reason, fix string) {
	v.warnings = append(v.warnings, backout.Violation{Check: check, Level: level, Reason: reason, Fix: fix})
}
