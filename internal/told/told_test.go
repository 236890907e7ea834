package told

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/hostile"
)

var t0 = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func inFull(s Sentence) string {
	return s.String(func(t time.Time) string { return t.UTC().Format(time.RFC3339) })
}

// TestEveryEventHasWords: an event that comes later is told too.
func TestEveryEventHasWords(t *testing.T) {
	for _, e := range backout.Events() {
		if got := inFull(Event(e, nil)); got == e.Kind() || got == "" || strings.Contains(got, "%!") {
			t.Errorf("%T is told as %q", e, got)
		}
	}
}

func TestWhatIsTold(t *testing.T) {
	plan := &backout.Plan{Levels: []backout.Level{{Steps: []backout.Step{{Uses: "dnf.undo"}, {Name: "restart the shop", Uses: "systemd.restart"}}}}}
	const attempt = "CHG1-r1.L1.s2.t1.a1"
	for want, e := range map[string]backout.Event{
		"L2 entered on web-1, web-2: L1's time was up":                                         backout.LevelEntered{Level: 1, Targets: []string{"web-1", "web-2"}, Reason: "L1's time was up"},
		"L1 has until 2026-11-23T02:30:00Z":                                                    backout.ClockStarted{Deadline: t0.Add(30 * time.Minute)},
		"L1 has run, checks decide":                                                            backout.VerifyStarted{},
		"held by ann: I look: needs a human":                                                   backout.HeldBack{By: "ann", Reason: "I look"},
		"web-1, L1 step 2 (restart the shop) started by srv-1, until 2026-11-23T02:00:00Z":     backout.StepStarted{Target: "web-1", AttemptID: attempt, Runner: "srv-1", Deadline: t0},
		"web-1, L1 step 2 (restart the shop) failed with exit code 7: no space":                backout.StepFailed{Target: "web-1", AttemptID: attempt, Reason: "no space", Outcome: backout.Outcome{ExitCode: 7}},
		"web-1, L1 step 1 (dnf.undo), try 3, asked for":                                        backout.StepRequested{Target: "web-1", AttemptID: "CHG1-r1.L1.s1.t1.a3"},
		"L1 did not bring back web-1: its time was up":                                         backout.LevelFailed{Cause: "time", Targets: []string{"web-1"}},
		"web-1 done (attempt x): removed, holds openssl":                                       backout.StepDone{Target: "web-1", AttemptID: "x", Outcome: backout.Outcome{Summary: "removed", Held: []string{"openssl"}}},
		"may L2 start? 2 approvals of sre, dba, until 2026-11-23T02:00:00Z: L1 failed":         backout.Asked{Ask: backout.Ask{Level: 1, Deadline: t0, Why: "L1 failed", Policy: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre", "dba"}}}},
		"may L1 start? 1 approval of nobody":                                                   backout.Asked{Ask: backout.Ask{Policy: backout.Approval{Mode: backout.ApprovalRequired, Votes: 1}}},
		"ann voted approve via slack: go":                                                      backout.Voted{Vote: backout.Vote{User: "ann", Choice: "approve", Via: "slack", Reason: "go"}},
		"web-1 recovered, healthy but drifted: 2 packages differ":                              backout.TargetBack{Target: "web-1", Drift: &backout.DriftFound{Verdict: backout.DriftSome, Summary: "2 packages differ"}},
		"web-1 green since 2026-11-23T02:00:00Z":                                               backout.TargetGreen{Target: "web-1", Since: t0},
		"BREAK-GLASS: L2 starts with 1 of 2 votes by ann: alone: somebody else must review it": backout.GlassBroken{Level: 1, By: "ann", Reason: "alone", Votes: 1, Needed: 2},
		"ended backout failed":                                                                 backout.ChangeEnded{State: backout.ChangeBackoutFailed},
		"window extended to 2026-11-23T02:00:00Z by ann":                                       backout.WindowExtended{Closes: t0, By: "ann"},
	} {
		if diff := cmp.Diff(want, inFull(Event(e, plan))); diff != "" {
			t.Errorf("%T (-want +got):\n%s", e, diff)
		}
	}
}

// TestWhatIsAskedOfManyIsOneLine, and what differs is another.
func TestWhatIsAskedOfManyIsOneLine(t *testing.T) {
	rec := backout.Record{Events: []backout.Event{backout.LevelEntered{Targets: []string{"t0"}}}}
	for i := range 1000 {
		rec.Events = append(rec.Events, backout.StepRequested{Target: fmt.Sprint("t", i), AttemptID: fmt.Sprint("a", i)})
	}
	rec.Events = append(rec.Events,
		backout.StepRequested{Step: 1, Target: "late", AttemptID: "x"},
		backout.StopRequested{Target: "a", Reason: "aborted"}, backout.StopRequested{Target: "b", Reason: "aborted"}, backout.StopRequested{Target: "c", Reason: "overdue"},
	)
	var got []string
	for _, line := range Record(rec, nil) {
		got = append(got, line.Kind+" "+inFull(line.Said))
	}
	want := []string{
		"level_entered L1 entered on t0",
		"step_requested L1 step 1 asked for on t0, t1, t2, t3, t4, t5, t6, t7 and 992 more",
		"step_requested L1 step 2 on late asked for (attempt x)",
		"stop_requested a, b asked to stop: aborted",
		"stop_requested c asked to stop (attempt ): overdue",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := Lines(rec); n != len(want) {
		t.Errorf("%d lines are counted, want %d", n, len(want))
	}
}

// TestNoValueHidesTheRest: however long it is.
func TestNoValueHidesTheRest(t *testing.T) {
	for _, text := range append(hostile.Strings(), strings.Repeat("語", 5000)) {
		said := inFull(Event(backout.HeldBack{By: text, Reason: text}, nil))
		if utf8.RuneCountInString(said) > 600 || !strings.HasSuffix(said, ": needs a human") {
			t.Errorf("%.40q: %d characters", text, utf8.RuneCountInString(said))
		}
	}
	plan := &backout.Plan{}
	for _, id := range append(hostile.Strings(), "x.L1.s1.t1.a1", "x.L-1.s-1.t1.a1", "x.L99999999999999999999.s1.t1.a1", "....") {
		Event(backout.StepStarted{AttemptID: id}, plan) // and it does not panic
	}
}
