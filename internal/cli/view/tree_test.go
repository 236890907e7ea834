package view

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

var update = flag.Bool("update", false, "write the golden files")

func after(d time.Duration) time.Time { return t0.Add(d) }

func samplePlan() backout.Plan {
	return backout.Plan{
		Name: "web", Verify: backout.Verify{HoldFor: backout.Duration(2 * time.Minute)},
		Levels: []backout.Level{
			{
				Name: "L1", Summary: "uninstall the patch", EscalateAfter: backout.Duration(30 * time.Minute), Approval: backout.Approval{Mode: backout.ApprovalNone},
				Steps: []backout.Step{{Name: "undo the transaction", Uses: "command"}, {Name: "restart nginx", Uses: "systemd.restart"}},
			},
			{
				Name: "L2", Summary: "restore the snapshot", EscalateAfter: backout.Duration(30 * time.Minute), Destructive: true, Loses: "writes since 01:55",
				Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre"}, OnExpiry: backout.ExpiryDeny},
				Steps:    []backout.Step{{Uses: "command"}},
			},
		},
	}
}

// recorded are rollbacks as they stood at one moment, all seen at 02:10.
func recorded() map[string]Picture {
	base := backout.Rollback{
		ID: "CHG0030001-r1", ChangeID: "CHG0030001", ChangeTitle: "openssl on web", Patch: backout.Patch{IDs: []string{"RHSA-2026:1"}},
		Frozen: backout.FrozenPlan{Plan: samplePlan(), Hash: "sha256:7f3a9c0011223344"}, Status: backout.RollbackRunning, OpenedAt: t0,
		Trigger:       backout.Trigger{Verdict: &backout.Verdict{Rule: "WebErrors", AlertName: "HTTP5xx"}},
		LevelDeadline: after(31 * time.Minute), LevelEnteredAt: after(time.Minute),
	}
	id := func(target, step int) string { return backout.AttemptID(base.ID, 0, step, target, 1) }
	var past History
	add := func(d time.Duration, events ...backout.Event) { past.Add(backout.Record{At: after(d), Events: events}) }
	add(time.Minute, backout.LevelEntered{Level: 0}, backout.StepRequested{Target: "web-01", AttemptID: id(0, 0)}, backout.StepRequested{Target: "web-02", AttemptID: id(1, 0)})
	add(61*time.Second, backout.StepStarted{Target: "web-01", AttemptID: id(0, 0)}, backout.StepStarted{Target: "web-02", AttemptID: id(1, 0)})
	add(102*time.Second, backout.StepDone{Target: "web-02", AttemptID: id(1, 0)}, backout.StepRequested{Step: 1, Target: "web-02", AttemptID: id(1, 1)})

	with := func(change func(r *backout.Rollback)) Picture {
		r := base
		r.Targets = []backout.TargetState{
			{Name: "web-01", Phase: backout.TargetRecovered, RecoveredAt: after(5 * time.Minute)},
			{Name: "web-02", Phase: backout.TargetRunning, Step: 1, Attempt: &backout.Attempt{ID: id(1, 1), StartedAt: after(9*time.Minute + 48*time.Second)}},
			{Name: "web-with-a-long-name", Phase: backout.TargetWaiting},
		}
		change(&r)
		return Picture{Rollback: r, History: past, Now: after(10 * time.Minute)}
	}
	out := map[string]Picture{
		"running": with(func(*backout.Rollback) {}),
		"pending": with(func(r *backout.Rollback) {
			r.Status, r.Level, r.LevelDeadline, r.StartAfter = backout.RollbackPending, -1, time.Time{}, after(12*time.Minute)
			r.Targets = r.Targets[2:]
		}),
		"verifying": with(func(r *backout.Rollback) {
			r.Status = backout.RollbackVerifying
			r.Targets[1] = backout.TargetState{Name: "web-02", Phase: backout.TargetDone, Step: 2, GreenSince: after(9*time.Minute + 20*time.Second)}
			r.Targets[2] = backout.TargetState{Name: "web-03", Phase: backout.TargetDone, Step: 2, Red: "GET /health: 500"}
		}),
		"awaiting": with(func(r *backout.Rollback) {
			r.Status = backout.RollbackAwaiting
			r.Targets[1] = backout.TargetState{Name: "web-02", Phase: backout.TargetFailed, Step: 1, Failure: "exit code 1: unit nginx not found"}
			r.Ask = &backout.Ask{ID: "ask-1", Level: 1, Policy: r.Frozen.Plan.Levels[1].Approval, Deadline: after(40 * time.Minute), Votes: []backout.Vote{{User: "bob", Choice: backout.ChoiceApprove}}}
		}),
		"unheard": with(func(r *backout.Rollback) {
			r.Status, r.Targets = backout.RollbackAwaiting, r.Targets[:1]
			r.Ask = &backout.Ask{
				ID: "ask-1", Level: 1, Policy: backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(5 * time.Minute)},
				Deadline: after(12 * time.Minute), DownAt: after(9 * time.Minute), DownReason: "chat: 500",
			}
			r.Reviews = []backout.Review{{By: "ana", Reason: "alone on call"}, {By: "bob", Reason: "seen", ReviewedBy: "ana"}}
		}),
		"held": with(func(r *backout.Rollback) {
			r.Status, r.HeldAt, r.StillSince, r.HeldReason = backout.RollbackHeld, after(8*time.Minute), after(8*time.Minute), "an attempt is in doubt"
			r.Targets[1].Phase = backout.TargetInDoubt
		}),
		"paused": with(func(r *backout.Rollback) {
			r.PausedAt, r.PausedBy, r.PausedReason = after(7*time.Minute), "ana", "storage"
		}),
		"overdue": with(func(r *backout.Rollback) { r.Overdue, r.LevelDeadline = true, after(9*time.Minute) }),
		"aborting": with(func(r *backout.Rollback) {
			r.Status, r.LevelDeadline, r.Reason = backout.RollbackAborting, after(20*time.Minute), "aborted by ana: wrong change"
		}),
		"recovered": with(func(r *backout.Rollback) {
			r.Status, r.EndedAt, r.Reason = backout.RollbackRecovered, after(9*time.Minute), "every target is back"
			r.Targets = r.Targets[:1]
		}),
	}
	exhausted := with(func(r *backout.Rollback) {
		r.Status, r.Level, r.EndedAt, r.Reason = backout.RollbackExhausted, 1, after(9*time.Minute), "the last level did not help"
		r.Targets[1] = backout.TargetState{Name: "web-02", Phase: backout.TargetFailed, Failure: "exit code 1"}
		r.Targets = r.Targets[:2]
	})
	exhausted.History.Add(backout.Record{At: after(6 * time.Minute), Events: []backout.Event{backout.LevelFailed{Level: 0, Cause: "time"}}})
	out["exhausted"] = exhausted
	stale := with(func(*backout.Rollback) {})
	stale.Broken, stale.Since = "cannot reach 127.0.0.1:8420: connection refused", after(9*time.Minute+40*time.Second)
	out["stale"] = stale
	return out
}

func TestTreeOfRecordedStates(t *testing.T) {
	pictures := recorded()
	for name, style := range map[string]Style{
		"ascii": {}, "unicode": {Width: 78, Unicode: true}, "colour": {Width: 78, Unicode: true, Colour: true},
	} {
		var b strings.Builder
		for _, state := range slices.Sorted(maps.Keys(pictures)) {
			fmt.Fprintf(&b, "-- %s --\n%s", state, Tree(pictures[state], style))
		}
		golden(t, "tree_"+name+".txt", b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it): %s", name, diff)
	}
}

func TestTreeNeverScrolls(t *testing.T) {
	p := recorded()["running"]
	p.Rollback.Targets = nil
	phases := []backout.TargetPhase{backout.TargetRecovered, backout.TargetWaiting, backout.TargetRunning, backout.TargetFailed, backout.TargetInDoubt}
	for i := range 300 {
		p.Rollback.Targets = append(p.Rollback.Targets, backout.TargetState{Name: fmt.Sprintf("web-%03d", i), Phase: phases[i%len(phases)]})
	}
	for _, height := range []int{2, 5, 10, 24, 50} {
		out := Tree(p, Style{Width: 60, Height: height})
		if n := strings.Count(out, "\n"); n >= height {
			t.Errorf("height %d: %d lines", height, n)
		}
		for line := range strings.Lines(out) {
			if n := Columns(strings.TrimSuffix(line, "\n")); n > 60 {
				t.Errorf("height %d: %d columns: %q", height, n, line)
			}
		}
		if height >= 10 && !strings.Contains(out, "in doubt") {
			t.Errorf("height %d hides what needs a look:\n%s", height, out)
		}
	}
	if full := Tree(p, Style{}); strings.Count(full, "web-") < 300 {
		t.Error("without a height every target must be shown")
	}
}

func TestClocksStandStillWhileHeld(t *testing.T) {
	p := recorded()["held"]
	early := Tree(p, Style{})
	p.Now = p.Now.Add(time.Hour)
	late := Tree(p, Style{})
	if !strings.Contains(early, "L2 in 23:00 (standing still)") || !strings.Contains(late, "L2 in 23:00 (standing still)") {
		t.Errorf("the level's clock moved:\n%s\n%s", early, late)
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "00:00", 0: "00:00", 59 * time.Second: "00:59", 61 * time.Second: "01:01", time.Hour: "1:00:00",
		49*time.Hour + 5*time.Second: "2d 01:00:05", 1499 * time.Millisecond: "00:01",
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%s) = %s, want %s", d, got, want)
		}
	}
}
