package rollback

import (
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// evidenceMax bounds what a rollback remembers of its alerts; a storm must not
// grow its log.
const evidenceMax = 100

// Fold applies a whole record and remembers its sequence, and by what notice people are
// asked what it asks.
func Fold(r backout.Rollback, seq uint64, rec backout.Record) backout.Rollback {
	r.Targets = cloneTargets(r.Targets)
	for i, e := range rec.Events {
		r = apply(r, rec.At, e)
		if _, ok := e.(backout.Asked); ok {
			r.Ask.NoticeID = noticeID(r.ID, seq, i)
		}
	}
	r.Revision = seq
	return r
}

// Apply folds one event, which happened at the given time, into the state. It
// accepts whatever a log holds, decides nothing, and leaves the state it was
// given untouched.
func Apply(r backout.Rollback, at time.Time, e backout.Event) backout.Rollback {
	r.Targets = cloneTargets(r.Targets)
	return apply(r, at, e)
}

// apply is Apply for a caller that owns r's targets.
func apply(r backout.Rollback, at time.Time, e backout.Event) backout.Rollback {
	switch e := e.(type) {
	case backout.Opened:
		return opened(at, e)
	case backout.Asked:
		ask := e.Ask
		r.Ask, r.Asks = &ask, r.Asks+1
		if r.Level >= 0 {
			r.Status = backout.RollbackAwaiting
		}
		r.Reason = ask.Why
	case backout.Voted:
		if r.Ask != nil {
			ask := *r.Ask
			ask.Votes = append(slices.Clone(ask.Votes), e.Vote)
			r.Ask = &ask
		}
	case backout.Answered:
		decided(&r, at, backout.Decided{AskID: e.AskID, Outcome: e.Outcome, By: e.By})
	case backout.VoteRefused, backout.ApprovalVoided, backout.GlassBroken, backout.Reviewed,
		backout.LastCall, backout.ChannelsDown, backout.ChannelsUp:
		applyAnswer(&r, at, e)
	case backout.LevelEntered:
		levelEntered(&r, at, e)
	case backout.ClockStarted:
		r.LevelStartedAt, r.LevelDeadline, r.Given = at, e.Deadline, nil
		if len(e.Reopens) > 0 {
			r.ReopenedAt = at
		}
	case backout.LevelOverdue:
		r.Overdue, r.EscalateBy = true, e.By
	case backout.VerifyStarted:
		r.Status = backout.RollbackVerifying
		if !e.Deadline.IsZero() {
			r.LevelDeadline = e.Deadline
		}
	case backout.LevelFailed:
		r.Reason = e.Cause
		r.Overdue, r.EscalateBy = false, ""
		r.LevelDeadline, r.Given = time.Time{}, nil
		r.Status = backout.RollbackAwaiting
	case backout.EvidenceAdded:
		if len(r.Evidence) < evidenceMax {
			r.Evidence = append(slices.Clone(r.Evidence), e.Alert)
		}
	case backout.Ended:
		r.Status, r.Reason, r.EndedAt, r.Ask = e.Status, e.Reason, at, nil
		r.LevelDeadline, r.Given = time.Time{}, nil
	case backout.StepRequested, backout.StepStarted, backout.StepTakenOver, backout.StepDone, backout.StepFailed, backout.StepInDoubt,
		backout.DoubtResolved, backout.StopRequested, backout.TargetGreen, backout.TargetRed, backout.TargetBack:
		applyTarget(&r, at, e)
	case backout.HeldBack, backout.Released, backout.Paused, backout.Resumed, backout.AbortRequested:
		applyStop(&r, at, e)
	}
	return r
}

func opened(at time.Time, e backout.Opened) backout.Rollback {
	r := backout.Rollback{
		ID: e.RollbackID, ChangeID: e.ChangeID, ChangeTitle: e.ChangeTitle, Patch: e.Patch, Frozen: e.Frozen, Trigger: e.Trigger, Loses: maps.Clone(e.Loses),
		Status: backout.RollbackPending, OpenedAt: at, StartAt: e.StartAt, StartAfter: e.StartAfter, Level: -1, AskFirst: e.AskFirst,
		Exploited: e.Exploited, Labels: maps.Clone(e.Labels),
	}
	for _, name := range e.Targets {
		r.Targets = append(r.Targets, backout.TargetState{Name: name, Phase: backout.TargetWaiting, RecoveredLevel: -1, Baseline: e.Baselines[name]})
	}
	if e.Alert != nil {
		r.Evidence = []backout.AlertRef{*e.Alert}
	}
	for _, who := range []string{e.Requester, e.Frozen.Plan.Author, e.Trigger.By} {
		if who != "" && !slices.Contains(r.Excluded, who) {
			r.Excluded = append(r.Excluded, who)
		}
	}
	return r
}

func levelEntered(r *backout.Rollback, at time.Time, e backout.LevelEntered) {
	r.Given = nil
	if e.AskID != "" {
		r.Given = &backout.Given{
			AskID: e.AskID, Until: e.ValidUntil, Before: r.Level, BeforeEnteredAt: r.LevelEnteredAt, BeforeStartedAt: r.LevelStartedAt,
		}
	}
	r.Status, r.Level, r.LevelEnteredAt, r.LevelStartedAt = backout.RollbackRunning, e.Level, at, time.Time{}
	r.Overdue, r.EscalateBy, r.FailuresAccepted, r.Reason = false, "", false, e.Reason
	if level := r.CurrentLevel(); level != nil {
		// Until a step starts this is the bound on waiting for a runner.
		r.LevelDeadline = at.Add(time.Duration(level.EscalateAfter))
	}
	for i := range r.Targets {
		if t := &r.Targets[i]; t.Phase != backout.TargetRecovered {
			t.Phase, t.Step, t.Failure = backout.TargetWaiting, 0, ""
		}
	}
}

func applyTarget(r *backout.Rollback, at time.Time, e backout.Event) {
	switch e := e.(type) {
	case backout.StepRequested:
		with(r, e.Target, func(t *backout.TargetState) {
			t.Phase, t.Step = backout.TargetRunning, e.Step
			t.Attempt, t.Tries = &backout.Attempt{ID: e.AttemptID, Number: e.Number}, max(t.Tries, e.Number)
			t.GreenSince, t.Red, t.Drift = time.Time{}, "", nil // of before the step
		})
	case backout.StepStarted:
		if r.BegunAt.IsZero() {
			r.BegunAt = at
		}
		with(r, e.Target, func(t *backout.TargetState) {
			if t.Attempt != nil {
				t.Attempt.Runner, t.Attempt.StartedAt, t.Attempt.Deadline = e.Runner, at, e.Deadline
				t.Attempt.Via, t.Attempt.Boot = e.Via, e.Boot
			}
		})
	case backout.StepTakenOver:
		with(r, e.Target, func(t *backout.TargetState) {
			if t.Attempt != nil {
				t.Attempt.Runner = e.Runner
			}
		})
	case backout.StepDone:
		with(r, e.Target, func(t *backout.TargetState) {
			stepEnded(r, t)
			holds(t, at, e.Outcome.Held)
		})
	case backout.StepFailed:
		with(r, e.Target, func(t *backout.TargetState) {
			t.Phase, t.Failure = backout.TargetFailed, e.Reason
			holds(t, at, e.Outcome.Held)
		})
	case backout.StepInDoubt:
		with(r, e.Target, func(t *backout.TargetState) { t.Phase, t.Failure = backout.TargetInDoubt, e.Reason })
	case backout.DoubtResolved:
		with(r, e.Target, func(t *backout.TargetState) { doubtResolved(r, t, e.Verdict) })
	case backout.StopRequested:
		with(r, e.Target, func(t *backout.TargetState) {
			if t.Attempt != nil {
				t.Attempt.Stopping, t.Attempt.Unstarted = true, e.Unstarted
			}
		})
	case backout.TargetGreen:
		with(r, e.Target, func(t *backout.TargetState) {
			t.GreenSince, t.Red = e.Since, ""
			if notBack(t.Drift) {
				t.Drift = nil // a later comparison found it back
			}
		})
	case backout.TargetRed:
		with(r, e.Target, func(t *backout.TargetState) {
			t.GreenSince, t.Red = time.Time{}, e.Reason
			if e.Drift != nil {
				t.Drift = e.Drift
			}
		})
	case backout.TargetBack:
		with(r, e.Target, func(t *backout.TargetState) {
			t.Phase, t.RecoveredAt, t.RecoveredLevel, t.Failure = backout.TargetRecovered, at, r.Level, ""
			if e.Drift != nil {
				t.Drift = e.Drift
			}
		})
	}
}

func stepEnded(r *backout.Rollback, t *backout.TargetState) {
	t.Failure = ""
	if level := r.CurrentLevel(); level != nil && t.Step+1 < len(level.Steps) {
		t.Phase, t.Step = backout.TargetWaiting, t.Step+1
		return
	}
	t.Phase = backout.TargetDone
}

// holds adds what a step keeps from coming back. A step that failed may hold
// something too.
func holds(t *backout.TargetState, at time.Time, held []string) {
	all := slices.Concat(t.Held, held)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > len(t.Held) {
		t.Held, t.HeldAt = all, at
	}
}

func doubtResolved(r *backout.Rollback, t *backout.TargetState, verdict string) {
	switch verdict {
	case DoubtHappened:
		stepEnded(r, t)
	case DoubtDidNot:
		t.Phase, t.Failure = backout.TargetWaiting, ""
	default:
		t.Phase = backout.TargetFailed
	}
}

func applyStop(r *backout.Rollback, at time.Time, e backout.Event) {
	switch e := e.(type) {
	case backout.HeldBack:
		if r.Status != backout.RollbackHeld {
			r.HeldStatus, r.StillSince = r.Status, at
		}
		r.Status, r.HeldAt, r.HeldCause, r.HeldReason = backout.RollbackHeld, at, e.Cause, e.Reason
	case backout.Released:
		if r.HeldCause == backout.HoldFailures {
			r.FailuresAccepted = true
		}
		if e.Level != "" {
			r.AskFirst = "" // who let it begin has said yes
		}
		// While paused as well, the pause's own shift covers the rest.
		end := at
		if !r.PausedAt.IsZero() {
			end = r.PausedAt
		}
		shift(r, max(0, end.Sub(r.StillSince)))
		r.Status = r.HeldStatus
		unheld(r)
	case backout.Paused:
		r.PausedAt, r.PausedBy, r.PausedReason = at, e.By, e.Reason
	case backout.Resumed:
		switch {
		case r.StillSince.IsZero():
			shift(r, at.Sub(r.PausedAt))
		case !r.StillSince.Before(r.PausedAt):
			shift(r, at.Sub(r.PausedAt))
			r.StillSince = at
		}
		r.PausedAt, r.PausedBy, r.PausedReason = time.Time{}, "", ""
	case backout.AbortRequested:
		r.Status, r.Reason, r.Given = backout.RollbackAborting, e.Reason, nil
		unheld(r)
		r.PausedAt, r.PausedBy, r.PausedReason = time.Time{}, "", ""
	}
}

func unheld(r *backout.Rollback) {
	r.HeldStatus, r.HeldCause, r.HeldReason = "", "", ""
	r.HeldAt, r.StillSince = time.Time{}, time.Time{}
}

// shift moves every clock that stood still. A target must be green without a
// break, so what was green before the stop starts again.
func shift(r *backout.Rollback, by time.Duration) {
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	move(&r.LevelDeadline)
	move(&r.StartAfter)
	if r.Ask != nil {
		ask := *r.Ask
		move(&ask.Deadline)
		move(&ask.DownAt)
		r.Ask = &ask
	}
	for i := range r.Targets {
		t := &r.Targets[i]
		t.GreenSince = time.Time{}
		if t.Attempt != nil && t.Phase == backout.TargetRunning {
			move(&t.Attempt.Deadline)
		}
	}
}

func with(r *backout.Rollback, target string, change func(*backout.TargetState)) {
	if t := r.Target(target); t != nil {
		change(t)
	}
}

func cloneTargets(ts []backout.TargetState) []backout.TargetState {
	out := slices.Clone(ts)
	for i := range out {
		if a := out[i].Attempt; a != nil {
			copied := *a
			out[i].Attempt = &copied
		}
	}
	return out
}
