package rollback

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Commands says what one record of events asks the outside world to do. before
// is the state that the record was appended to, seq its sequence. Called twice it
// returns the same commands with the same identities.
func Commands(before backout.Rollback, seq uint64, rec backout.Record) []backout.Command {
	var out []backout.Command
	r := before
	r.Targets = cloneTargets(r.Targets)
	for i, e := range rec.Events {
		r = apply(r, rec.At, e)
		switch e := e.(type) {
		case backout.StepRequested:
			out = append(out, runStep(r, e.Target))
		case backout.StopRequested:
			out = append(out, backout.StopStep{RollbackID: r.ID, Target: e.Target, AttemptID: e.AttemptID, Reason: e.Reason, Unstarted: e.Unstarted})
		case backout.Resumed, backout.Released:
			out = append(out, Outstanding(r)...)
		}
		for _, n := range tell(r, e, rec.At) {
			n.ID = noticeID(r.ID, seq, i)
			out = append(out, backout.Tell{Notice: n})
		}
	}
	return out
}

// noticeID names what people are told of an event by its place in the log. The audience
// is no part of it: a channel that serves two is told once.
func noticeID(rollbackID string, seq uint64, event int) string {
	return fmt.Sprintf("%s.%d.%d", rollbackID, seq, event)
}

// Outstanding returns the commands that the state still waits for: what to carry
// out again after a restart. Attempts that were claimed are not among them; they
// are probed.
func Outstanding(r backout.Rollback) []backout.Command {
	if r.Status.Final() || !r.PausedAt.IsZero() {
		return nil
	}
	var out []backout.Command
	for _, t := range r.Targets {
		out = append(out, Requested(r, t)...)
		if t.Phase == backout.TargetRunning && t.Attempt != nil && t.Attempt.Stopping {
			out = append(out, StopAgain(r, t))
		}
	}
	return out
}

// Requested is the command for an attempt that nobody has claimed; none where
// nothing may be claimed.
func Requested(r backout.Rollback, t backout.TargetState) []backout.Command {
	waits := t.Phase == backout.TargetRunning && t.Attempt != nil && t.Attempt.Runner == ""
	if !waits || r.Status != backout.RollbackRunning || !r.PausedAt.IsZero() {
		return nil
	}
	return []backout.Command{runStep(r, t.Name)}
}

// StopAgain is the command for an attempt that was asked to stop before.
func StopAgain(r backout.Rollback, t backout.TargetState) backout.StopStep {
	return backout.StopStep{
		RollbackID: r.ID, Target: t.Name, AttemptID: t.Attempt.ID, Reason: "it was asked to stop", Unstarted: t.Attempt.Unstarted,
	}
}

func runStep(r backout.Rollback, target string) backout.RunStep {
	t := r.Target(target)
	return backout.RunStep{RollbackID: r.ID, Level: r.Level, Step: t.Step, Target: target, AttemptID: t.Attempt.ID}
}

// tell returns one notice for each audience that the event concerns.
func tell(r backout.Rollback, e backout.Event, now time.Time) []backout.Notice {
	n := about(r, now)
	if v := r.Trigger.Verdict; v != nil {
		n.Rule, n.AlertName, n.Summary = v.Rule, v.AlertName, v.Annotations["summary"]
	}
	if level := r.CurrentLevel(); level != nil {
		n.Level = level.Name
	}
	if next := r.NextLevel(); next != nil {
		n.NextLevel = next.Name
	}
	audience := r.Frozen.Plan.Audience
	switch e := e.(type) {
	case backout.Opened:
		audience = union(audience, levelAudience(r, r.StartAt))
		n.Moment, n.Reason, n.Deadline = backout.MomentRed, openedReason(e), e.StartAfter
	case backout.Asked:
		audience = union(levelAudience(r, e.Ask.Level), audience)
		asked(&n, r, e.Ask)
	case backout.ApprovalVoided, backout.GlassBroken, backout.LastCall, backout.ChannelsDown, backout.ClockStarted:
		if audience = tellAnswer(&n, r, e); audience == nil {
			return nil
		}
	case backout.LevelEntered:
		audience = levelAudience(r, e.Level)
		n.Moment, n.Reason, n.Targets, n.Steps = backout.MomentLevelStarted, e.Reason, e.Targets, steps(r, e.Level)
		n.Loses = r.Lost(r.Level, now)
		n.Deadline = r.LevelDeadline
		n.IfNobodyActs = afterLevel(r)
	case backout.LevelOverdue:
		audience = levelAudience(r, e.Level)
		n.Moment = backout.MomentOverdue
		n.Reason = "steps of " + n.Level + " still run"
		n.IfNobodyActs = afterLevel(r) + " when they have ended"
	case backout.LevelFailed:
		if r.NextLevel() == nil {
			return nil // the end that follows tells it
		}
		audience = union(levelAudience(r, e.Level), levelAudience(r, e.Level+1))
		n.Moment, n.Reason, n.Targets = backout.MomentEscalated, causeInWords(e.Cause), e.Targets
	case backout.StepInDoubt:
		audience = union(levelAudience(r, r.Level), audience)
		n.Moment, n.Targets = backout.MomentInDoubt, []string{e.Target}
		n.Reason = e.Reason + " (attempt " + e.AttemptID + "): it happened, it did not, or escalate"
	case backout.TargetBack:
		if e.Drift == nil || e.Drift.Verdict != backout.DriftSome || drifted(r) > driftToldMost {
			return nil
		}
		audience = union(levelAudience(r, r.Level), audience)
		n.Moment, n.Targets, n.Reason = backout.MomentDrift, []string{e.Target}, driftReason(*e.Drift)
		if drifted(r) == driftToldMost {
			n.Reason += "; of more targets only the rollback tells"
		}
	case backout.HeldBack:
		audience = everyone(r)
		n.Moment, n.Reason, n.IfNobodyActs = backout.MomentHeld, e.Reason, "nothing happens until somebody acts"
	case backout.Released:
		audience = everyone(r)
		n.Moment, n.Reason = backout.MomentResumed, e.Reason
	case backout.Paused:
		audience = everyone(r)
		n.Moment, n.Reason, n.IfNobodyActs = backout.MomentPaused, e.Reason, "nothing happens until somebody resumes"
	case backout.Resumed:
		audience = everyone(r)
		n.Moment = backout.MomentResumed
	case backout.Ended:
		audience = everyone(r)
		n.Moment, n.Reason, n.NextLevel = endMoment(e.Status), e.Reason, ""
		if e.Status == backout.RollbackRecovered {
			n.Targets = allTargets(r)
		}
	default:
		return nil
	}
	if n.Targets == nil {
		n.Targets = remaining(r)
	}
	notices := make([]backout.Notice, len(audience))
	for i, a := range audience {
		notices[i] = n
		notices[i].Audience = a
	}
	return notices
}

// tellAnswer writes what concerns a question and its answers, and returns whom; nil
// tells nobody.
func tellAnswer(n *backout.Notice, r backout.Rollback, e backout.Event) []string {
	switch e := e.(type) {
	case backout.ApprovalVoided:
		if e.Votes == 0 && !e.Entered {
			return nil // nobody had decided anything: the new question says it all
		}
		n.Moment, n.Reason, n.NextLevel = backout.MomentVoided, e.Reason, levelName(r, e.Level)
		n.IfNobodyActs = n.NextLevel + " is asked for anew"
		return union(levelAudience(r, e.Level), r.Frozen.Plan.Audience)
	case backout.GlassBroken:
		n.Moment, n.Reason, n.NextLevel, n.AskID = backout.MomentBreakGlass, e.By+": "+e.Reason, levelName(r, e.Level), e.AskID
		n.VotesNeeded, n.VotesGiven, n.Loses, n.Steps = e.Needed, e.Votes, r.Lost(e.Level, n.At), steps(r, e.Level)
		n.IfNobodyActs = "the review stays open"
		return union(everyone(r), levelAudience(r, e.Level))
	case backout.LastCall:
		if r.Ask == nil || r.Ask.ID != e.AskID {
			return nil
		}
		asked(n, r, *r.Ask)
		n.Moment, n.Reason = backout.MomentLastCall, fmt.Sprintf("%d of %d votes so far", n.VotesGiven, n.VotesNeeded)
		return union(levelAudience(r, r.Ask.Level), r.Frozen.Plan.Audience)
	case backout.ChannelsDown:
		if r.Ask == nil || r.Ask.ID != e.AskID || r.Ask.Downs > 1 {
			return nil // told once a question: what comes and goes is no storm
		}
		n.Moment, n.Reason, n.NextLevel, n.AskID = backout.MomentUnreachable, e.Reason, levelName(r, r.Ask.Level), e.AskID
		n.IfNobodyActs = "the clock of " + n.NextLevel + " stands still until somebody can be told"
		return union(everyone(r), levelAudience(r, r.Ask.Level))
	case backout.ClockStarted:
		if len(e.Reopens) == 0 {
			return nil
		}
		n.Moment, n.CVEs, n.Reason = backout.MomentReopened, e.Reopens, n.Level+" has begun"
		return everyone(r)
	}
	return nil
}

// about is what every notice of the rollback says.
func about(r backout.Rollback, now time.Time) backout.Notice {
	return backout.Notice{
		At: now, ChangeID: r.ChangeID, Title: r.ChangeTitle, RollbackID: r.ID, CVEs: r.Patch.CVEs,
		PlanHash: r.Frozen.Hash, PlanText: r.Frozen.Plan.InWords(), Exploited: r.Exploited, Labels: r.Labels, Opened: r.OpenedAt,
	}
}

func steps(r backout.Rollback, level int) []string {
	if level < 0 || level >= len(r.Frozen.Plan.Levels) {
		return nil
	}
	return r.Frozen.Plan.Levels[level].InWords()
}

func levelName(r backout.Rollback, level int) string {
	if level < 0 || level >= len(r.Frozen.Plan.Levels) {
		return ""
	}
	return r.Frozen.Plan.Levels[level].Name
}

func asked(n *backout.Notice, r backout.Rollback, ask backout.Ask) {
	level := r.Frozen.Plan.Levels[ask.Level]
	n.Moment, n.Reason, n.NextLevel = backout.MomentApproval, ask.Why, level.Name
	n.Loses, n.Deadline, n.AskID = r.Lost(ask.Level, n.At), ask.Deadline, ask.ID
	n.Groups, n.Excluded, n.Steps = ask.Policy.Groups, ask.Excluded, steps(r, ask.Level)
	if ask.Policy.Mode == backout.ApprovalVeto {
		n.IfNobodyActs = level.Name + " starts"
		return
	}
	n.VotesNeeded, n.VotesGiven = ask.Policy.Votes, ask.Approvals()
	switch ask.Policy.OnExpiry {
	case backout.ExpiryGo:
		n.IfNobodyActs = level.Name + " starts"
	case backout.ExpiryEscalate:
		var next *backout.Level
		if i := ask.Level + 1; i < len(r.Frozen.Plan.Levels) {
			next = &r.Frozen.Plan.Levels[i]
		}
		n.IfNobodyActs = follows(next)
	case backout.ExpiryDeny:
		n.IfNobodyActs = "the rollback is held"
	}
}

// driftToldMost is of how many targets of a rollback people are told that they have
// drifted: a thousand of them most likely drifted alike.
const driftToldMost = 10

// drifted counts the targets that are back and differ from their baselines.
func drifted(r backout.Rollback) (n int) {
	for _, t := range r.Targets {
		if t.Phase == backout.TargetRecovered && t.Drift != nil && t.Drift.Verdict == backout.DriftSome {
			n++
		}
	}
	return n
}

func driftReason(d backout.DriftFound) string {
	reason := "it serves again, but differs from its baseline"
	if d.Summary != "" {
		reason += ": " + d.Summary
	}
	return reason
}

func afterLevel(r backout.Rollback) string {
	return follows(r.NextLevel())
}

// follows says what becomes of the level that is next; nil is none.
func follows(next *backout.Level) string {
	switch {
	case next == nil:
		return "the rollback is exhausted"
	case next.Approval.Mode == backout.ApprovalRequired:
		return next.Name + " is asked for"
	}
	return next.Name + " follows"
}

func openedReason(o backout.Opened) string {
	switch {
	case o.Trigger.Verdict == nil:
		return "started by " + o.Trigger.By + ": " + o.Trigger.Reason
	case o.AskFirst != "":
		return o.AskFirst
	case !o.StartAfter.IsZero():
		return "waits whether it stays red for " + time.Duration(o.Trigger.Verdict.For).String()
	}
	matched := "rule " + o.Trigger.Verdict.Rule + " matched"
	if by := o.Trigger.Verdict.Promoted; by != "" {
		matched += ", " + by
	}
	return matched
}

func causeInWords(cause string) string {
	switch cause {
	case "time":
		return "the level's time is up and the targets have not recovered"
	case "failure":
		return "the level's steps failed"
	case "manual":
		return "escalated by hand"
	}
	return cause
}

func endMoment(s backout.RollbackStatus) backout.Moment {
	switch s {
	case backout.RollbackRecovered:
		return backout.MomentRecovered
	case backout.RollbackExhausted:
		return backout.MomentExhausted
	case backout.RollbackCancelled:
		return backout.MomentCancelled
	case backout.RollbackAborted, backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying,
		backout.RollbackAwaiting, backout.RollbackHeld, backout.RollbackAborting:
		return backout.MomentAborted
	}
	return backout.MomentAborted
}

// everyone is who has been told of anything so far, and the plan's own audience.
func everyone(r backout.Rollback) []string {
	out := union(r.Frozen.Plan.Audience, levelAudience(r, r.StartAt))
	for i := r.StartAt; i <= r.Level; i++ {
		out = union(out, levelAudience(r, i))
	}
	if r.Status == backout.RollbackAwaiting || r.HeldStatus == backout.RollbackAwaiting {
		// Who was asked about a level behind hears what became of the question.
		out = union(out, levelAudience(r, r.Level+1))
		if r.Decided != nil && r.Decided.Level > r.Level+1 {
			out = union(out, levelAudience(r, r.Decided.Level))
		}
	}
	return out
}

// levelAudience is the level's own audience, or the plan's where it names none.
func levelAudience(r backout.Rollback, level int) []string {
	if level < 0 || level >= len(r.Frozen.Plan.Levels) || len(r.Frozen.Plan.Levels[level].Audience) == 0 {
		return r.Frozen.Plan.Audience
	}
	return r.Frozen.Plan.Levels[level].Audience
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func remaining(r backout.Rollback) []string {
	var names []string
	for _, t := range r.Targets {
		if t.Phase != backout.TargetRecovered {
			names = append(names, t.Name)
		}
	}
	return names
}

func nothingRemains(r backout.Rollback) bool {
	return !slices.ContainsFunc(r.Targets, func(t backout.TargetState) bool { return t.Phase != backout.TargetRecovered })
}

func allTargets(r backout.Rollback) []string {
	names := make([]string, len(r.Targets))
	for i, t := range r.Targets {
		names[i] = t.Name
	}
	return names
}
