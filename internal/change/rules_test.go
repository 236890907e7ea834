package change

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func anyVerdict(t *rapid.T, c backout.Change) backout.Verdict {
	return backout.Verdict{
		ChangeID: c.ID, Rule: rapid.SampledFrom([]string{"R", "S"}).Draw(t, "rule"), RuleHash: rapid.SampledFrom([]string{"01", "02"}).Draw(t, "hash"),
		Target: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "target"), Mode: backout.ModeShadow, Moot: rapid.Bool().Draw(t, "moot"),
	}
}

// checkRules are the promises about what rules said: each verdict is counted once, in
// the record of its rule and content; a judgement moves nothing but that record.
func checkRules(t *rapid.T, before, after backout.Change, in Input, events []backout.Event) {
	verdicts := 0
	for _, e := range events {
		switch e := e.(type) {
		case backout.VerdictGiven:
			verdicts++
		case backout.RollbackRequested:
			if e.Opened.Trigger.Verdict != nil {
				verdicts++
			}
		case backout.RuleJudged:
			moved := after
			moved.Rules, moved.Revision = before.Rules, before.Revision
			if diff := cmp.Diff(before, moved); diff != "" || len(before.Rules) != len(after.Rules) {
				t.Fatalf("a judgement moved more than its record:\n%s", diff)
			}
		}
	}
	count := func(c backout.Change) (n int) {
		for i, r := range c.Rules {
			n += r.Verdicts
			if recordOf(c.Rules, r.Rule, r.Hash) != i || r.Moot > r.Verdicts || r.Last.Before(r.First) {
				t.Fatalf("records %+v", c.Rules)
			}
			OutcomeOf(&c, &c.Rules[i])
		}
		return n
	}
	if got := count(after) - count(before); got != verdicts {
		t.Fatalf("%T: %d verdicts, counted %d", in.Do, verdicts, got)
	}
}

// TestOutcome is the table of what became of a change, by what the rule was allowed
// to do: its own rollbacks are there only where it was allowed to have some.
func TestOutcome(t *testing.T) {
	const shadow, ask, auto = backout.ModeShadow, backout.ModeAsk, backout.ModeAuto
	own := func(status backout.RollbackStatus, targets ...string) backout.RollbackRef {
		return backout.RollbackRef{ID: "r1", Rule: "R", RuleHash: "01", Status: status, Targets: targets}
	}
	asked := func(status backout.RollbackStatus, targets ...string) backout.RollbackRef {
		r := own(status, targets...)
		r.Asked = true
		return r
	}
	other := func(rule string, status backout.RollbackStatus, targets ...string) backout.RollbackRef {
		return backout.RollbackRef{ID: "r2", Rule: rule, Status: status, Targets: targets}
	}
	const (
		recovered, exhausted, aborted, cancelled, running = backout.RollbackRecovered, backout.RollbackExhausted, backout.RollbackAborted, backout.RollbackCancelled, backout.RollbackRunning
		open, closed, backed                              = backout.ChangeWatching, backout.ChangeClosed, backout.ChangeBackedOut
	)
	all := []backout.Mode{shadow, ask, auto}
	for name, tc := range map[string]struct {
		modes     []backout.Mode
		state     backout.ChangeState
		rollbacks []backout.RollbackRef
		want      Outcome
	}{
		"it goes on":                                         {all, open, nil, Undecided},
		"it was closed and nobody rolled back":               {all, closed, nil, Disagreed},
		"it was backed out elsewhere":                        {all, backed, []backout.RollbackRef{other("", recovered, "z")}, Disagreed},
		"a person rolled back":                               {all, open, []backout.RollbackRef{other("", running, "a")}, Agreed},
		"a person rolled back in vain":                       {all, closed, []backout.RollbackRef{other("", exhausted, "z", "a")}, Agreed},
		"a person thought better of it":                      {all, closed, []backout.RollbackRef{other("", aborted, "a")}, Undecided},
		"a person's never began":                             {all, closed, []backout.RollbackRef{other("", cancelled, "a")}, Disagreed},
		"another rule's recovered":                           {all, open, []backout.RollbackRef{other("S", recovered, "a")}, Agreed},
		"another rule's runs":                                {all, open, []backout.RollbackRef{other("S", running, "a")}, Undecided},
		"another rule's did not help":                        {all, closed, []backout.RollbackRef{other("S", exhausted, "a")}, Undecided},
		"another rule's was aborted":                         {all, closed, []backout.RollbackRef{other("S", aborted, "a")}, Undecided},
		"another rule's elsewhere":                           {all, closed, []backout.RollbackRef{other("S", recovered, "z")}, Disagreed},
		"the same rule's, when it said something else":       {all, closed, []backout.RollbackRef{other("R", recovered, "a")}, Agreed},
		"its own runs":                                       {[]backout.Mode{ask, auto}, open, []backout.RollbackRef{own(running, "a")}, Undecided},
		"its own recovered":                                  {[]backout.Mode{auto}, open, []backout.RollbackRef{own(recovered, "a")}, Agreed},
		"it was approved and recovered":                      {[]backout.Mode{ask}, open, []backout.RollbackRef{asked(recovered, "a")}, Agreed},
		"it was approved and did not help":                   {[]backout.Mode{ask, auto}, closed, []backout.RollbackRef{asked(exhausted, "a")}, Agreed},
		"its own did not help":                               {[]backout.Mode{auto}, closed, []backout.RollbackRef{own(exhausted, "a")}, Undecided},
		"its own was aborted":                                {[]backout.Mode{auto}, closed, []backout.RollbackRef{own(aborted, "a")}, Disagreed},
		"it was denied":                                      {[]backout.Mode{ask}, open, []backout.RollbackRef{asked(aborted, "a")}, Disagreed},
		"its own resolved before it began":                   {[]backout.Mode{ask, auto}, closed, []backout.RollbackRef{own(cancelled, "a")}, Disagreed},
		"one of its own recovered, one was aborted":          {[]backout.Mode{ask, auto}, open, []backout.RollbackRef{own(recovered, "a"), own(aborted, "b")}, Disagreed},
		"one of its own recovered, one runs":                 {[]backout.Mode{ask, auto}, open, []backout.RollbackRef{own(recovered, "a"), own(running, "b")}, Agreed},
		"its own was aborted, and a person rolled back":      {[]backout.Mode{ask, auto}, open, []backout.RollbackRef{own(aborted, "a"), other("", running, "b")}, Disagreed},
		"its own did not help, and a person rolled back too": {[]backout.Mode{auto}, open, []backout.RollbackRef{own(exhausted, "a"), other("", running, "b")}, Agreed},
	} {
		for _, mode := range tc.modes {
			r := backout.RuleRecord{Rule: "R", Hash: "01", Mode: mode, Verdicts: 2, Moot: 1, Targets: []string{"a", "b"}}
			c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: []string{"a", "b", "z"}}, State: tc.state, Rollbacks: tc.rollbacks}
			if got, person := OutcomeOf(&c, &r); got != tc.want || person {
				t.Errorf("%s, mode %s: %s (%v), want %s", name, mode, got, person, tc.want)
			}
			for _, agree := range []bool{true, false} {
				want := map[bool]Outcome{true: Agreed, false: Disagreed}[agree]
				r.Judged = &backout.Judgement{Agree: agree}
				if got, person := OutcomeOf(&c, &r); got != want || !person {
					t.Errorf("%s, mode %s: a person said %v, and it is %s", name, mode, agree, got)
				}
			}
			r.Judged, r.Moot = nil, 2
			if got, _ := OutcomeOf(&c, &r); got != Moot {
				t.Errorf("%s, mode %s: nothing would have followed, and it is %s", name, mode, got)
			}
		}
	}
}

func TestOutcomeOfMoreTargetsThanARecordNames(t *testing.T) {
	var c backout.Change
	for i := range recordTargets + 5 {
		c = Apply(c, 1, start, backout.VerdictGiven{Verdict: backout.Verdict{Rule: "R", Target: fmt.Sprint(i)}})
	}
	c.Rollbacks = []backout.RollbackRef{{Status: backout.RollbackRecovered, Targets: []string{"54"}}}
	if got, _ := OutcomeOf(&c, &c.Rules[0]); len(c.Rules[0].Targets) != recordTargets || got != Agreed {
		t.Errorf("%s, %d targets", got, len(c.Rules[0].Targets))
	}
}

func TestJudgeRule(t *testing.T) {
	c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1"}, State: backout.ChangeOpen}
	for i, hash := range []string{"01", "02"} {
		c = Apply(c, 1, start.Add(time.Duration(i)*time.Minute), backout.VerdictGiven{Verdict: backout.Verdict{Rule: "R", RuleHash: hash}})
	}
	c.State = backout.ChangeClosed
	in := Input{At: start.Add(time.Hour), By: "ann", Do: JudgeRule{Rule: "R", Agree: true, Reason: "it broke"}}
	events, err := Decide(c, in)
	if want := []backout.Event{backout.RuleJudged{Rule: "R", Hash: "02", Agree: true, By: "ann", Reason: "it broke"}}; err != nil || !cmp.Equal(want, events) {
		t.Fatalf("%v, %v", events, err)
	}
	after := Apply(c, 2, in.At, events[0])
	if j := after.Rules[1].Judged; j == nil || !j.Agree || j.By != "ann" || !j.At.Equal(in.At) || after.Rules[0].Judged != nil || c.Rules[1].Judged != nil {
		t.Errorf("judged %+v", after.Rules)
	}
	if events, err := Decide(after, in); err != nil || len(events) > 0 {
		t.Errorf("the same again: %v, %v", events, err)
	}
	in.Do = JudgeRule{Rule: "R", Reason: "it was the network"}
	if events, err := Decide(after, in); err != nil || len(events) != 1 {
		t.Errorf("another word: %v, %v", events, err)
	}
	in.Do = JudgeRule{Rule: "Q", Agree: true}
	if _, err := Decide(after, in); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a rule that said nothing: %v", err)
	}
	if _, err := Decide(after, Input{At: start, Do: JudgeRule{Rule: "R"}}); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("nobody judges: %v", err)
	}
}

// A rollback says which rule opened it, where it begins, and whether people were
// asked; and its verdict counts as one of the rule's.
func TestRollbackOfARule(t *testing.T) {
	v := backout.Verdict{Rule: "R", RuleHash: "01", Target: "a", Mode: backout.ModeAsk}
	c := Apply(backout.Change{State: backout.ChangeOpen}, 1, start, backout.RollbackRequested{Opened: backout.Opened{
		RollbackID: "r1", Targets: []string{"a"}, StartAt: 1, AskFirst: "rule R is in mode ask", Trigger: backout.Trigger{Verdict: &v},
	}})
	want := backout.RollbackRef{ID: "r1", Targets: []string{"a"}, Status: backout.RollbackPending, RequestedAt: start, Rule: "R", RuleHash: "01", StartAt: 1, Asked: true}
	if diff := cmp.Diff([]backout.RollbackRef{want}, c.Rollbacks); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(c.Rules[0].Targets, []string{"a"}) || c.Rules[0].Verdicts != 1 || c.Rules[0].Mode != backout.ModeAsk {
		t.Errorf("%+v", c.Rules)
	}
}
