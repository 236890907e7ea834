package change

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// TestLaws drives a change with whatever may come, in any order and at any time,
// and checks the promises of the package after every step.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c backout.Change
		var log []Entry
		now := start
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			in := Input{At: now, By: rapid.SampledFrom([]string{"", "alice"}).Draw(t, "by"), Do: anyRequest(t, c, now)}
			before := snapshot(t, c)
			events, err := Decide(c, in)
			if diff := cmp.Diff(before, snapshot(t, c)); diff != "" {
				t.Fatalf("%T: Decide wrote to the change:\n%s", in.Do, diff)
			}
			if err != nil && len(events) > 0 {
				t.Fatalf("%T: events beside the error %v", in.Do, err)
			}
			if _, judges := in.Do.(JudgeRule); c.State.Final() && len(events) > 0 && !judges {
				t.Fatalf("%T: %s is final, yet %v happened", in.Do, c.State, events)
			}
			if len(events) == 0 {
				continue
			}
			log = append(log, Entry{Seq: uint64(len(log) + 1), Record: backout.Record{At: now, Events: events}})
			next := Fold(c, log[len(log)-1])
			if diff := cmp.Diff(before, snapshot(t, c)); diff != "" {
				t.Fatalf("%T: Apply wrote to the change it was given:\n%s", in.Do, diff)
			}
			checkStep(t, c, next, now)
			checkRules(t, c, next, in, events)
			checkCaptures(t, c, next, in, events)
			c = next
		}
		if diff := cmp.Diff(c, Fold(backout.Change{}, stored(t, log)...)); diff != "" {
			t.Fatalf("replaying gives another state:\n%s", diff)
		}
	})
}

// stored is the log as it comes back from disk.
func stored(t *rapid.T, log []Entry) []Entry {
	out := make([]Entry, len(log))
	for i, entry := range log {
		data, err := json.Marshal(entry.Record)
		if err == nil {
			err = json.Unmarshal(data, &out[i].Record)
		}
		if err != nil {
			t.Fatal(err)
		}
		out[i].Seq = entry.Seq
	}
	return out
}

func checkStep(t *rapid.T, before, after backout.Change, now time.Time) {
	if !arrows[before.State][after.State] {
		t.Fatalf("there is no arrow from %q to %q", before.State, after.State)
	}
	held := map[string]string{}
	active := false
	for _, r := range after.Rollbacks {
		if r.Status.Final() {
			continue
		}
		active = true
		for _, target := range r.Targets {
			if other, ok := held[target]; ok {
				t.Fatalf("target %s is in the active rollbacks %s and %s", target, other, r.ID)
			}
			held[target] = r.ID
		}
	}
	if active != (after.State == backout.ChangeBackingOut) {
		t.Fatalf("state %s with an active rollback: %v", after.State, active)
	}
	if after.State.Live() && after.Frozen == nil {
		t.Fatalf("%s without a frozen plan", after.State)
	}
	// Nothing waits silently: an open or watched change has a deadline.
	if due, ok := NextDeadline(after); after.State == backout.ChangeOpen || after.State == backout.ChangeWatching {
		if !ok || due.IsZero() {
			t.Fatalf("%s has no deadline", after.State)
		}
	} else if after.State.Final() && ok {
		t.Fatalf("%s is final and has a deadline", after.State)
	}
	// A tick leaves nothing due behind, so a timer cannot spin.
	if after.State.Live() {
		events, err := Decide(after, Input{At: now, Do: Tick{}})
		if err != nil {
			t.Fatal(err)
		}
		ticked := Fold(after, Entry{Seq: 99, Record: backout.Record{At: now, Events: events}})
		if due, ok := NextDeadline(ticked); ok && !due.After(now) {
			t.Fatalf("%s is due at %s even after a tick at %s", ticked.State, due, now)
		}
	}
}

// arrows are all moves one record may make, those of several events included.
var arrows = func() map[backout.ChangeState]map[backout.ChangeState]bool {
	const (
		planned, ready, open, watching, backing = backout.ChangePlanned, backout.ChangeReady, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut
		closed, backed, failed, cancelled       = backout.ChangeClosed, backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeCancelled
	)
	all := map[backout.ChangeState][]backout.ChangeState{
		"":       {planned},
		planned:  {planned, ready, open, cancelled},
		ready:    {ready, planned, open, cancelled},
		open:     {open, watching, backing, closed, backed, failed},
		watching: {watching, backing, closed, backed, failed},
		backing:  {backing, open, watching, closed, backed, failed},
	}
	out := map[backout.ChangeState]map[backout.ChangeState]bool{}
	for from, tos := range all {
		out[from] = map[backout.ChangeState]bool{}
		for _, to := range tos {
			out[from][to] = true
		}
	}
	// What a rule said is judged when all is over, too: that moves nothing.
	for _, final := range []backout.ChangeState{closed, backed, failed, cancelled} {
		out[final] = map[backout.ChangeState]bool{final: true}
	}
	return out
}()

func anyRequest(t *rapid.T, c backout.Change, now time.Time) Request {
	near := func() time.Time {
		return now.Add(time.Duration(rapid.IntRange(-60, 240).Draw(t, "near")) * time.Minute)
	}
	rollback := func() string { return rapid.SampledFrom([]string{"R1", "R2", "R3", "R4"}).Draw(t, "rollback") }
	verdict := func() *backout.Verdict { v := anyVerdict(t, c); return &v }
	passed := yes(c)
	some := func(of []string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 3, rapid.ID).Draw(t, "some")
	}
	number := func() int { return c.Captures - rapid.IntRange(0, 1).Draw(t, "older") }
	if c.State == "" && rapid.IntRange(0, 9).Draw(t, "first") > 0 {
		return anyPlan(t, now)
	}
	// Opening and rollbacks more often than the rest: most of the promises are there.
	switch rapid.SampledFrom([]int{0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 9, 9, 9, 10, 11, 12, 13, 13, 13, 13, 13, 14, 15, 16, 16, 17, 17, 18, 18}).Draw(t, "request") {
	case 0:
		return Gate{Violations: []backout.Violation{{Check: "plan"}}, Answer: "sha256:no"}
	case 1:
		return passed
	case 2:
		do := opening(c)
		do.Capture = number()
		return do
	case 13:
		server := rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "server")
		return BeginCapture{Server: server, Opening: rapid.IntRange(0, 3).Draw(t, "opening") > 0, Resumed: rapid.Bool().Draw(t, "resumed")}
	case 14:
		return Captured{Number: number(), Baselines: digests("baseline", some([]string{"a", "b", "c", "a", "b", "c"}))}
	case 15:
		return CaptureFailed{Number: number(), Violations: []backout.Violation{{Check: "capture"}}}
	case 16:
		do := RecordDeltas{Deltas: digests(rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "digest"), some([]string{"a", "b", "c"}))}
		if rapid.IntRange(0, 3).Draw(t, "early") > 0 {
			for target := range do.Deltas {
				do.PatchedAt = c.PatchedOn(target)
			}
		}
		return do
	case 17:
		vs := []backout.Violation{}
		for _, check := range some([]string{"space", "reachable"}) {
			vs = append(vs, backout.Violation{Check: check, Reason: rapid.SampledFrom([]string{"81 %", "82 %"}).Draw(t, "reason")})
		}
		return Readiness{Violations: vs, Answer: "sha256:ready"}
	case 3:
		return Extend{Closes: near()}
	case 4:
		return Close{}
	case 5:
		return Cancel{}
	case 6:
		return PatchStarted{}
	case 7:
		return PatchEnded{Targets: some([]string{"a", "b", "c", "a", "b", "c", "x"})}
	case 8:
		trigger := rapid.SampledFrom([]backout.Trigger{{By: "alice"}, {Verdict: verdict()}, {}}).Draw(t, "trigger")
		targets := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "a", "b", "c", "x"}), 0, 3, rapid.ID).Draw(t, "targets")
		return RequestRollback{backout.RollbackRequested{Opened: backout.Opened{
			RollbackID: rollback(), ChangeID: c.ID, Frozen: testFrozen(), Targets: targets, Trigger: trigger, Baselines: BaselinesOf(c, targets),
		}}}
	case 9:
		return RollbackEnded{RollbackID: rollback(), Status: rapid.SampledFrom([]backout.RollbackStatus{
			backout.RollbackRecovered, backout.RollbackRecovered, backout.RollbackExhausted, backout.RollbackAborted,
			backout.RollbackCancelled, backout.RollbackRunning,
		}).Draw(t, "status")}
	case 10:
		return RecordVerdict{anyVerdict(t, c)}
	case 18:
		return JudgeRule{Rule: rapid.SampledFrom([]string{"R", "S"}).Draw(t, "rule"), Agree: rapid.Bool().Draw(t, "agree")}
	case 11:
		return anyPlan(t, now)
	default:
		return Tick{}
	}
}

func anyPlan(t *rapid.T, now time.Time) Plan {
	opens := now.Add(time.Duration(rapid.IntRange(-30, 60).Draw(t, "opens")) * time.Minute)
	return Plan{Spec: backout.ChangeSpec{ID: "CHG1", Plan: "web", Targets: []string{"a", "b", "c"}, Window: backout.Window{
		Opens: opens, Closes: opens.Add(5 * time.Hour), Watch: backout.Duration(3 * time.Hour), Auto: rapid.Bool().Draw(t, "auto"),
	}}}
}

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func snapshot(t *rapid.T, c backout.Change) string {
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
