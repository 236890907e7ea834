package change

import (
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

func shut(s backout.ChangeState) bool { return s == backout.ChangePlanned || s == backout.ChangeReady }

func gate(c backout.Change, in Input, do Gate) ([]backout.Event, error) {
	if !shut(c.State) {
		return nil, refused("the gate is asked before the window opens; it is %s", c.State)
	}
	if len(do.Violations) > 0 && slices.Equal(c.Violations, do.Violations) {
		if in.By == "" && (c.Answer != "" || do.Answer == "") {
			return nil, nil // the log has this no; asked every minute, it need not have it again
		}
		return []backout.Event{backout.GateRepeated{Answer: do.Answer, By: in.By}}, nil
	}
	if len(do.Violations) > 0 {
		return []backout.Event{backout.GateRefused{Violations: slices.Clone(do.Violations), Answer: do.Answer, By: in.By}}, nil
	}
	if err := certified(c, in.At, do); err != nil {
		return nil, err
	}
	return []backout.Event{passed(do)}, nil
}

func passed(g Gate) backout.GatePassed {
	return backout.GatePassed{
		PlanHash: g.PlanHash, Targets: slices.Clone(g.Targets), Baselines: maps.Clone(g.Baselines), ValidUntil: g.ValidUntil,
		Answer: g.Answer,
	}
}

// certified tells whether the gate's yes is about this change as it is planned.
// A yes that names nothing is a no.
func certified(c backout.Change, at time.Time, g Gate) error {
	if g.PlanHash == "" {
		return refused("there is no gate result: the gate is asked at the moment of opening")
	}
	if !sameSet(g.Targets, c.Targets) {
		return refused("the gate's yes is for other targets: ask the gate again")
	}
	if !at.Before(g.ValidUntil) {
		return refused("the gate's yes was valid until %s: ask the gate again", clock(g.ValidUntil))
	}
	return whole(c, g.Baselines)
}

func open(c backout.Change, in Input, do Open) ([]backout.Event, error) {
	if !shut(c.State) {
		return nil, refused("it is %s already", c.State)
	}
	if len(do.Gate.Violations) > 0 {
		return nil, &backout.RefusedError{Violations: slices.Clone(do.Gate.Violations)}
	}
	if err := certified(c, in.At, do.Gate); err != nil {
		return nil, err
	}
	if do.Gate.PlanHash != do.Frozen.Hash {
		return nil, refused("the gate's yes is for another version of the plan: ask the gate again")
	}
	if err := withinWindow(c.Window, in.At); err != nil {
		return nil, err
	}
	if err := underWay(c, do.Capture); err != nil {
		return nil, err
	}
	if err := whole(c, do.Baselines); err != nil {
		return nil, err
	}
	yes := passed(do.Gate)
	yes.Baselines = nil // those of this record: three lists of digests would not fit for 2,000 targets
	events := []backout.Event{
		backout.BaselineCaptured{Number: do.Capture, Baselines: maps.Clone(do.Baselines)},
		yes,
		backout.WindowOpened{Frozen: cloneFrozen(do.Frozen), Baselines: maps.Clone(do.Baselines), By: in.By},
	}
	if c.Window.Closes.IsZero() {
		events = append(events, backout.WindowExtended{Closes: in.At.Add(DefaultWindow), Reason: "no closing time was planned"})
	}
	return events, nil
}

// withinWindow tells whether the window may open by the time alone.
func withinWindow(w backout.Window, at time.Time) error {
	switch {
	case at.Before(w.Opens):
		return refused("its window opens at %s, it is %s", clock(w.Opens), clock(at))
	case over(w, at):
		return refused("its window was over at %s: extend it, or plan a new change", clock(w.Closes))
	}
	return nil
}

func over(w backout.Window, at time.Time) bool { return !w.Closes.IsZero() && !at.Before(w.Closes) }

func extend(c backout.Change, in Input, do Extend) ([]backout.Event, error) {
	if !shut(c.State) && c.State != backout.ChangeOpen {
		return nil, refused("its window is over; it is %s", c.State)
	}
	if c.State == backout.ChangeOpen && over(c.Window, in.At) {
		return nil, refused("its window was over at %s", clock(c.Window.Closes))
	}
	if do.Closes.IsZero() {
		return nil, invalid("the new end of the window is missing")
	}
	if !do.Closes.After(c.Window.Closes) {
		return nil, refused("its window closes at %s and can only be made longer; to end it, close it", clock(c.Window.Closes))
	}
	if !do.Closes.After(in.At) || !do.Closes.After(c.Window.Opens) {
		return nil, invalid("the new end of the window, %s, must be in the future and after its opening", clock(do.Closes))
	}
	return []backout.Event{backout.WindowExtended{Closes: do.Closes, By: in.By, Reason: do.Reason}}, nil
}

func closeChange(c backout.Change, in Input, do Close) ([]backout.Event, error) {
	switch c.State {
	case backout.ChangeOpen:
		return []backout.Event{
			backout.WindowExtended{Closes: in.At, By: in.By, Reason: do.Reason},
			backout.WatchStarted{Until: in.At.Add(time.Duration(c.Window.Watch))},
		}, nil
	case backout.ChangeWatching:
		return []backout.Event{backout.ChangeEnded{State: endOfWatch(c), By: in.By, Reason: do.Reason, Blind: in.Blind}}, nil
	case backout.ChangeBackingOut:
		return nil, refused("a rollback of it is active: wait for its end, or abort it")
	case backout.ChangePlanned, backout.ChangeReady:
		return nil, refused("its window was never opened; to withdraw it, cancel it")
	case backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled:
	}
	return nil, refused("it is %s", c.State)
}

func cancel(c backout.Change, in Input, do Cancel) ([]backout.Event, error) {
	if !shut(c.State) {
		return nil, refused("only a change that was never opened can be cancelled; it is %s: close it, or roll it back", c.State)
	}
	return []backout.Event{backout.ChangeEnded{State: backout.ChangeCancelled, By: in.By, Reason: do.Reason}}, nil
}

func patchStarted(c backout.Change, in Input) ([]backout.Event, error) {
	if c.State != backout.ChangeOpen || over(c.Window, in.At) {
		return nil, refused("patching may begin only while the window is open; it is %s", c.State)
	}
	if !c.PatchedAt.IsZero() {
		return nil, refused("patching was over at %s", clock(c.PatchedAt))
	}
	if len(takenBack(c)) > 0 {
		return nil, refused("targets of it were rolled back: trying again is a new change with its own gate")
	}
	return []backout.Event{backout.PatchStarted{By: in.By}}, nil
}

// patchEnded takes the fact at any time while the change is live: a patch
// command may outlive its window, or end while a rollback runs. The watch then
// counts from its end, and is never made shorter by it.
func patchEnded(c backout.Change, in Input, do PatchEnded) ([]backout.Event, error) {
	if !c.State.Live() {
		return nil, refused("its window was never opened; it is %s", c.State)
	}
	if !c.PatchedAt.IsZero() {
		return nil, refused("patching was over at %s already", clock(c.PatchedAt))
	}
	if len(do.Targets) == 0 {
		return allPatched(c, in, do), nil
	}
	fresh, err := freshlyPatched(c, do.Targets)
	if err != nil {
		return nil, err
	}
	events := []backout.Event{backout.TargetsPatched{Targets: fresh, ExitCode: do.ExitCode, By: in.By}}
	after := Apply(c, c.Revision, in.At, events[0])
	if slices.ContainsFunc(after.Targets, after.Unpatched) {
		return events, nil
	}
	return append(events, allPatched(c, in, do)...), nil
}

func allPatched(c backout.Change, in Input, do PatchEnded) []backout.Event {
	until := in.At.Add(time.Duration(c.Window.Watch))
	if until.Before(c.WatchUntil) {
		until = c.WatchUntil
	}
	return []backout.Event{
		backout.PatchEnded{ExitCode: do.ExitCode, By: in.By},
		backout.WatchStarted{Until: until},
	}
}

// freshlyPatched are those of the targets that nobody has told of yet. To tell of
// one again is harmless, as long as another is new.
func freshlyPatched(c backout.Change, targets []string) ([]string, error) {
	var fresh []string
	for _, t := range targets {
		switch {
		case !slices.Contains(c.Targets, t):
			return nil, invalid("target %q does not belong to the change", t)
		case c.PatchedOn(t).IsZero() && !slices.Contains(fresh, t):
			fresh = append(fresh, t)
		}
	}
	if fresh == nil {
		return nil, refused("patching of %s was over at %s already", targets[0], clock(c.PatchedOn(targets[0])))
	}
	return fresh, nil
}
