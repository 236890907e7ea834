package gate

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

const maxLevels = 9

// checkPlan tells whether there is a plan to look into.
func (v *verdict) checkPlan(f Facts) bool {
	name := f.Change.Plan
	switch {
	case name == "":
		v.no(CheckPlan, "the change names no back-out plan", "name a plan: no plan, no window")
		return false
	case f.Plan == nil:
		v.no(CheckPlan, fmt.Sprintf("there is no plan %q", name), "add it to a plan file, or correct its name in the change")
		return false
	case f.Plan.Name != name:
		v.no(CheckPlan, fmt.Sprintf("the plan given is %q, the change wants %q", f.Plan.Name, name), "load the plan again")
		return false
	}
	if f.PlanHash == "" {
		v.no(CheckPlan, "the plan has no hash, so nothing can be bound to it", "load the plan again")
	}
	if n := len(f.Plan.Levels); n == 0 || n > maxLevels {
		v.no(CheckPlan, fmt.Sprintf("the plan has %d levels", n), "give it 1 to 9")
	}
	return true
}

func (v *verdict) checkLevels(p backout.Plan) {
	for _, l := range p.Levels {
		if len(l.Steps) == 0 {
			v.noLevel(CheckLevel, l.Name, "it has no steps: entering it would do nothing", "give it a step, or remove the level")
		}
		for i, s := range l.Steps {
			if s.Uses == "" {
				v.noLevel(CheckLevel, l.Name, fmt.Sprintf("step %d says not what it uses", i+1), "name an executor in uses")
			}
		}
		if l.EscalateAfter <= 0 {
			v.noLevel(CheckLevel, l.Name, "its time is never up, so nothing would escalate from it", "give escalate_after, such as 30m")
		}
		if l.Destructive && l.Approval.Mode == backout.ApprovalNone {
			loses := l.Loses
			if loses == "" {
				loses = "data written since the baseline"
			}
			v.warn(CheckApproval, l.Name, "it starts without asking anybody and loses "+loses, "ask for an approval, unless that is what you want")
		}
	}
}

// checkVerify: without anything to look at, "recovered" would be a guess.
func (v *verdict) checkVerify(c backout.Verify) {
	switch {
	case len(c.Checks) == 0 && c.IgnoreAlerts:
		v.no(CheckVerify, "nothing would be looked at after a level: there are no checks, and alerts are ignored",
			"add a check, or let the alerts count")
	case c.IgnoreAlerts:
		v.warn(CheckVerify, "", "a target counts as recovered while its alerts still fire", "remove ignore_alerts, unless they cannot resolve in time")
	case len(c.Checks) == 0:
		v.warn(CheckVerify, "", "only the alerts say whether a target has recovered", "add a check of the service itself")
	}
	if c.HoldFor <= 0 {
		v.warn(CheckVerify, "", "one green look is enough to count as recovered", "give hold_for, such as 2m")
	}
	if c.Every > 0 && c.HoldFor > 0 && c.Every > c.HoldFor {
		v.warn(CheckVerify, "", fmt.Sprintf("it looks every %s and wants green for %s only", c.Every, c.HoldFor), "look more often, or hold for longer")
	}
	if time.Duration(c.Every) <= 0 {
		v.no(CheckVerify, "it is not said how often to look", "give every, such as 15s")
	}
}
