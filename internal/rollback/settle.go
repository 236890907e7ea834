package rollback

import (
	"fmt"
	"slices"
	"strings"
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
		if !d.answer() && !d.renew() {
			d.lastCall()
		}
		return
	}
	reason := d.r.Reason
	if d.r.Level < 0 {
		if d.at.Before(d.r.StartAfter) {
			return
		}
		reason = ""
	}
	d.enter(d.r.NextUp(), reason)
}

// answer closes the question when the votes or the time say so, and reports whether
// it did. The time says nothing while nobody can be told, or before it was looked whether
// somebody can.
func (d *decider) answer() bool {
	ask := *d.r.Ask
	over := ask.DownAt.IsZero() && !ask.Deadline.IsZero() && !d.at.Before(ask.Deadline) && (d.silence || !Watched(d.r))
	needed := max(1, ask.Policy.Votes)
	switch {
	case ask.Approvals() >= needed && d.stands(&ask):
		d.close("approved", lastApprover(ask))
		d.beginAsked(ask, "approved by "+approvers(ask), true)
	case !over:
		return false
	case ask.Policy.Mode == backout.ApprovalVeto:
		d.close("unheld", "")
		d.beginAsked(ask, "nobody held it", false)
	case ask.Policy.OnExpiry == backout.ExpiryGo:
		d.close("expired", "")
		d.beginAsked(ask, "the question expired, and the plan says go", false)
	case ask.Policy.OnExpiry == backout.ExpiryEscalate:
		d.close("expired", "")
		d.enter(ask.Level+1, "the question expired, and the plan says escalate")
	default:
		name := d.r.Frozen.Plan.Levels[ask.Level].Name
		d.hold(backout.HoldDenied, "expired", "nobody approved "+name+" in time", "")
	}
	return true
}

// stands tells whether the votes still count: for these targets, and at this time.
func (d *decider) stands(ask *backout.Ask) bool {
	first, _ := lapse(ask)
	return unbound(&d.r, ask) == "" && (first.IsZero() || d.at.Before(first))
}

func lastApprover(ask backout.Ask) (who string) {
	for _, v := range ask.Votes {
		if v.Choice == backout.ChoiceApprove {
			who = v.User
		}
	}
	return who
}

// approvers names who said yes, and by which way.
func approvers(ask backout.Ask) string {
	var who []string
	for _, v := range ask.Votes {
		if v.Choice != backout.ChoiceApprove {
			continue
		}
		name := v.User
		if v.Via != "" {
			name += " (" + v.Via + ")"
		}
		who = append(who, name)
	}
	return strings.Join(who, ", ")
}

// enter goes to the level, by way of its approval when it needs one.
func (d *decider) enter(level int, reason string) { d.enterAnew(level, reason, nil) }

// enterAnew is enter for a question that is asked in place of another one.
func (d *decider) enterAnew(level int, reason string, old *renewed) {
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
		d.hold(backout.HoldNobody, "", d.nobodyMay(level, why), "")
		return
	}
	wait := policy.Expires
	if policy.Mode == backout.ApprovalVeto {
		wait = policy.Veto
	}
	ask := backout.Ask{
		ID: fmt.Sprintf("%s.q%d", d.r.ID, d.r.Asks+1), Level: level, Why: why, Policy: policy, AskedAt: d.at,
		Deadline: d.at.Add(time.Duration(wait)), Excluded: d.r.Excluded, PlanHash: d.r.Frozen.Hash, Targets: remaining(d.r),
	}
	old.to(&ask, d.at)
	d.emit(backout.Asked{Ask: ask})
}

// nobodyMay says why a level is held that no group may approve. Where a rule or a limit
// asks, and not the level itself, somebody who may approve lets it begin.
func (d *decider) nobodyMay(level int, why string) string {
	l, name := &d.r.Frozen.Plan.Levels[level], d.levelName(level)
	own := l.Approval.Mode == backout.ApprovalRequired || d.r.Frozen.Plan.DataMigration == backout.DataMigrationForwardOnly ||
		l.Approval.KnownExploitedVote && len(d.r.Exploited) > 0
	if own || d.r.Level >= 0 || d.r.AskFirst == "" {
		return name + " needs an approval and no group may give it"
	}
	then := "it begins when an approver lets it"
	if l.Approval.Mode == backout.ApprovalVeto {
		then = "its veto window opens when an approver lets it"
	}
	return fmt.Sprintf("%s, and plan %s names no group that may approve %s: %s", why, d.r.Frozen.Plan.Name, name, then)
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
	if policy.KnownExploitedVote && len(d.r.Exploited) > 0 {
		why = oneMore(&policy, why, d.r.Exploited)
	}
	if policy.ValidFor == 0 {
		policy.ValidFor = validFor
	}
	if policy.OnChannelDown == "" {
		policy.OnChannelDown = backout.ChannelDownHold
	}
	if policy.Mode != backout.ApprovalRequired {
		return policy, plan.Levels[level].Name + " starts unless somebody holds it"
	}
	if len(policy.Groups) == 0 {
		policy.Groups = laterGroups(plan.Levels[level:])
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

// oneMore asks for one vote more than the level does by itself, and lets no silence
// stand for it.
func oneMore(policy *backout.Approval, why string, exploited []string) string {
	if policy.Mode == backout.ApprovalRequired {
		policy.Votes = max(1, policy.Votes) + 1
	} else {
		policy.Mode, policy.Votes = backout.ApprovalRequired, 1
	}
	if policy.OnExpiry == backout.ExpiryGo {
		policy.OnExpiry = backout.ExpiryDeny
	}
	return why + ", with one vote more: going back reopens " + strings.Join(exploited, ", ") + ", known to be exploited"
}

func (d *decider) begin(level int, reason string) {
	d.emit(backout.LevelEntered{Level: level, Targets: remaining(d.r), Reason: reason})
}

// beginAsked begins a level that a question let begin. What people gave counts for a
// time only; what silence let begin has the level's time, like a level that needs
// nobody: else a window that nobody held would be opened for ever.
func (d *decider) beginAsked(ask backout.Ask, reason string, given bool) {
	e := backout.LevelEntered{Level: ask.Level, Targets: remaining(d.r), Reason: reason, AskID: ask.ID}
	if given && ask.Policy.ValidFor > 0 {
		e.ValidUntil = d.at.Add(time.Duration(ask.Policy.ValidFor))
	}
	d.emit(e)
}

func (d *decider) running() {
	level := d.r.CurrentLevel()
	switch {
	case d.anyInDoubt():
		d.hold(backout.HoldDoubt, "", "a step is in doubt; somebody must say whether it happened", "")
	case !d.r.Overdue && d.lapsed():
		d.voidGiven(d.levelName(d.r.Level) + " was approved at " + d.r.LevelEnteredAt.UTC().Format(time.RFC3339) + ", and nothing of it has started")
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
		if t.Attempt == nil {
			number = t.Tries + 1 // the one before was taken back
		} else if t.Attempt.ID == backout.AttemptID(d.r.ID, d.r.Level, t.Step, i, t.Attempt.Number) {
			number = t.Attempt.Number + 1 // the same step of the same level
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
