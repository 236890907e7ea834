package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Due is when the rollback does something by itself; zero when no clock runs: it waits for
// people, or for the steps that run. The core waits for the same (rollback.NextDeadline).
func Due(r *backout.Rollback) time.Time {
	var first time.Time
	if r.Status.Final() || r.Status == backout.RollbackHeld || r.Status == backout.RollbackAborting || !r.PausedAt.IsZero() {
		return first
	}
	consider := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	switch {
	case r.Ask != nil && r.Ask.DownAt.IsZero():
		consider(r.Ask.Deadline)
	case r.Ask == nil && r.Status == backout.RollbackPending:
		consider(r.StartAfter)
	}
	consider(r.LevelEnds())
	return first
}

// Due is when the rollback does something by itself.
func (c Card) Due() time.Time { return Due(&c.Rollback) }

// Next says what happens then, or that nothing does.
func (c Card) Next() string {
	r := &c.Rollback
	switch {
	case r.Status.Final():
		return ""
	case !r.PausedAt.IsZero():
		return "paused by " + r.PausedBy + ": no clock runs"
	case r.Status == backout.RollbackHeld:
		return "nothing happens until somebody acts"
	case r.Status == backout.RollbackAborting:
		return "it ends with the steps that run"
	case r.Ask != nil:
		return ifNobodyAnswers(r)
	case r.Status == backout.RollbackPending && !r.StartAfter.IsZero():
		return levelName(r, r.StartAt) + " starts, if it stays red"
	case r.Status == backout.RollbackRunning && r.Overdue:
		return "its time is up: it goes on when the steps that run have ended"
	case c.Due().IsZero():
		return "it goes on with its steps"
	}
	next := r.NextLevel()
	switch {
	case next == nil:
		return "it is exhausted: no level is left"
	case next.Approval.Mode == backout.ApprovalRequired:
		return called(next) + " is asked for"
	}
	return called(next) + " follows"
}

func ifNobodyAnswers(r *backout.Rollback) string {
	ask, name := r.Ask, levelName(r, r.Ask.Level)
	switch {
	case !ask.DownAt.IsZero():
		return "the clock of " + name + " stands still until somebody can be told: " + ask.DownReason
	case ask.Deadline.IsZero():
		return "nothing happens until somebody decides"
	case ask.Policy.Mode == backout.ApprovalVeto, ask.Policy.OnExpiry == backout.ExpiryGo:
		return name + " starts"
	case ask.Policy.OnExpiry == backout.ExpiryEscalate:
		return "the next level is asked for"
	}
	return "the rollback is held"
}

func levelName(r *backout.Rollback, level int) string {
	if level < 0 || level >= len(r.Frozen.Plan.Levels) {
		return "the rollback"
	}
	return called(&r.Frozen.Plan.Levels[level])
}

// called names a level with what it does: "L2 (restore the snapshot)".
func called(l *backout.Level) string {
	if l.Summary == "" {
		return l.Name
	}
	return l.Name + " (" + l.Summary + ")"
}

// Back counts the targets that are back.
func (c Card) Back() (n int) {
	for _, t := range c.Rollback.Targets {
		if t.Phase == backout.TargetRecovered {
			n++
		}
	}
	return n
}

// Drifted counts those among them that differ from their baselines.
func (c Card) Drifted() (n int) {
	for _, t := range c.Rollback.Targets {
		if t.Phase == backout.TargetRecovered && t.Drift != nil && t.Drift.Verdict != backout.DriftNone {
			n++
		}
	}
	return n
}

// Headline says what is broken in one line.
func (c Card) Headline() string {
	r := &c.Rollback
	if v := r.Trigger.Verdict; v != nil {
		if s := v.Annotations["summary"]; s != "" {
			return s
		}
		return v.AlertName + " on " + v.Target
	}
	return "started by " + r.Trigger.By + ": " + r.Trigger.Reason
}

// Why says why it is where it is.
func (c Card) Why() string {
	if r := &c.Rollback; r.Status == backout.RollbackHeld && r.HeldReason != "" {
		return r.HeldReason
	}
	if c.Rollback.Reason == "time" { // the cause of an escalation, which the ladder shows
		return ""
	}
	return c.Rollback.Reason
}

// RedSince is when the first alert that speaks for it began.
func (c Card) RedSince() time.Time {
	since := c.Rollback.OpenedAt
	for _, a := range c.Rollback.Evidence {
		if !a.StartsAt.IsZero() && a.StartsAt.Before(since) {
			since = a.StartsAt
		}
	}
	return since
}

// Asked is the level that is asked for; nil when none is.
func (c Card) Asked() *backout.Level {
	r := &c.Rollback
	if a := r.Ask; a != nil && !r.Status.Final() && a.Level >= 0 && a.Level < len(r.Frozen.Plan.Levels) {
		return &r.Frozen.Plan.Levels[a.Level]
	}
	return nil
}

// Votes says how many votes there are, and whose are wanted.
func (c Card) Votes() string {
	ask := c.Rollback.Ask
	if ask == nil {
		return ""
	}
	if ask.Policy.Mode == backout.ApprovalVeto {
		return "it starts unless somebody holds or denies it"
	}
	text := fmt.Sprintf("%d of %d approvals", ask.Approvals(), ask.Policy.Votes)
	if len(ask.Policy.Groups) == 0 {
		return text + ": the plan names no group, so nobody may approve"
	}
	return text + " by " + strings.Join(ask.Policy.Groups, " or ")
}

// Lost is what the asked level destroys, in the plan's or the executors' words.
func (c Card) Lost(now time.Time) string {
	level := c.Asked()
	if level == nil {
		return ""
	}
	if lost := c.Rollback.Lost(c.Rollback.Ask.Level, now); lost != "" {
		return lost
	}
	if level.Destructive {
		return "data written since the baseline; the plan does not say what"
	}
	return ""
}
