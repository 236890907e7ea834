package change

import (
	"fmt"
	"slices"

	"github.com/backout-io/backout"
)

// requestRollback lets a rollback come to be. Beyond the change's own state it
// holds two promises: a target is in at most one active rollback, and what was
// taken back once is not taken back again without a person.
func requestRollback(c backout.Change, in Input, r backout.RollbackRequested) ([]backout.Event, error) {
	o := r.Opened
	if !c.State.Live() {
		return nil, refused("alerts count only while it is open or watched; it is %s", c.State)
	}
	if err := aboutThisChange(c, o); err != nil {
		return nil, err
	}
	for _, t := range o.Targets {
		if id := c.ActiveRollback(t); id != "" {
			return nil, fmt.Errorf("%w: target %s is being rolled back by %s", backout.ErrConflict, t, id)
		}
		if id := c.TakenBack(t); id != "" && o.Trigger.By == "" {
			return nil, refused("target %s was already rolled back by %s: a person may start another", t, id)
		}
	}
	return []backout.Event{r}, nil
}

func aboutThisChange(c backout.Change, o backout.Opened) error {
	switch {
	case o.ChangeID != c.ID:
		return invalid("the rollback is about change %q", o.ChangeID)
	case o.RollbackID == "":
		return invalid("the rollback has no id")
	case known(c, o.RollbackID):
		return fmt.Errorf("%w: rollback %s", backout.ErrExists, o.RollbackID)
	case o.Trigger.By == "" && o.Trigger.Verdict == nil:
		return invalid("rollback %s has neither a verdict nor a person behind it", o.RollbackID)
	case c.Frozen == nil || o.Frozen.Hash != c.Frozen.Hash:
		return invalid("rollback %s does not carry the plan that was frozen when the window opened", o.RollbackID)
	case o.StartAt < 0 || o.StartAt >= len(c.Frozen.Plan.Levels):
		return invalid("rollback %s starts at level %d, the plan has %d", o.RollbackID, o.StartAt+1, len(c.Frozen.Plan.Levels))
	case len(o.Targets) == 0:
		return invalid("rollback %s names no target", o.RollbackID)
	}
	for i, t := range o.Targets {
		if !slices.Contains(c.Targets, t) {
			return invalid("target %q does not belong to the change", t)
		}
		if slices.Contains(o.Targets[:i], t) {
			return invalid("target %q is named twice", t)
		}
		if o.Baselines[t] != c.Baselines[t] {
			return invalid("rollback %s does not carry the baseline of target %s", o.RollbackID, t)
		}
	}
	return nil
}

// BaselinesOf are the baselines of these targets, as a rollback of them carries
// them; nil where there are none.
func BaselinesOf(c backout.Change, targets []string) map[string]string {
	if len(c.Baselines) == 0 {
		return nil
	}
	out := make(map[string]string, len(targets))
	for _, t := range targets {
		if digest := c.Baselines[t]; digest != "" {
			out[t] = digest
		}
	}
	return out
}

// rollbackEnded notes the end of a rollback and, with the last active one, ends
// the change when there is nothing left to watch.
func rollbackEnded(c backout.Change, in Input, do RollbackEnded) ([]backout.Event, error) {
	i := slices.IndexFunc(c.Rollbacks, func(r backout.RollbackRef) bool { return r.ID == do.RollbackID })
	if i < 0 {
		return nil, fmt.Errorf("rollback %q: %w", do.RollbackID, backout.ErrNotFound)
	}
	if !do.Status.Final() {
		return nil, invalid("rollback %s has not ended: it is %s", do.RollbackID, do.Status)
	}
	if was := c.Rollbacks[i].Status; was == do.Status {
		return nil, nil
	} else if was.Final() {
		return nil, refused("rollback %s has ended as %s", do.RollbackID, was)
	}
	ended := backout.RollbackEnded{RollbackID: do.RollbackID, Status: do.Status}
	after := Apply(c, c.Revision, in.At, ended)
	return append([]backout.Event{ended}, lastRollbackOver(after, in)...), nil
}

func lastRollbackOver(c backout.Change, in Input) []backout.Event {
	if active(c) {
		return nil
	}
	if slices.ContainsFunc(c.Targets, func(t string) bool { return c.TakenBack(t) == "" }) {
		return tick(c, in) // the others are watched on, however this one ended
	}
	if id := failedRollback(c); id != "" {
		return []backout.Event{backout.ChangeEnded{State: backout.ChangeBackoutFailed, Reason: "rollback " + id + " did not bring its targets back"}}
	}
	return []backout.Event{backout.ChangeEnded{State: backout.ChangeBackedOut, Reason: "every target was taken back"}}
}

// failedRollback returns the first rollback that ended without recovery, or "".
func failedRollback(c backout.Change) string {
	for _, r := range c.Rollbacks {
		if r.Status == backout.RollbackExhausted || r.Status == backout.RollbackAborted {
			return r.ID
		}
	}
	return ""
}

// takenBack lists the targets of rollbacks that recovered.
func takenBack(c backout.Change) []string {
	var targets []string
	for _, r := range c.Rollbacks {
		if r.Status == backout.RollbackRecovered {
			targets = append(targets, r.Targets...)
		}
	}
	return targets
}

func known(c backout.Change, rollbackID string) bool {
	return slices.ContainsFunc(c.Rollbacks, func(r backout.RollbackRef) bool { return r.ID == rollbackID })
}

// sameSet compares without regard to order or repetition.
func sameSet(a, b []string) bool {
	contains := func(in []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(in, s) }
	}
	return !slices.ContainsFunc(a, contains(b)) && !slices.ContainsFunc(b, contains(a))
}
