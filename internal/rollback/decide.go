package rollback

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// The verdicts of a person on an attempt in doubt.
const (
	// DoubtHappened says that the step's effect happened: go on behind it.
	DoubtHappened = "happened"
	// DoubtDidNot says that it did not: run the step again, as a new attempt.
	DoubtDidNot = "did_not"
	// DoubtFailed gives the level up on this target.
	DoubtFailed = "failed"
)

// Decide returns what becomes true when the input reaches the rollback at the
// given time. No events and no error means that there is nothing to record. An
// error wraps a sentinel of the root package, and nothing has happened.
func Decide(r backout.Rollback, at time.Time, in Input) ([]backout.Event, error) {
	events, _, err := Advance(r, at, in, false)
	return events, err
}

// Advance is Decide, and returns the state with the events folded in, but for its
// revision. With own the caller gives r away: the state returned may be made of its
// parts. So a thousand inputs that are decided together cost one copy of a thousand
// targets, not a thousand. After an error r is as it was, own or not.
func Advance(r backout.Rollback, at time.Time, in Input, own bool) ([]backout.Event, backout.Rollback, error) {
	own = own && refusedBefore(in)
	d := &decider{r: r, at: at, own: own}
	if err := d.decide(in); err != nil {
		if own && len(d.events) > 0 {
			// Half of a decision would be left in r. The log is whole: to begin
			// again from it is safe, to go on is not.
			panic(fmt.Sprintf("rollback %s: input %T was refused after %d events", r.ID, in, len(d.events)))
		}
		return nil, r, err
	}
	return d.events, d.r, nil
}

// refusedBefore tells whether the input is refused before its first event or never:
// those that come by the thousand. Only then may the state be written to.
func refusedBefore(in Input) bool {
	switch in.(type) {
	case Claim, Finished, Checked:
		return true
	}
	return false
}

func (d *decider) decide(in Input) error {
	if open, ok := in.(Open); ok {
		return d.open(open)
	}
	if d.r.ID == "" {
		return fmt.Errorf("rollback: %w", backout.ErrNotFound)
	}
	if review, ok := in.(Review); ok && d.r.Status.Final() {
		return d.review(review)
	}
	if d.r.Status.Final() {
		return fmt.Errorf("rollback %s is %s: %w", d.r.ID, d.r.Status, backout.ErrFinal)
	}
	if err := d.take(in); err != nil {
		return err
	}
	d.settle()
	return nil
}

// decider gathers the events of one decision, folding each as it goes, so that
// later steps of the decision see the earlier ones.
type decider struct {
	r      backout.Rollback
	at     time.Time
	events []backout.Event
	// own is set once the targets of r are the decision's own, to be written to.
	own bool
	// silence tells that it was looked whether people can speak: only then does it start
	// a level that they said nothing.
	silence bool
}

func (d *decider) emit(e backout.Event) {
	if !d.own {
		d.r.Targets, d.own = cloneTargets(d.r.Targets), true
	}
	d.events = append(d.events, e)
	d.r = apply(d.r, d.at, e)
}

func (d *decider) take(in Input) error {
	switch in := in.(type) {
	case Tick:
		d.silence = !in.Unsure
		return nil
	case Open:
		return fmt.Errorf("rollback %s: %w", d.r.ID, backout.ErrExists)
	case Resolved:
		d.resolved()
		return nil
	case AlertSeen:
		d.alertSeen(in)
		return nil
	case Claim:
		return d.claim(in)
	case TakeOver:
		return d.takeOver(in)
	case Finished:
		return d.finished(in)
	case Doubt:
		return d.doubt(in)
	case Resolve:
		return d.resolve(in)
	case Checked:
		d.checked(in)
		return nil
	case Vote:
		return d.vote(in)
	case Refused:
		return d.refused(in)
	case About:
		return d.about(in)
	case BreakGlass:
		return d.breakGlass(in)
	case Review:
		return d.review(in)
	case Approvers:
		d.approvers(in)
		return nil
	case Reached:
		d.reached(in)
		return nil
	case Hold, Release, Pause, Resume, Escalate, Abort:
		return d.person(in)
	}
	return fmt.Errorf("input %T: %w", in, backout.ErrInvalid)
}

func (d *decider) open(in Open) error {
	o := in.Opened
	switch {
	case d.r.ID != "":
		return fmt.Errorf("rollback %s: %w", d.r.ID, backout.ErrExists)
	case o.RollbackID == "" || o.ChangeID == "":
		return fmt.Errorf("rollback without id or change: %w", backout.ErrInvalid)
	case len(o.Targets) == 0:
		return fmt.Errorf("rollback %s has no targets, and nothing never means everything: %w", o.RollbackID, backout.ErrInvalid)
	case o.StartAt < 0 || o.StartAt >= len(o.Frozen.Plan.Levels):
		return fmt.Errorf("rollback %s starts at level %d of %d: %w", o.RollbackID, o.StartAt+1, len(o.Frozen.Plan.Levels), backout.ErrInvalid)
	}
	d.emit(o)
	if in.PausedBy != "" {
		d.emit(backout.Paused{By: in.PausedBy, Reason: in.PausedReason})
	}
	d.settle()
	return nil
}

// resolved cancels what has not started; what has started goes on, since the
// system is already being changed.
func (d *decider) resolved() {
	if Started(d.r) || d.r.Trigger.Verdict == nil {
		return
	}
	d.close("moot", "")
	d.end(backout.RollbackCancelled, "the alert resolved before anything had started")
}

func (d *decider) alertSeen(in AlertSeen) {
	if len(d.r.Evidence) >= evidenceMax || d.r.Target(in.Alert.Target) == nil {
		return
	}
	known := slices.ContainsFunc(d.r.Evidence, func(a backout.AlertRef) bool {
		return a.Fingerprint == in.Alert.Fingerprint && a.Target == in.Alert.Target
	})
	if !known {
		d.emit(backout.EvidenceAdded{Alert: in.Alert})
	}
}

func (d *decider) claim(in Claim) error {
	t, err := d.attempt(in.AttemptID)
	if err != nil {
		return err
	}
	switch {
	case !d.r.PausedAt.IsZero():
		return fmt.Errorf("attempt %s: %w", in.AttemptID, backout.ErrPaused)
	case d.r.Status != backout.RollbackRunning:
		return fmt.Errorf("attempt %s: rollback is %s: %w", in.AttemptID, d.r.Status, backout.ErrRefused)
	case t.Attempt.Runner != "":
		return fmt.Errorf("attempt %s is claimed by %s: %w", in.AttemptID, t.Attempt.Runner, backout.ErrConflict)
	case d.lapsed():
		return fmt.Errorf("attempt %s: what let %s begin counts no more since %s: %w", in.AttemptID, d.levelName(d.r.Level), d.r.Given.Until.Format(time.RFC3339), backout.ErrRefused)
	case t.Attempt.Stopping || d.r.Overdue:
		return fmt.Errorf("attempt %s: its level's time is up: %w", in.AttemptID, backout.ErrRefused)
	}
	level := d.r.CurrentLevel()
	first := d.r.LevelStartedAt.IsZero()
	var deadline time.Time
	if timeout := level.Steps[t.Step].Timeout; timeout > 0 {
		deadline = d.at.Add(time.Duration(timeout))
	}
	d.emit(backout.StepStarted{
		Target: t.Name, AttemptID: in.AttemptID, Runner: in.Runner, Deadline: deadline, Via: in.Via, Boot: in.Boot,
	})
	if first {
		clock := backout.ClockStarted{Level: d.r.Level, Deadline: d.at.Add(time.Duration(level.EscalateAfter))}
		if d.r.ReopenedAt.IsZero() {
			clock.Reopens = d.r.Patch.CVEs
		}
		d.emit(clock)
	}
	return nil
}

// takeOver gives a claimed attempt another server to look after it. It starts
// nothing, so it is also taken while the rollback is paused, held or overdue.
func (d *decider) takeOver(in TakeOver) error {
	t, err := d.attempt(in.AttemptID)
	switch {
	case err != nil:
		return err
	case in.Runner == "" || in.From == "":
		return fmt.Errorf("attempt %s: a take-over names who has it and who takes it: %w", in.AttemptID, backout.ErrInvalid)
	case t.Attempt.Runner != in.From:
		return fmt.Errorf("attempt %s is looked after by %q, not %q: %w", in.AttemptID, t.Attempt.Runner, in.From, backout.ErrConflict)
	case in.Runner == in.From:
		return nil
	}
	d.emit(backout.StepTakenOver{Target: t.Name, AttemptID: in.AttemptID, Runner: in.Runner, From: in.From})
	return nil
}

func (d *decider) finished(in Finished) error {
	t, err := d.attempt(in.AttemptID)
	if err != nil {
		return err
	}
	if t.Attempt.Runner == "" {
		return fmt.Errorf("attempt %s was never claimed: %w", in.AttemptID, backout.ErrRefused)
	}
	if in.Failure == "" {
		d.emit(backout.StepDone{Target: t.Name, AttemptID: in.AttemptID, Outcome: in.Outcome})
	} else {
		d.emit(backout.StepFailed{Target: t.Name, AttemptID: in.AttemptID, Outcome: in.Outcome, Reason: in.Failure})
	}
	return nil
}

func (d *decider) doubt(in Doubt) error {
	t, err := d.attempt(in.AttemptID)
	if err != nil {
		return err
	}
	d.emit(backout.StepInDoubt{Target: t.Name, AttemptID: in.AttemptID, Reason: in.Reason})
	return nil
}

func (d *decider) resolve(in Resolve) error {
	i := slices.IndexFunc(d.r.Targets, func(t backout.TargetState) bool {
		return t.Phase == backout.TargetInDoubt && t.Attempt != nil && t.Attempt.ID == in.AttemptID
	})
	switch {
	case i < 0:
		return fmt.Errorf("attempt %s is not in doubt: %w", in.AttemptID, backout.ErrStale)
	case !slices.Contains([]string{DoubtHappened, DoubtDidNot, DoubtFailed}, in.Verdict):
		return fmt.Errorf("verdict %q: want happened, did_not or failed: %w", in.Verdict, backout.ErrInvalid)
	case in.By == "":
		return fmt.Errorf("attempt %s: a doubt is resolved by a named person: %w", in.AttemptID, backout.ErrInvalid)
	}
	d.emit(backout.DoubtResolved{Target: d.r.Targets[i].Name, AttemptID: in.AttemptID, Verdict: in.Verdict, By: in.By})
	if d.r.Status == backout.RollbackHeld && d.r.HeldCause == backout.HoldDoubt && !d.anyInDoubt() {
		d.emit(backout.Released{By: in.By, Reason: "no attempt is in doubt any more"})
	}
	return nil
}

func (d *decider) checked(in Checked) {
	t := d.r.Target(in.Target)
	if t == nil || !Judged(d.r, in.Target) {
		return
	}
	if in.Green && t.Baseline != "" {
		in = compared(in, *t)
	}
	if in.Green && t.GreenSince.IsZero() {
		d.emit(backout.TargetGreen{Target: in.Target, Since: d.at})
		t = d.r.Target(in.Target)
	}
	switch {
	case in.Green && !d.at.Before(GreenUntil(d.r, *t)):
		// Only a look can say so, never the clock alone; and of what has a baseline
		// only a comparison with it.
		if t.Baseline == "" || in.Drift != nil {
			d.emit(backout.TargetBack{Target: in.Target, Drift: in.Drift})
		}
	case !in.Green && (!t.GreenSince.IsZero() || RedAnew(t.Red, in.Reason)):
		d.emit(backout.TargetRed{Target: in.Target, Reason: in.Reason, Drift: in.Drift})
	}
}

// RedAnew tells whether a target that is red is so for another cause than before: an
// alert, a check of that name, or what differs from the baseline. What a check says
// may differ at each look, and is told once.
func RedAnew(before, now string) bool { return before == "" || redCause(before) != redCause(now) }

func redCause(reason string) string {
	if strings.HasPrefix(reason, "alert ") {
		return "alert"
	}
	cause, _, _ := strings.Cut(reason, ":")
	return cause
}

// compared makes a green look red where the target is not back to its baseline: by
// the comparison that comes with it, or by the last one.
func compared(in Checked, t backout.TargetState) Checked {
	drift := in.Drift
	if drift == nil {
		drift = t.Drift
	}
	if notBack(drift) {
		in.Green, in.Drift = false, drift
		in.Reason = notBackReason(*drift)
	}
	return in
}

func notBackReason(d backout.DriftFound) string {
	if d.Summary == "" {
		return "not back to its baseline"
	}
	return "not back to its baseline: " + d.Summary
}

// attempt finds the running attempt of this id. An older one is stale: its
// outcome never moves the state.
func (d *decider) attempt(id string) (*backout.TargetState, error) {
	for i := range d.r.Targets {
		t := &d.r.Targets[i]
		if t.Attempt != nil && t.Attempt.ID == id && t.Phase == backout.TargetRunning {
			return t, nil
		}
	}
	return nil, fmt.Errorf("attempt %s: %w", id, backout.ErrStale)
}

// Started tells whether any effect may have happened: a level that was entered has none
// before a runner has claimed a step of it.
func Started(r backout.Rollback) bool { return !r.BegunAt.IsZero() }

func (d *decider) anyInDoubt() bool {
	return slices.ContainsFunc(d.r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetInDoubt })
}

func (d *decider) end(status backout.RollbackStatus, reason string) {
	d.emit(backout.Ended{Status: status, Reason: reason})
}

// close ends the open question, if there is one.
func (d *decider) close(outcome, by string) {
	if d.r.Ask != nil {
		d.emit(backout.Answered{AskID: d.r.Ask.ID, Outcome: outcome, By: by})
	}
}
