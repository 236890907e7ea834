package gate

import (
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
)

// Facts are all that the gate looks at.
type Facts struct {
	Change backout.Change
	// Plan is the change's plan as it is now; nil when there is none of that name.
	Plan *backout.Plan
	// PlanHash is "sha256:" and the digest of Plan.
	PlanHash string
	// Targets is the inventory, or at least the part the change names.
	Targets map[string]backout.Target
	// Preflight is what executors and baseline said for each target and level.
	Preflight []backout.Violation
	// Overlaps are the ids of other live changes, by target.
	Overlaps map[string][]string
	// Groups are the people of each approver group. A person in several counts
	// once.
	Groups map[string][]string
	// Audiences are the channels of each audience; nil when it is not to be
	// looked at whether anybody is told.
	Audiences map[string][]string
	Now       time.Time
}

// Result is the gate's answer: a certificate, or violations.
type Result struct {
	Violations []backout.Violation `json:"violations,omitempty"`
	Warnings   []backout.Violation `json:"warnings,omitempty"`
	// Certificate is nil when there are violations.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Passed tells whether the window may open.
func (r Result) Passed() bool { return r.Certificate != nil && len(r.Violations) == 0 }

// Certificate is the gate's yes and what it is bound to.
type Certificate struct {
	ChangeID string    `json:"change_id"`
	PlanHash string    `json:"plan_hash"`
	Targets  []string  `json:"targets"`
	At       time.Time `json:"at"`
}

// Check answers whether the window may open at Facts.Now.
func Check(f Facts) Result {
	var v verdict
	v.checkTargets(f)
	v.checkWindow(f)
	v.checkOverlaps(f)
	if v.checkPlan(f) {
		v.checkLevels(*f.Plan)
		v.checkVerify(f.Plan.Verify)
		v.checkApprovers(f)
		v.checkAudiences(f)
	}
	v.violations = append(v.violations, f.Preflight...)
	r := Result{Violations: v.violations, Warnings: v.warnings}
	if len(r.Violations) == 0 {
		r.Certificate = &Certificate{
			ChangeID: f.Change.ID, PlanHash: f.PlanHash, Targets: append([]string(nil), f.Change.Targets...), At: f.Now,
		}
	}
	return r
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
