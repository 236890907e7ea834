package told

import (
	"slices"

	"github.com/backout-io/backout"
)

// Line is what a record says of one kind of thing.
type Line struct {
	// Kind is the event's.
	Kind string
	Said Sentence
}

// Record says what the record tells, in its order. What it asks of many targets at once
// is one line: a step that begins on a thousand is asked for a thousand times.
func Record(rec backout.Record, plan *backout.Plan) []Line {
	out := make([]Line, 0, min(len(rec.Events), 8))
	for i := 0; i < len(rec.Events); {
		same := alike(rec.Events[i:])
		said := Event(rec.Events[i], plan)
		if same > 1 {
			said = together(rec.Events[i:i+same], plan)
		}
		out = append(out, Line{Kind: rec.Events[i].Kind(), Said: said})
		i += same
	}
	return out
}

// Lines is how many lines [Record] makes of the record.
func Lines(rec backout.Record) (n int) {
	for i := 0; i < len(rec.Events); i += alike(rec.Events[i:]) {
		n++
	}
	return n
}

// alike is how many of the events, from the first on, are one thing asked of several
// targets.
func alike(events []backout.Event) int {
	differs := slices.IndexFunc(events, func(e backout.Event) bool {
		switch first := events[0].(type) {
		case backout.StepRequested:
			e, ok := e.(backout.StepRequested)
			return !ok || e.Level != first.Level || e.Step != first.Step
		case backout.StopRequested:
			e, ok := e.(backout.StopRequested)
			return !ok || e.Reason != first.Reason || e.Unstarted != first.Unstarted
		}
		return true
	})
	switch differs {
	case -1:
		return len(events)
	case 0:
		return 1
	}
	return differs
}

func together(events []backout.Event, plan *backout.Plan) Sentence {
	targets := make([]string, len(events))
	for i, e := range events {
		switch e := e.(type) {
		case backout.StepRequested:
			targets[i] = e.Target
		case backout.StopRequested:
			targets[i] = e.Target
		}
	}
	switch e := events[0].(type) {
	case backout.StepRequested:
		return say("%s asked for on %s", stepNamed(plan, e.Level, e.Step), names(targets, named))
	case backout.StopRequested:
		return say("%s asked to stop", names(targets, named)).because(e.Reason)
	}
	return nil
}
