package simtest

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
)

// anyServer is a server that people reach, if one is up.
func (d *driver) anyServer() *Server {
	up := d.up()
	if len(up) == 0 {
		return nil
	}
	return up[d.r.IntN(len(up))]
}

// kept tells whether the log has what a server took from somebody.
func (w word) kept(c *lawCheck) bool {
	for _, ev := range c.events[w.rollback] {
		if w.holds(ev) {
			return true
		}
	}
	return false
}

// person lets somebody act on a rollback.
func (d *driver) person(who, id string, a handlers.Action) {
	s := d.anyServer()
	if s == nil {
		return
	}
	a.Reason = fmt.Sprintf("turn %d", d.turn)
	_, err := s.engine.Act(d.t.Context(), as(who), id, a)
	d.do("%s: %s %s %s %s on %s: %v", who, a.Verb, id, a.AttemptID, a.Verdict, s.name, err)
	if err == nil {
		d.said = append(d.said, word{id, fmt.Sprintf("%s %s of %s in turn %d", a.Verb, id, who, d.turn), wordOf(a, who)})
	}
}

// wordOf recognises the event that follows from an action.
func wordOf(a handlers.Action, who string) func(backout.Event) bool {
	return func(ev backout.Event) bool {
		switch ev := ev.(type) {
		case backout.HeldBack:
			return a.Verb == handlers.VerbHold && ev.By == who
		case backout.Released:
			return a.Verb == handlers.VerbRelease && ev.By == who && ev.Reason == a.Reason
		case backout.Paused:
			return a.Verb == handlers.VerbPause && ev.By == who && ev.Reason == a.Reason
		case backout.Resumed:
			return a.Verb == handlers.VerbResume && ev.By == who
		case backout.AbortRequested:
			return a.Verb == handlers.VerbAbort && ev.By == who && ev.Reason == a.Reason
		case backout.GlassBroken:
			return a.Verb == handlers.VerbBreakGlass && ev.By == who && ev.AskID == a.AskID
		case backout.DoubtResolved:
			return a.Verb == handlers.VerbResolve && ev.AttemptID == a.AttemptID && ev.Verdict == a.Verdict
		}
		return a.Verb == handlers.VerbEscalate // it has many outcomes
	}
}

// vote lets somebody answer a rollback's open question.
func (d *driver) vote(who string, r backout.Rollback, choice backout.Choice) {
	s := d.anyServer()
	if s == nil || r.Ask == nil {
		return
	}
	ask := r.Ask.ID
	_, err := s.engine.Vote(d.t.Context(), as(who), r.ID, ask, choice, "")
	d.do("%s: %s %s on %s: %v", who, choice, ask, s.name, err)
	if err == nil {
		d.said = append(d.said, word{r.ID, fmt.Sprintf("%s of %s on %s", choice, who, ask), func(ev backout.Event) bool {
			v, ok := ev.(backout.Voted)
			return ok && v.AskID == ask && v.Vote.User == who && v.Vote.Choice == choice
		}})
	}
}

// truth is what somebody who looks at the target says of an attempt in doubt.
func (d *driver) truth(t backout.TargetState) string {
	h := d.hosts[t.Name]
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.effects {
		if e.Attempt == t.Attempt.ID {
			a := h.attempts[e.Attempt]
			if a == nil || !a.running() && a.exit == 0 {
				return rollback.DoubtHappened
			}
			return rollback.DoubtFailed
		}
	}
	return rollback.DoubtDidNot
}

// pauseAll turns the pause switch on.
func (d *driver) pauseAll() {
	s := d.anyServer()
	if s == nil {
		return
	}
	_, err := s.engine.Pause(d.t.Context(), as("bob"), fmt.Sprintf("turn %d", d.turn))
	d.do("bob: pause everything on %s: %v", s.name, err)
	if n := len(d.watch.pauses); err == nil && (n == 0 || !d.watch.pauses[n-1].open()) {
		d.watch.pauses = append(d.watch.pauses, span{from: time.Now()})
	}
}

// resume turns it off.
func (d *driver) resume(why string) {
	s := d.anyServer()
	if s == nil {
		return
	}
	if n := len(d.watch.pauses); n > 0 && d.watch.pauses[n-1].open() {
		d.watch.pauses[n-1].to = time.Now()
	}
	_, err := s.engine.Resume(d.t.Context(), as("bob"), why)
	d.do("bob: resume everything on %s: %v", s.name, err)
}
