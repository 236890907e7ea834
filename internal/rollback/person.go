package rollback

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// person takes what somebody on duty may always do.
func (d *decider) person(in Input) error {
	switch in := in.(type) {
	case Hold:
		// A hold for a doubt ends by itself when the doubt does, a person's does not.
		held := d.r.Status == backout.RollbackHeld && d.r.HeldCause != backout.HoldDoubt
		if held || d.r.Status == backout.RollbackAborting {
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
		if another(in.Since, d.r.PausedAt) {
			return fmt.Errorf("rollback %s is paused anew since %s, by %s: %s: look again before you resume it: %w",
				d.r.ID, d.r.PausedAt.UTC().Format(time.RFC3339), d.r.PausedBy, d.r.PausedReason, backout.ErrStale)
		}
		d.emit(backout.Resumed{By: in.By})
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

// another tells whether somebody who named the beginning of what they end means an
// earlier stop than the one of now.
func another(since, now time.Time) bool { return !since.IsZero() && !since.Equal(now) }

func (d *decider) heldAnew(do string) error {
	return fmt.Errorf("rollback %s is held anew since %s, %s: look again before you %s: %w",
		d.r.ID, d.r.HeldAt.UTC().Format(time.RFC3339), d.r.HeldReason, do, backout.ErrStale)
}

func (d *decider) release(in Release) error {
	switch {
	case d.r.Status != backout.RollbackHeld:
		return fmt.Errorf("rollback %s is not held: %w", d.r.ID, backout.ErrRefused)
	case another(in.Since, d.r.HeldAt):
		return d.heldAnew("release it")
	case d.anyInDoubt():
		return fmt.Errorf("rollback %s has an attempt in doubt; resolve it first: %w", d.r.ID, backout.ErrRefused)
	case d.r.HeldCause != backout.HoldNobody && in.Level != "":
		return fmt.Errorf("rollback %s waits for nobody to let %s begin: %w", d.r.ID, in.Level, backout.ErrStale)
	case d.r.HeldCause != backout.HoldNobody:
		d.emit(backout.Released{By: in.By, Reason: in.Reason})
		return nil
	}
	if err := d.inPlaceOfAGroup(in.By, in.Approver); err != nil {
		return err
	}
	next := d.levelName(d.r.NextUp())
	switch in.Level {
	case "":
		return fmt.Errorf("no group may approve %s: name the level to let it begin: %w", next, backout.ErrRefused)
	case next:
		d.emit(backout.Released{By: in.By, Reason: in.Reason, Level: next})
		return nil
	}
	return fmt.Errorf("rollback %s is held before %s, not before %s: %w", d.r.ID, next, in.Level, backout.ErrStale)
}

// inPlaceOfAGroup wants somebody who may say yes where no group may: an approver, whom
// four eyes do not leave out.
func (d *decider) inPlaceOfAGroup(by string, approver bool) error {
	switch {
	case !approver:
		return fmt.Errorf("rollback %s is held since no group may approve: only somebody with the role approver lets it go on: %w", d.r.ID, backout.ErrForbidden)
	case slices.Contains(d.r.Excluded, by):
		return fmt.Errorf("%s asked for this change, wrote its plan or started the rollback; somebody else must let it go on: %w", by, backout.ErrForbidden)
	}
	return nil
}

// escalate leaves the level now: the one that runs, or the one that was asked for, also
// when a hold has ended its question. It ends no hold that its actor has not read of, never skips the next level's own approval, and
// never starts it while something still runs.
func (d *decider) escalate(in Escalate) error {
	leaves := d.r.Leaves()
	if in.From != "" && in.From != d.levelName(leaves) {
		return fmt.Errorf("rollback %s has left %s already: %w", d.r.ID, in.From, backout.ErrStale)
	}
	if d.r.Status == backout.RollbackHeld && (in.Unheld || another(in.Since, d.r.HeldAt)) {
		return d.heldAnew("escalate it")
	}
	unasked := d.r.Status == backout.RollbackHeld && leaves > d.r.Level
	if d.r.Status == backout.RollbackHeld && d.r.HeldCause == backout.HoldNobody {
		if err := d.inPlaceOfAGroup(in.By, in.Approver); err != nil {
			return err
		}
	}
	if !d.r.PausedAt.IsZero() {
		return fmt.Errorf("rollback %s: %w", d.r.ID, backout.ErrPaused)
	}
	if d.r.Status == backout.RollbackHeld {
		for _, t := range d.r.Targets {
			if t.Phase == backout.TargetInDoubt {
				d.emit(backout.DoubtResolved{Target: t.Name, AttemptID: t.Attempt.ID, Verdict: DoubtFailed, By: in.By})
			}
		}
		released := backout.Released{By: in.By, Reason: in.Reason}
		if d.r.HeldCause == backout.HoldNobody && leaves+1 < len(d.r.Frozen.Plan.Levels) {
			released.Level = d.levelName(leaves + 1)
		}
		d.emit(released)
	}
	if unasked {
		d.enter(leaves+1, "escalated by "+in.By)
		return nil
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
