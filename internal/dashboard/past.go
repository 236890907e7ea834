package dashboard

import (
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// past is what a rollback's log tells beyond how it stands.
type past struct {
	levels map[int]*levelPast
	// tries are the attempts by their ids, latest the newest of each step on each target.
	tries  map[string]*try
	latest map[place]*try
}

type levelPast struct {
	ui.Span
	targets []string
	// failed are those that it did not bring back, for its cause.
	failed map[string]bool
	cause  string
}

// place is one step of one level on one target.
type place struct {
	level, step int
	target      string
}

// try is one attempt.
type try struct {
	place
	id             string
	number         int
	started, ended time.Time
	// state is a word of the looks.
	state string
	exit  int
	says  string
}

func pastOf(log []handlers.LogEntry) *past {
	p := &past{levels: map[int]*levelPast{}, tries: map[string]*try{}, latest: map[place]*try{}}
	current := -1
	for _, entry := range log {
		for _, e := range entry.Record.Events {
			switch e := e.(type) {
			case backout.LevelEntered:
				current = e.Level
				l := p.level(e.Level)
				l.Entered, l.targets = entry.Record.At, e.Targets
			case backout.ClockStarted:
				p.level(e.Level).Started = entry.Record.At
			case backout.LevelFailed:
				l := p.level(e.Level)
				l.Ended, l.cause = entry.Record.At, e.Cause
				for _, t := range e.Targets {
					l.failed[t] = true
				}
			case backout.Ended:
				if l := p.levels[current]; l != nil && l.Ended.IsZero() {
					l.Ended = entry.Record.At
				}
			default:
				p.step(entry.Record.At, e)
			}
		}
	}
	return p
}

func (p *past) level(i int) *levelPast {
	l := p.levels[i]
	if l == nil {
		l = &levelPast{failed: map[string]bool{}}
		p.levels[i] = l
	}
	return l
}

func (p *past) step(at time.Time, e backout.Event) {
	switch e := e.(type) {
	case backout.StepRequested:
		t := &try{place: place{e.Level, e.Step, e.Target}, id: e.AttemptID, number: e.Number, state: "step_asked"}
		p.tries[e.AttemptID], p.latest[t.place] = t, t
	case backout.StepStarted:
		t := p.try(e.AttemptID)
		t.started, t.state = at, "step_running"
	case backout.StopRequested:
		if t := p.try(e.AttemptID); !e.Unstarted {
			t.state = "step_stopping"
		}
	case backout.StepDone:
		p.end(e.AttemptID, at, "step_done", e.Outcome.ExitCode, e.Outcome.Summary)
	case backout.StepFailed:
		p.end(e.AttemptID, at, "step_failed", e.Outcome.ExitCode, e.Reason)
	case backout.StepInDoubt:
		p.end(e.AttemptID, at, "step_in_doubt", 0, e.Reason)
	case backout.DoubtResolved:
		switch t := p.try(e.AttemptID); e.Verdict {
		case "happened":
			t.state, t.says = "step_done", e.By+" says that it happened"
		case "failed":
			t.state, t.says = "step_failed", e.By+" gave it up"
		case "did_not":
			t.state, t.says = "step_none", e.By+" says that it did not happen"
		}
	}
}

// try finds an attempt; one that was never asked for is kept nowhere.
func (p *past) try(id string) *try {
	if t := p.tries[id]; t != nil {
		return t
	}
	return &try{}
}

func (p *past) end(id string, at time.Time, state string, exit int, says string) {
	t := p.try(id)
	t.ended, t.state, t.exit, t.says = at, state, exit, says
}

// spans are when the levels ran.
func (p *past) spans(levels int) []ui.Span {
	out := make([]ui.Span, levels)
	for i := range out {
		if l := p.levels[i]; l != nil {
			out[i] = l.Span
		}
	}
	return out
}
