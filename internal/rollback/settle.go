package rollback

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// settle makes everything true that follows by itself: from the state and the
// time alone. Each round either emits an event that moves the state forward or
// is the last.
func (d *decider) settle() {
	for range 4 * (len(d.r.Frozen.Plan.Levels) + 1) {
		before := len(d.events)
		d.round()
		if len(d.events) == before {
			return
		}
	}
}

func (d *decider) round() {
	if d.r.Status.Final() {
		return
	}
	if d.r.Status == backout.RollbackAborting {
		if d.active() == 0 {
			d.end(backout.RollbackAborted, d.r.Reason)
		}
		return
	}
	if !d.r.PausedAt.IsZero() || d.r.Status == backout.RollbackHeld {
		return
	}
	if nothingRemains(d.r) {
		d.close("moot", "")
		d.end(backout.RollbackRecovered, "every target was green for "+d.r.Frozen.Plan.Verify.HoldFor.String())
		return
	}
	switch d.r.Status {
	case backout.RollbackPending, backout.RollbackAwaiting:
		d.waiting()
	case backout.RollbackRunning:
		d.running()
	case backout.RollbackVerifying:
		d.verifying()
	case backout.RollbackHeld, backout.RollbackAborting, backout.RollbackRecovered, backout.RollbackExhausted,
		backout.RollbackAborted, backout.RollbackCancelled:
	}
}

func (d *decider) waiting() {
	if d.r.Ask != nil {
		d.answer()
		return
	}
	if d.r.Level < 0 {
		if d.at.Before(d.r.StartAfter) {
			return
		}
		d.enter(d.r.StartAt, "")
		return
	}
	d.enter(d.r.Level+1, d.r.Reason)
}

// answer closes the question when the votes or the time say so.
func (d *decider) answer() {
	ask := *d.r.Ask
	over := !ask.Deadline.IsZero() && !d.at.Before(ask.Deadline)
	needed := max(1, ask.Policy.Votes)
	switch {
	case ask.Approvals() >= needed:
		d.close("approved", "")
		d.begin(ask.Level, "approved")
	case !over:
	case ask.Policy.Mode == backout.ApprovalVeto:
		d.close("unheld", "")
		d.begin(ask.Level, "nobody held it")
	case ask.Policy.OnExpiry == backout.ExpiryGo:
		d.close("expired", "")
		d.begin(ask.Level, "the question expired, and the plan says go")
	case ask.Policy.OnExpiry == backout.ExpiryEscalate:
		d.close("expired", "")
		d.enter(ask.Level+1, "the question expired, and the plan says escalate")
	default:
		name := d.r.Frozen.Plan.Levels[ask.Level].Name
		d.hold(backout.HoldDenied, "expired", "nobody approved "+name+" in time", "")
	}
}

// enter goes to the level, by way of its approval when it needs one.
func (d *decider) enter(level int, reason string) {
	plan := &d.r.Frozen.Plan
	if level >= len(plan.Levels) {
		d.end(backout.RollbackExhausted, exhaustedReason(reason))
		return
	}
	policy, why := d.policy(level)
	if policy.Mode == backout.ApprovalNone || policy.Mode == "" {
		d.begin(level, reason)
		return
	}
	if policy.Mode == backout.ApprovalRequired && len(policy.Groups) == 0 {
		d.hold(backout.HoldNobody, "", plan.Levels[level].Name+" needs an approval and no group may give it", "")
		return
	}
	wait := policy.Expires
	if policy.Mode == backout.ApprovalVeto {
		wait = policy.Veto
	}
	d.emit(backout.Asked{Ask: backout.Ask{
		ID: fmt.Sprintf("%s.q%d", d.r.ID, d.r.Asks+1), Level: level, Why: why, Policy: policy, AskedAt: d.at,
		Deadline: d.at.Add(time.Duration(wait)), Excluded: d.r.Excluded,
	}})
}

// askExpires bounds a question whose plan names no time: nothing waits for ever.
const askExpires = backout.Duration(30 * time.Minute)

// policy is the level's approval, sharpened by what the rollback itself demands.
func (d *decider) policy(level int) (policy backout.Approval, why string) {
	plan := &d.r.Frozen.Plan
	policy, why = plan.Levels[level].Approval, plan.Levels[level].Name+" needs an approval"
	forced := ""
	switch {
	case plan.DataMigration == backout.DataMigrationForwardOnly:
		forced = "the patch moved data forward only"
	case d.r.Level < 0 && d.r.AskFirst != "":
		forced = d.r.AskFirst
	}
	if forced != "" {
		if policy.Mode != backout.ApprovalRequired {
			policy.Mode, why = backout.ApprovalRequired, forced
		}
		if policy.OnExpiry == backout.ExpiryGo {
			policy.OnExpiry = backout.ExpiryDeny
		}
	}
	if policy.Mode != backout.ApprovalRequired {
		return policy, plan.Levels[level].Name + " starts unless somebody holds it"
	}
	if len(policy.Groups) == 0 {
		// Who may decide on a later level may decide on an earlier one.
		for _, later := range plan.Levels[level:] {
			for _, g := range later.Approval.Groups {
				if !slices.Contains(policy.Groups, g) {
					policy.Groups = append(slices.Clone(policy.Groups), g)
				}
			}
		}
	}
	policy.Votes = max(1, policy.Votes)
	if policy.Expires == 0 {
		policy.Expires = askExpires
	}
	last := level+1 == len(plan.Levels)
	if policy.OnExpiry == "" || last && policy.OnExpiry == backout.ExpiryGo {
		policy.OnExpiry = backout.ExpiryDeny
	}
	return policy, why
}

func (d *decider) begin(level int, reason string) {
	d.emit(backout.LevelEntered{Level: level, Targets: remaining(d.r), Reason: reason})
}

func (d *decider) running() {
	level := d.r.CurrentLevel()
	switch {
	case d.anyInDoubt():
		d.hold(backout.HoldDoubt, "", "a step is in doubt; somebody must say whether it happened", "")
	case !d.r.Overdue && !d.at.Before(d.r.LevelDeadline):
		d.timeUp()
	case d.r.Overdue:
		d.overdue()
	case d.tooManyFailures(level):
		d.hold(backout.HoldFailures, "", fmt.Sprintf("%s failed on %d%% of its targets or more", level.Name, level.StopAtFailures), "")
	default:
		d.request(level)
	}
}

// timeUp ends the level, or asks running steps to end first: the next level
// never starts while something of this one runs.
func (d *decider) timeUp() {
	if d.active() == 0 {
		d.failLevel("time", "")
		return
	}
	d.emit(backout.LevelOverdue{Level: d.r.Level})
	d.stopAttempts("the level's time is up")
}

// overdue waits for the last running step. One that ended well, late, still gets
// one chance to be verified; a person's escalation gives none.
func (d *decider) overdue() {
	if d.active() > 0 {
		return
	}
	done := slices.ContainsFunc(d.r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetDone })
	if d.r.EscalateBy != "" || !done {
		cause := "time"
		if d.r.EscalateBy != "" {
			cause = "manual"
		}
		d.failLevel(cause, d.r.EscalateBy)
		return
	}
	verify := d.r.Frozen.Plan.Verify
	chance := time.Duration(verify.HoldFor + 2*verify.Every)
	if slices.ContainsFunc(d.r.Targets, func(t backout.TargetState) bool { return t.Baseline != "" }) {
		// A level in seconds is one of a drill or a test: its chance is no minutes.
		chance += min(DriftTime, time.Duration(d.r.Frozen.Plan.Levels[d.r.Level].EscalateAfter))
	}
	d.emit(backout.VerifyStarted{Level: d.r.Level, Deadline: d.at.Add(chance)})
}

func (d *decider) tooManyFailures(level *backout.Level) bool {
	if level.StopAtFailures == 0 || d.r.FailuresAccepted {
		return false
	}
	failed, waiting, all := 0, 0, 0
	for _, t := range d.r.Targets {
		if t.Phase == backout.TargetRecovered && t.RecoveredLevel < d.r.Level {
			continue
		}
		all++
		switch t.Phase {
		case backout.TargetFailed:
			failed++
		case backout.TargetWaiting:
			waiting++
		case backout.TargetRunning, backout.TargetInDoubt, backout.TargetDone, backout.TargetRecovered:
		}
	}
	return waiting > 0 && failed*100 >= level.StopAtFailures*all
}

// request asks for the next attempts, at most MaxParallel at once, and ends the
// level's running part when nothing is left to ask for.
func (d *decider) request(level *backout.Level) {
	active := d.active()
	requested := false
	for i, t := range d.r.Targets {
		if t.Phase != backout.TargetWaiting || (level.MaxParallel > 0 && active >= level.MaxParallel) {
			continue
		}
		number := 1
		if t.Attempt != nil && t.Attempt.ID == backout.AttemptID(d.r.ID, d.r.Level, t.Step, i, t.Attempt.Number) {
			number = t.Attempt.Number + 1
		}
		d.emit(backout.StepRequested{
			Level: d.r.Level, Step: t.Step, Target: t.Name, Number: number,
			AttemptID: backout.AttemptID(d.r.ID, d.r.Level, t.Step, i, number),
		})
		active++
		requested = true
	}
	if requested || active > 0 {
		return
	}
	if slices.ContainsFunc(d.r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetDone }) {
		d.emit(backout.VerifyStarted{Level: d.r.Level})
		return
	}
	d.failLevel("failure", "")
}

func (d *decider) verifying() {
	if !d.at.Before(d.r.LevelDeadline) {
		d.failLevel("time", "")
		return
	}
	waitsForDone := slices.ContainsFunc(d.r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetDone })
	if !waitsForDone {
		d.failLevel("failure", "")
	}
}

func (d *decider) failLevel(cause, by string) {
	d.emit(backout.LevelFailed{Level: d.r.Level, Cause: cause, Targets: remaining(d.r), By: by})
}

// stopAttempts asks the stoppable ones among the claimed attempts to stop, and
// the others not to begin if they have not: a target that cannot be reached must
// not hold up the next level. It gives up those that nobody has claimed: they
// have had no effect.
func (d *decider) stopAttempts(reason string) {
	level := d.r.CurrentLevel()
	for _, t := range d.r.Targets {
		if t.Phase != backout.TargetRunning || t.Attempt == nil {
			continue
		}
		switch {
		case t.Attempt.Runner == "":
			d.emit(backout.StepFailed{Target: t.Name, AttemptID: t.Attempt.ID, Reason: "never started: " + reason})
		case !t.Attempt.Stopping:
			wait := level.Steps[t.Step].OnOverdue != backout.OverdueStop
			d.emit(backout.StopRequested{Target: t.Name, AttemptID: t.Attempt.ID, Reason: reason, Unstarted: wait})
		}
	}
}

// active counts the attempts that are requested or run.
func (d *decider) active() int {
	n := 0
	for _, t := range d.r.Targets {
		if t.Phase == backout.TargetRunning {
			n++
		}
	}
	return n
}

func exhaustedReason(cause string) string {
	switch cause {
	case "time":
		return "the last level's time is up and it did not help"
	case "failure":
		return "the last level failed"
	case "manual":
		return "escalated by hand behind the last level"
	}
	return "no level is left"
}
