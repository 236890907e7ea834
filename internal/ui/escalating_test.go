package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// scene is a rollback that the core has brought to where it stands.
type scene struct {
	t   *testing.T
	r   backout.Rollback
	seq uint64
}

func (s *scene) give(ins ...rollback.Input) {
	s.t.Helper()
	for _, in := range ins {
		events, err := rollback.Decide(s.r, now, in)
		if err != nil {
			s.t.Fatalf("%T: %v", in, err)
		}
		if len(events) > 0 {
			s.seq++
			s.r = rollback.Fold(s.r, s.seq, backout.Record{At: now, Events: events})
		}
	}
}

// TestEscalatingSaysWhatTheCoreDoes: the level that the form names is the one that
// follows, also out of a hold, and what it destroys is that level's.
func TestEscalatingSaysWhatTheCoreDoes(t *testing.T) {
	asks := backout.Approval{Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, Expires: backout.Duration(time.Hour)}
	veto := backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(time.Minute)}
	none := backout.Approval{Mode: backout.ApprovalNone}
	deny := func(s *scene) {
		s.give(rollback.Vote{AskID: s.r.Ask.ID, Vote: backout.Vote{User: "eve", Choice: backout.ChoiceDeny}})
	}
	for name, tt := range map[string]struct {
		levels   []backout.Approval
		askFirst string
		reach    func(s *scene)
		label    string
	}{
		"runs":                {[]backout.Approval{none, asks, asks}, "", func(*scene) {}, "Escalate to L2"},
		"was denied at first": {[]backout.Approval{veto, asks, asks}, "", deny, "Escalate to L2"},
		"was denied after it": {[]backout.Approval{veto, asks, asks}, "", func(s *scene) {
			deny(s)
			s.give(rollback.Escalate{By: "ann", Reason: "no"})
			deny(s)
		}, "Escalate to L3"},
		"was denied at last": {[]backout.Approval{veto, asks}, "", func(s *scene) {
			deny(s)
			s.give(rollback.Escalate{By: "ann", Reason: "no"})
			deny(s)
		}, "Give up this level"},
		"nobody may approve": {[]backout.Approval{none, none}, "a limit", func(*scene) {}, "Escalate to L2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{t: t}
			o := backout.Opened{RollbackID: "r", ChangeID: "c", Targets: []string{"web-1"}, AskFirst: tt.askFirst}
			for i, a := range tt.levels {
				o.Frozen.Plan.Levels = append(o.Frozen.Plan.Levels, backout.Level{
					Name: []string{"L1", "L2", "L3"}[i], EscalateAfter: backout.Duration(time.Hour), Approval: a,
					Destructive: true, Loses: []string{"one", "two", "three"}[i], Steps: []backout.Step{{Uses: "command"}},
				})
			}
			s.give(rollback.Open{Opened: o}, rollback.Tick{})
			tt.reach(s)
			card := Card{Rollback: s.r}
			card.Offer([]Offer{{Answer: "escalate"}})
			a := card.Actions[0]
			if a.Label != tt.label {
				t.Errorf("it says %q, want %q", a.Label, tt.label)
			}
			s.give(rollback.Escalate{By: "bob", Reason: "no", From: a.Level, Approver: true})
			next := "Give up this level"
			switch {
			case s.r.Ask != nil:
				next = "Escalate to " + s.r.Frozen.Plan.Levels[s.r.Ask.Level].Name
			case s.r.EscalateBy != "" || s.r.Level >= 0:
				s.give(rollback.Tick{})
				next = "Escalate to " + s.r.Frozen.Plan.Levels[max(s.r.Level, 1)].Name
			}
			if next != a.Label && !s.r.Status.Final() {
				t.Errorf("the form said %q, and the core did %q", a.Label, next)
			}
			if s.r.Status.Final() != (tt.label == "Give up this level") {
				t.Errorf("it is %s", s.r.Status)
			}
			if lost := map[string]string{"Escalate to L2": "two", "Escalate to L3": "three"}[tt.label]; !strings.Contains(a.Warning, lost) {
				t.Errorf("it warns of %q, want %q", a.Warning, lost)
			}
		})
	}
}

// TestAYesInPlaceOfAGroupIsAFormOfItsOwn: whoever is about to end an ordinary hold must
// not find it under their hands.
func TestAYesInPlaceOfAGroupIsAFormOfItsOwn(t *testing.T) {
	held := Card{Rollback: backout.Rollback{ID: "r", Status: backout.RollbackHeld, HeldStatus: backout.RollbackPending, HeldCause: backout.HoldPerson, Level: -1, Frozen: plan(2)}}
	held.Offer([]Offer{{Answer: "release"}})
	nobody := Card{Rollback: held.Rollback}
	nobody.Rollback.HeldCause = backout.HoldNobody
	nobody.Offer([]Offer{{Answer: "release"}})
	a, b := held.Actions[0], nobody.Actions[0]
	if a.Key == b.Key || a.Level != "" || b.Level != "L1" || b.Label != "Let L1 begin" || !strings.Contains(b.Says, "starts on your word") {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// TestGoingOnNamesTheStopThatItEnds: another hold, or pause, is another form, and names its
// own beginning.
func TestGoingOnNamesTheStopThatItEnds(t *testing.T) {
	at := time.Date(2026, 1, 2, 2, 3, 4, 5, time.UTC)
	action := func(answer string, r backout.Rollback) Action {
		c := Card{Rollback: r}
		c.Offer([]Offer{{Answer: answer}})
		return c.Actions[0]
	}
	for answer, of := range map[string]func(at time.Time) backout.Rollback{
		"release": func(at time.Time) backout.Rollback { return backout.Rollback{Level: -1, HeldAt: at} },
		"resume":  func(at time.Time) backout.Rollback { return backout.Rollback{Level: -1, PausedAt: at} },
	} {
		first, second := action(answer, of(at)), action(answer, of(at.Add(time.Nanosecond)))
		if first.Key == second.Key || first.Since != "2026-01-02T02:03:04.000000005Z" || second.Since == first.Since {
			t.Errorf("%s: %+v and then %+v", answer, first, second)
		}
	}
	unheld, held := action("escalate", backout.Rollback{Level: -1}), action("escalate", backout.Rollback{Level: -1, HeldAt: at})
	if unheld.Since != "none" || held.Since != "2026-01-02T02:03:04.000000005Z" || unheld.Key == held.Key {
		t.Errorf("escalate: %+v and then %+v", unheld, held)
	}
	if a := action("hold", backout.Rollback{Level: -1, HeldAt: at}); a.Since != "" || a.Key != "hold" {
		t.Errorf("%+v", a)
	}
}
