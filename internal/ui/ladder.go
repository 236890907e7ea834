package ui

import (
	"time"

	"github.com/backout-io/backout"
)

// Rung is one level of a rollback as it stands.
type Rung struct {
	Name, Summary string
	// State is a word of the looks.
	State   string
	Current bool
	// Due is when its time is up, or when it begins; DueSays which.
	Due     time.Time
	DueSays string
	// Took says how long it took, Since since when it has been at it. Limit is how long
	// it may take; LimitSays what that is now: "would have" of a level to come, "had" of
	// one that is over, and nothing of one that never will be.
	Took      string
	Since     time.Time
	Limit     backout.Duration
	LimitSays string
}

// Tone is the tone of the rung's state.
func (r Rung) Tone() string { return lookOf(r.State).tone }

// Ladder are the levels of the rollback, the first one first.
func (c Card) Ladder() []Rung {
	r := &c.Rollback
	out := make([]Rung, len(r.Frozen.Plan.Levels))
	for i := range out {
		l := &r.Frozen.Plan.Levels[i]
		out[i] = Rung{Name: l.Name, Summary: l.Summary, State: c.levelState(i), Limit: l.EscalateAfter, LimitSays: c.limitSays(i)}
		out[i].Took, out[i].Since = c.ran(i)
		out[i].Current = !r.Status.Final() && (i == r.Level && r.Ask == nil || r.Ask != nil && i == r.Ask.Level)
		switch {
		case r.Ask != nil && i == r.Ask.Level:
			out[i].Due = c.Due()
			out[i].DueSays = "decided"
		case i == r.Level && !r.LevelDeadline.IsZero() && !r.Status.Final():
			out[i].Due, out[i].DueSays = c.Due(), "time is up"
		case r.Level < 0 && i == r.StartAt && !r.StartAfter.IsZero():
			out[i].Due, out[i].DueSays = c.Due(), "starts"
		}
	}
	return out
}

// ran says how long the level took, or since when it runs.
func (c Card) ran(i int) (span string, since time.Time) {
	r := &c.Rollback
	var s Span
	if i < len(c.Spans) {
		s = c.Spans[i]
	}
	if i == r.Level && s.Started.IsZero() {
		s.Started = r.LevelStartedAt
	}
	if i == r.Level && r.Status.Final() && s.Ended.IsZero() {
		s.Ended = r.EndedAt
	}
	switch {
	case s.Started.IsZero():
		return "", time.Time{}
	case s.Ended.IsZero() && i == r.Level && r.Status != backout.RollbackAwaiting:
		return "", s.Started
	}
	return took(s.Started, s.Ended), time.Time{}
}

// limitSays says whether the level's limit is past, present or to come.
func (c Card) limitSays(i int) string {
	r := &c.Rollback
	switch {
	case i < r.StartAt, i > r.Level && r.Status.Final():
		return ""
	case i > r.Level, r.Ask != nil && i == r.Ask.Level:
		return "would have"
	case i < r.Level, r.Status.Final(), r.Status == backout.RollbackAwaiting:
		return "had"
	}
	return "has"
}

func (c Card) levelState(i int) string {
	r := &c.Rollback
	switch {
	case i < r.StartAt:
		return "level_skipped"
	case r.Ask != nil && i == r.Ask.Level:
		return "level_asked"
	case i > r.Level:
		return "level_next"
	case i < r.Level:
		return "level_failed"
	case r.Status == backout.RollbackRecovered:
		return "level_helped"
	case r.Status == backout.RollbackExhausted, r.Status == backout.RollbackAwaiting:
		return "level_failed"
	}
	return string(r.Status)
}
