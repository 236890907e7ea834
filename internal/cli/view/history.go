package view

import (
	"time"

	"github.com/backout-io/backout"
)

// History is what a rollback's log tells beyond its state: how long each step
// took on each target, and how each level ended. The zero value is an empty log.
type History struct {
	levels   map[int]*levelPast
	attempts map[string]*stepRun
}

type levelPast struct {
	entered, ended time.Time
	cause          string
	// failed are the targets the level did not bring back.
	failed []string
	// steps holds each target's runs in the order they were asked for.
	steps map[string][]*stepRun
}

// stepRun is one attempt of one step.
type stepRun struct {
	step           int
	started, ended time.Time
	// result is empty while it runs.
	result backout.TargetPhase
	detail string
}

// Add folds one record in.
func (h *History) Add(rec backout.Record) {
	for _, e := range rec.Events {
		switch e := e.(type) {
		case backout.LevelEntered:
			h.level(e.Level).entered = rec.At
		case backout.LevelFailed:
			l := h.level(e.Level)
			l.ended, l.cause, l.failed = rec.At, e.Cause, e.Targets
		case backout.StepRequested:
			h.request(e)
		case backout.StepStarted:
			h.run(e.AttemptID).started = rec.At
		case backout.StepDone:
			h.end(e.AttemptID, rec.At, backout.TargetDone, e.Outcome.Summary)
		case backout.StepFailed:
			h.end(e.AttemptID, rec.At, backout.TargetFailed, e.Reason)
		case backout.StepInDoubt:
			h.end(e.AttemptID, rec.At, backout.TargetInDoubt, e.Reason)
		}
	}
}

func (h *History) level(level int) *levelPast {
	if h.levels == nil {
		h.levels = map[int]*levelPast{}
	}
	l := h.levels[level]
	if l == nil {
		l = &levelPast{steps: map[string][]*stepRun{}}
		h.levels[level] = l
	}
	return l
}

func (h *History) request(e backout.StepRequested) {
	if h.attempts == nil {
		h.attempts = map[string]*stepRun{}
	}
	run := &stepRun{step: e.Step}
	h.attempts[e.AttemptID] = run
	l := h.level(e.Level)
	l.steps[e.Target] = append(l.steps[e.Target], run)
}

// run finds an attempt; one whose request is not in the log (it was followed
// from the middle) is kept nowhere.
func (h *History) run(attempt string) *stepRun {
	if run := h.attempts[attempt]; run != nil {
		return run
	}
	return &stepRun{}
}

func (h *History) end(attempt string, at time.Time, result backout.TargetPhase, detail string) {
	run := h.run(attempt)
	run.ended, run.result, run.detail = at, result, detail
}

// last returns the newest run of a step on a target within a level, or nil.
func (h *History) last(level int, target string, step int) *stepRun {
	l := h.levels[level]
	if l == nil {
		return nil
	}
	var found *stepRun
	for _, run := range l.steps[target] {
		if run.step == step {
			found = run
		}
	}
	return found
}
