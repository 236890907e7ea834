package change

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// Decide says which events follow from the input, all of them together or none.
// No events and no error mean that there is nothing to do.
func Decide(c backout.Change, in Input) ([]backout.Event, error) {
	if in.Do == nil {
		return nil, fmt.Errorf("decide on change: %w: nothing is asked for", backout.ErrInvalid)
	}
	events, err := decide(c, in)
	if err != nil {
		return nil, fmt.Errorf("%s change %s: %w", in.Do.verb(), name(c, in.Do), err)
	}
	return events, nil
}

func decide(c backout.Change, in Input) ([]backout.Event, error) {
	if in.At.IsZero() {
		return nil, invalid("the time is missing")
	}
	if p, ok := in.Do.(Plan); ok {
		return plan(c, in, p)
	}
	if c.State == "" {
		return nil, backout.ErrNotFound
	}
	if do, ok := in.Do.(JudgeRule); ok {
		return judgeRule(c, in, do) // also of what has ended
	}
	if c.State.Final() {
		return whenFinal(c, in.Do)
	}
	switch do := in.Do.(type) {
	case Plan, JudgeRule: // handled above
	case Gate:
		return gate(c, in, do)
	case BeginCapture:
		return beginCapture(c, in, do)
	case Captured:
		return captured(c, do)
	case CaptureFailed:
		return captureFailed(c, do)
	case Open:
		return open(c, in, do)
	case RecordDeltas:
		return recordDeltas(c, do)
	case Readiness:
		return readiness(c, in, do)
	case Extend:
		return extend(c, in, do)
	case Close:
		return closeChange(c, in, do)
	case Cancel:
		return cancel(c, in, do)
	case PatchStarted:
		return patchStarted(c, in)
	case PatchEnded:
		return patchEnded(c, in, do)
	case Tick:
		return tick(c, in), nil
	case RequestRollback:
		return requestRollback(c, in, do.Request)
	case RollbackEnded:
		return rollbackEnded(c, in, do)
	case RecordVerdict:
		return recordVerdict(c, do.Verdict)
	}
	return nil, invalid("request %T is not known", in.Do)
}

// whenFinal is silent for what the server itself says again, and clear to
// everybody else.
func whenFinal(c backout.Change, do Request) ([]backout.Event, error) {
	switch do := do.(type) {
	case Tick, CaptureFailed, RecordDeltas, Readiness:
		return nil, nil
	case RollbackEnded:
		if known(c, do.RollbackID) {
			return nil, nil
		}
		return nil, backout.ErrNotFound
	case Plan, Gate, BeginCapture, Captured, Open, Extend, Close, Cancel, PatchStarted, PatchEnded, RequestRollback, RecordVerdict, JudgeRule:
	}
	return nil, fmt.Errorf("%w: it is %s", backout.ErrFinal, c.State)
}

func plan(c backout.Change, in Input, do Plan) ([]backout.Event, error) {
	if c.State != "" {
		return nil, fmt.Errorf("%w: it is %s; take another id", backout.ErrExists, c.State)
	}
	if vs := Validate(do.Spec); len(vs) > 0 {
		return nil, invalid("%s", sentence(vs))
	}
	spec := cloneSpec(do.Spec)
	if !spec.Window.Opens.IsZero() && spec.Window.Closes.IsZero() {
		spec.Window.Closes = spec.Window.Opens.Add(DefaultWindow)
	}
	return []backout.Event{backout.Planned{Spec: spec, By: in.By}}, nil
}

// name prefers the change's id; a change that does not exist is called as it was
// asked for.
func name(c backout.Change, do Request) string {
	if p, ok := do.(Plan); ok && c.ID == "" {
		return fmt.Sprintf("%q", p.Spec.ID)
	}
	if c.ID == "" {
		return "(none)"
	}
	return c.ID
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", backout.ErrRefused, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", backout.ErrInvalid, fmt.Sprintf(format, args...))
}

// clock writes a time as people in any zone can read it.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
