package rollback

import (
	"fmt"
	"slices"

	"github.com/backout-io/backout"
)

func (d *decider) vote(in Vote) error {
	ask := d.r.Ask
	v := in.Vote
	switch {
	case ask == nil || ask.ID != in.AskID:
		return fmt.Errorf("question %s is not open: %w", in.AskID, backout.ErrStale)
	case !d.r.PausedAt.IsZero():
		return fmt.Errorf("question %s: %w", in.AskID, backout.ErrPaused)
	case v.User == "":
		return fmt.Errorf("a vote needs a named person: %w", backout.ErrInvalid)
	case v.Choice != backout.ChoiceApprove && v.Choice != backout.ChoiceDeny:
		return fmt.Errorf("choice %q: want approve or deny: %w", v.Choice, backout.ErrInvalid)
	case slices.ContainsFunc(ask.Votes, func(old backout.Vote) bool { return old.User == v.User && old.Choice == v.Choice }):
		return fmt.Errorf("%s has voted already: %w", v.User, backout.ErrExists)
	}
	if v.Choice == backout.ChoiceApprove {
		if slices.Contains(ask.Excluded, v.User) {
			return fmt.Errorf("%s asked for this change, wrote its plan or started the rollback; somebody else must approve: %w", v.User, backout.ErrRefused)
		}
		if !slices.ContainsFunc(v.Groups, func(g string) bool { return slices.Contains(ask.Policy.Groups, g) }) {
			return fmt.Errorf("%s is in none of the approving groups %v: %w", v.User, ask.Policy.Groups, backout.ErrRefused)
		}
	}
	v.At = d.at
	d.emit(backout.Voted{AskID: ask.ID, Vote: v})
	if v.Choice == backout.ChoiceDeny {
		d.hold(backout.HoldDenied, "denied", fmt.Sprintf("%s denied %s", v.User, d.r.Frozen.Plan.Levels[ask.Level].Name), v.User)
	}
	return nil
}

// person takes what somebody on duty may always do.
func (d *decider) person(in Input) error {
	switch in := in.(type) {
	case Hold:
		if d.r.Status == backout.RollbackHeld || d.r.Status == backout.RollbackAborting {
			return fmt.Errorf("rollback %s is %s already: %w", d.r.ID, d.r.Status, backout.ErrRefused)
		}
		d.hold(backout.HoldPerson, "held", fmt.Sprintf("held by %s: %s", in.By, in.Reason), in.By)
	case Release:
		return d.release(in)
	case Pause:
		if !d.r.PausedAt.IsZero() {
			return fmt.Errorf("rollback %s is paused already: %w", d.r.ID, backout.ErrRefused)
		}
		d.emit(backout.Paused(in))
	case Resume:
		if d.r.PausedAt.IsZero() {
			return fmt.Errorf("rollback %s is not paused: %w", d.r.ID, backout.ErrRefused)
		}
		d.emit(backout.Resumed(in))
	case Escalate:
		return d.escalate(in)
	case Abort:
		if d.r.Status == backout.RollbackAborting {
			return fmt.Errorf("rollback %s is being aborted: %w", d.r.ID, backout.ErrRefused)
		}
		d.close("superseded", in.By)
		d.emit(backout.AbortRequested(in))
		d.stopAttempts("aborted by " + in.By)
	}
	return nil
}

func (d *decider) hold(cause backout.HoldCause, outcome, reason, by string) {
	d.close(outcome, by)
	d.emit(backout.HeldBack{Cause: cause, Reason: reason, By: by})
}

func (d *decider) release(in Release) error {
	switch {
	case d.r.Status != backout.RollbackHeld:
		return fmt.Errorf("rollback %s is not held: %w", d.r.ID, backout.ErrRefused)
	case d.anyInDoubt():
		return fmt.Errorf("rollback %s has an attempt in doubt; resolve it first: %w", d.r.ID, backout.ErrRefused)
	}
	d.emit(backout.Released(in))
	return nil
}

// escalate leaves the level now. It never skips the next level's own approval,
// and never starts it while something still runs.
func (d *decider) escalate(in Escalate) error {
	if !d.r.PausedAt.IsZero() {
		return fmt.Errorf("rollback %s: %w", d.r.ID, backout.ErrPaused)
	}
	if d.r.Status == backout.RollbackHeld {
		for _, t := range d.r.Targets {
			if t.Phase == backout.TargetInDoubt {
				d.emit(backout.DoubtResolved{Target: t.Name, AttemptID: t.Attempt.ID, Verdict: DoubtFailed, By: in.By})
			}
		}
		d.emit(backout.Released(in))
	}
	switch d.r.Status {
	case backout.RollbackRunning:
		if d.r.EscalateBy != "" {
			return fmt.Errorf("rollback %s is being escalated by %s; its steps must end first, or abort it: %w", d.r.ID, d.r.EscalateBy, backout.ErrRefused)
		}
		d.emit(backout.LevelOverdue{Level: d.r.Level, By: in.By})
		d.stopAttempts("escalated by " + in.By)
	case backout.RollbackVerifying:
		d.failLevel("manual", in.By)
	case backout.RollbackAwaiting:
		if d.r.Ask == nil {
			return nil
		}
		skipped := d.r.Ask.Level
		d.close("superseded", in.By)
		d.enter(skipped+1, "escalated by "+in.By)
	case backout.RollbackPending, backout.RollbackAborting, backout.RollbackHeld, backout.RollbackRecovered, backout.RollbackExhausted,
		backout.RollbackAborted, backout.RollbackCancelled:
		return fmt.Errorf("rollback %s is %s: nothing to escalate from: %w", d.r.ID, d.r.Status, backout.ErrRefused)
	}
	return nil
}
