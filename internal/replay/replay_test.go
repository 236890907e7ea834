package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

var t0 = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return t0.Add(time.Duration(minutes * float64(time.Minute))) }

func load(t testing.TB, texts ...string) *rules.Set {
	t.Helper()
	var b strings.Builder
	b.WriteString("groups:\n  - name: g\n    rules:\n")
	for _, text := range texts {
		b.WriteString("      - " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ") + "\n")
	}
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte(b.String())})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	return set
}

const (
	auto   = "rule: R\nmatch: [alertname=\"Down\"]\nmode: auto"
	ask    = "rule: R\nmatch: [alertname=\"Down\"]\nmode: ask"
	shadow = "rule: R\nmatch: [alertname=\"Down\"]\nmode: shadow"
)

func plan(levels int) *backout.FrozenPlan {
	p := backout.Plan{Name: "web"}
	for i := range levels {
		p.Levels = append(p.Levels, backout.Level{
			Name: fmt.Sprintf("L%d", i+1), Steps: []backout.Step{{Uses: "x"}}, EscalateAfter: backout.Duration(time.Hour),
			Approval: backout.Approval{Groups: []string{"sre"}},
		})
	}
	return &backout.FrozenPlan{Plan: p, Hash: "sha256:1"}
}

// changed is a change open from 0 m to 60 m, patched at 30 m, watched to 240 m.
func changed(id string, targets ...string) backout.Change {
	return backout.Change{
		ChangeSpec: backout.ChangeSpec{
			ID: id, Plan: "web", Targets: targets, Window: backout.Window{Opens: at(0), Closes: at(60), Watch: backout.Duration(3 * time.Hour)},
		},
		State: backout.ChangeClosed, OpenedAt: at(0), PatchedAt: at(30), WatchUntil: at(240), EndedAt: at(240), Frozen: plan(2),
	}
}

func firing(name, target string, starts float64) backout.Alert {
	return backout.Alert{
		Fingerprint: name + "/" + target, Firing: true, Labels: map[string]string{"alertname": name, "instance": target + ":9100"}, StartsAt: at(starts),
	}
}

func resolved(name, target string, starts, ends float64) backout.Alert {
	a := firing(name, target, starts)
	a.Firing, a.EndsAt = false, at(ends)
	return a
}

type delivery struct {
	at    float64
	alert backout.Alert
}

func came(list ...delivery) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		for _, d := range list {
			if !yield(Delivery{At: at(d.at), Alert: d.alert}, nil) {
				return
			}
		}
	}
}

func inventory(names ...string) map[string]backout.Target {
	m := map[string]backout.Target{}
	for _, name := range names {
		m[name] = backout.Target{Name: name}
	}
	return m
}

// line tells an event in a line.
func line(e Event) string {
	what := fmt.Sprintf("%s %s %s %s %s", e.At.Sub(t0), e.Do, e.Verdict.Rule, e.Verdict.ChangeID, e.Verdict.Target)
	switch {
	case e.Error != "":
		what = fmt.Sprintf("%s failed %s %s", e.At.Sub(t0), e.Verdict.Rule, e.Verdict.ChangeID)
	case e.Cancelled:
		what = fmt.Sprintf("%s cancelled %s", e.At.Sub(t0), e.RollbackID)
	case e.Do == trigger.Open:
		what += fmt.Sprintf(" %s %v L%d", e.RollbackID, e.Targets, e.StartAt+1)
		if e.AskFirst != "" {
			what += " ask"
		}
		if !e.StartAfter.IsZero() {
			what += " after " + e.StartAfter.Sub(t0).String()
		}
	case e.Do == trigger.Evidence:
		what += " " + e.RollbackID
	}
	return what
}

func play(t testing.TB, set *rules.Set, h History, o Options) (Summary, []string) {
	t.Helper()
	var lines []string
	sum, err := Run(t.Context(), set, h, o, func(e Event) error {
		lines = append(lines, line(e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum, lines
}

// TestStories tells what follows from alerts, in the words of the events.
func TestStories(t *testing.T) {
	for name, test := range map[string]struct {
		rules   []string
		changes []backout.Change
		alerts  []delivery
		options Options
		want    []string
	}{
		"one opens, others are evidence, repetitions are told once": {
			rules: []string{auto}, changes: []backout.Change{changed("C1", "web-1", "web-2")},
			alerts: []delivery{
				{1, firing("Down", "web-1", 1)}, {2, firing("Down", "web-1", 1)}, {3, firing("Down", "web-2", 3)},
			},
			want: []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1", "3m0s open R C1 web-2 C1-r2 [web-2] L1"},
		},
		"a second alert on a target that is being rolled back is evidence, once": {
			rules: []string{"rule: R\nmode: auto\nmatch: [alertname=~\"Down|Slow\"]"}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{
				{1, firing("Down", "web-1", 1)}, {2, firing("Slow", "web-1", 2)}, {3, firing("Slow", "web-1", 2)},
			},
			want: []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1", "2m0s evidence R C1 web-1 C1-r1"},
		},
		"fired before the window opened": {
			rules: []string{auto}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{{-5, firing("Down", "web-1", -6)}, {1, firing("Down", "web-1", -6)}, {2, firing("Down", "web-1", 2)}},
		},
		"nothing before the window opens, nothing after the watch ends": {
			rules: []string{auto}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{{-1, firing("Down", "web-1", 1)}, {-0.5, resolved("Down", "web-1", 1, 1)}, {240, firing("Down", "web-1", 240)}},
		},
		"a change that was never opened": {
			rules: []string{auto}, changes: []backout.Change{{ChangeSpec: backout.ChangeSpec{ID: "C1", Targets: []string{"web-1"}}, State: backout.ChangeCancelled, EndedAt: at(9)}},
			alerts: []delivery{{1, firing("Down", "web-1", 1)}},
		},
		"shadow is recorded once a firing": {
			rules: []string{shadow}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{
				{1, firing("Down", "web-1", 1)}, {2, firing("Down", "web-1", 1)}, {3, resolved("Down", "web-1", 1, 3)}, {9, firing("Down", "web-1", 9)},
			},
			want: []string{"1m0s record R C1 web-1", "9m0s record R C1 web-1"},
		},
		"as if it were auto": {
			rules: []string{shadow}, changes: []backout.Change{changed("C1", "web-1")},
			alerts:  []delivery{{1, firing("Down", "web-1", 1)}},
			options: Options{Modes: func(rules.Rule) backout.Mode { return backout.ModeAuto }},
			want:    []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1"},
		},
		"one that waits for an approval is cancelled, and opens again": {
			rules: []string{ask}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{
				{1, firing("Down", "web-1", 1)}, {2, resolved("Down", "web-1", 1, 2)}, {3, firing("Down", "web-1", 3)},
			},
			want: []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1 ask", "2m0s cancelled C1-r1", "3m0s open R C1 web-1 C1-r2 [web-1] L1 ask"},
		},
		"one that has begun is not cancelled": {
			rules: []string{auto}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{{1, firing("Down", "web-1", 1)}, {2, resolved("Down", "web-1", 1, 2)}, {3, firing("Down", "web-1", 3)}},
			want:   []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1"},
		},
		"for: cancelled before its time, not after": {
			rules: []string{auto + "\nfor: 5m"}, changes: []backout.Change{changed("C1", "web-1", "web-2")},
			alerts: []delivery{
				{1, firing("Down", "web-1", 1)}, {1, firing("Down", "web-2", 1)}, {5, resolved("Down", "web-1", 1, 5)}, {7, resolved("Down", "web-2", 1, 7)},
			},
			want: []string{
				"1m0s open R C1 web-1 C1-r1 [web-1] L1 after 6m0s", "1m0s open R C1 web-2 C1-r2 [web-2] L1 after 6m0s", "5m0s cancelled C1-r1",
			},
		},
		"a pulse sees what time alone makes true": {
			rules: []string{auto + "\nwhen: alert.age > duration(\"10m\")"}, changes: []backout.Change{changed("C1", "web-1")},
			alerts:  []delivery{{1, firing("Down", "web-1", 1)}},
			options: Options{Until: at(60)},
			want:    []string{"11m5s open R C1 web-1 C1-r1 [web-1] L1"},
		},
		"nothing leaks from the future": {
			rules:   []string{"rule: R\nmode: shadow\nmatch: [alertname=\"Down\"]\nwhen: change.patched and change.state == \"watching\""},
			changes: []backout.Change{changed("C1", "web-1")}, alerts: []delivery{{1, firing("Down", "web-1", 1)}}, options: Options{Until: at(60)},
			want: []string{"30m0s record R C1 web-1"},
		},
		"scope change takes the rest of the targets": {
			rules:   []string{auto, "rule: All\nmode: auto\nscope: change\nstart_at: L2\nmatch: [alertname=\"Dead\"]"},
			changes: []backout.Change{changed("C1", "web-1", "web-2", "web-3")},
			alerts:  []delivery{{1, firing("Down", "web-1", 1)}, {2, firing("Dead", "web-2", 2)}},
			want:    []string{"1m0s open R C1 web-1 C1-r1 [web-1] L1", "2m0s open All C1 web-2 C1-r2 [web-2 web-3] L2"},
		},
		"the earliest start of several senders counts": {
			rules: []string{auto}, changes: []backout.Change{changed("C1", "web-1")},
			alerts: []delivery{{1, firing("Down", "web-1", -1)}, {2, firing("Down", "web-1", 1)}},
		},
		"patched against the control group": {
			rules: []string{auto + "\nwhen: evidence.red_share_patched > evidence.red_share_unpatched"}, changes: []backout.Change{changed("C1", "web-1", "web-2")},
			alerts: []delivery{
				{1, firing("Other", "db-1", 1)}, {2, firing("Down", "web-1", 2)}, {3, resolved("Other", "db-1", 1, 3)}, {4, firing("Down", "web-1", 2)},
			},
			want: []string{"3m0s open R C1 web-1 C1-r1 [web-1] L1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := History{Inventory: inventory("web-1", "web-2", "web-3", "db-1"), Changes: test.changes, Alerts: came(test.alerts...)}
			_, got := play(t, load(t, test.rules...), h, test.options)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	h := History{
		Inventory: inventory("web-1"), Changes: []backout.Change{changed("C1", "web-1"), changed("C2", "web-9")},
		Alerts: came(delivery{1, firing("Down", "web-1", 1)}, delivery{2, firing("Down", "web-1", 1)}, delivery{3, firing("Down", "web-9", 3)}),
	}
	got, _ := play(t, load(t, auto), h, Options{})
	want := Summary{Alerts: 3, Changes: 2, From: at(1), Until: at(3), Verdicts: 2, Opened: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLooksSeeTheMomentWhole(t *testing.T) {
	var saw []string
	look := func(now time.Time, w rules.World) {
		for _, c := range w.ChangesOn("web-1") {
			saw = append(saw, fmt.Sprintf("%s %s %d rollbacks, %d red", now.Sub(t0), c.State, len(c.Rollbacks), w.Evidence(c).RedTargets))
		}
	}
	h := History{Inventory: inventory("web-1"), Changes: []backout.Change{changed("C1", "web-1")}, Alerts: came(delivery{1, firing("Down", "web-1", 1)}, delivery{1, firing("Up", "web-1", 1)})}
	play(t, load(t, auto), h, Options{Looks: []time.Time{at(31), at(0), at(1), at(300)}, Look: look})
	want := []string{"0s open 0 rollbacks, 0 red", "1m0s backing_out 1 rollbacks, 1 red", "31m0s backing_out 1 rollbacks, 1 red"}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTheChangeIsAsItWas: what rules and their annotations are given of a change
// holds nothing of what came later.
func TestTheChangeIsAsItWas(t *testing.T) {
	c := changed("C1", "web-1", "web-2")
	c.PatchedTargets = map[string]time.Time{"web-1": at(10), "web-2": at(20)}
	c.Rollbacks = []backout.RollbackRef{{ID: "C1-r1", Targets: []string{"web-1"}, Status: backout.RollbackRecovered}}
	c.Rules = []backout.RuleRecord{{Rule: "R"}}
	c.NotReady, c.Deltas, c.Revision, c.GateAt = []backout.Violation{{Check: "x"}}, map[string]string{"web-1": "sha256:2"}, 99, at(-1)
	c.Baselines = map[string]string{"web-1": "sha256:3"}
	seen := map[string]backout.Change{}
	look := func(now time.Time, w rules.World) {
		for _, c := range w.ChangesOn("web-1") {
			seen[now.Sub(t0).String()] = *c
		}
	}
	play(t, load(t, auto), History{Changes: []backout.Change{c}}, Options{Looks: []time.Time{at(-1), at(5), at(10), at(35), at(239), at(240)}, Look: look})
	before := backout.Change{
		ChangeSpec: c.ChangeSpec, State: backout.ChangeOpen, OpenedAt: at(0), Frozen: c.Frozen, GateAt: at(-1), Baselines: c.Baselines,
	}
	one := before
	one.PatchedTargets = map[string]time.Time{"web-1": at(10)}
	both := before
	both.State, both.PatchedAt, both.PatchedTargets, both.WatchUntil = backout.ChangeWatching, at(30), c.PatchedTargets, at(240)
	want := map[string]backout.Change{"5m0s": before, "10m0s": one, "35m0s": both, "3h59m0s": both}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWatches: a window that closed unpatched is watched, and patched later for
// longer.
func TestWatches(t *testing.T) {
	late := changed("C1", "web-1")
	late.PatchedAt, late.WatchUntil, late.EndedAt = at(90), at(270), time.Time{}
	late.State = backout.ChangeWatching
	never := changed("C2", "web-2")
	never.PatchedAt, never.WatchUntil, never.EndedAt, never.State = time.Time{}, time.Time{}, time.Time{}, backout.ChangeOpen
	running := changed("C3", "web-3")
	running.EndedAt, running.State = time.Time{}, backout.ChangeBackingOut
	var saw []string
	look := func(now time.Time, w rules.World) {
		for _, target := range []string{"web-1", "web-2", "web-3"} {
			for _, c := range w.ChangesOn(target) {
				saw = append(saw, fmt.Sprintf("%s %s %s %s", now.Sub(t0), c.ID, c.State, c.WatchUntil.Sub(t0).Round(time.Minute)))
			}
		}
	}
	play(t, load(t, auto), History{Changes: []backout.Change{late, never, running}}, Options{Looks: []time.Time{at(60), at(100), at(250), at(270)}, Look: look})
	want := []string{
		"1h0m0s C1 watching 4h0m0s", "1h0m0s C2 watching 4h0m0s", "1h0m0s C3 watching 4h0m0s",
		"1h40m0s C1 watching 4h30m0s", "1h40m0s C2 watching 4h0m0s", "1h40m0s C3 watching 4h0m0s",
		"4h10m0s C1 watching 4h30m0s", "4h10m0s C3 watching 4h0m0s", "4h30m0s C3 watching 4h0m0s",
	}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHistoriesThatCannotBe(t *testing.T) {
	bare := changed("C1", "web-1")
	bare.Frozen = nil
	for want, h := range map[string]History{
		"out of order":               {Alerts: came(delivery{2, firing("Down", "web-1", 1)}, delivery{1, firing("Down", "web-1", 1)})},
		"does not say by which plan": {Changes: []backout.Change{bare}},
		"twice":                      {Changes: []backout.Change{changed("C1", "web-1"), changed("C1", "web-2")}},
		"the disk is gone":           {Alerts: func(yield func(Delivery, error) bool) { yield(Delivery{}, errors.New("the disk is gone")) }},
	} {
		_, err := Run(t.Context(), load(t, auto), h, Options{}, func(Event) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %q", err, want)
		}
	}
}

// TestAStartAheadOfTheClockIsToldOnce: as everything else that fires on.
func TestAStartAheadOfTheClockIsToldOnce(t *testing.T) {
	h := History{Changes: []backout.Change{changed("C1", "web-1")}, Alerts: came(delivery{2, firing("Down", "web-1", 5)})}
	told := 0
	_, err := Run(t.Context(), load(t, shadow+"\nwhen: alert.age >= duration(\"0s\")"), h, Options{Until: at(10)}, func(Event) error { told++; return nil })
	if err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
}

// TestTheWatchdogIsNoEvidence: as on the server, which only looks whether it comes.
func TestTheWatchdogIsNoEvidence(t *testing.T) {
	watchdog, err := rules.ParseMatchers([]string{`alertname="Down"`})
	if err != nil {
		t.Fatal(err)
	}
	h := History{Changes: []backout.Change{changed("C1", "web-1")}, Alerts: came(delivery{2, firing("Down", "web-1", 1)}), Watchdog: watchdog}
	if sum, err := Run(t.Context(), load(t, auto), h, Options{}, func(Event) error { return nil }); err != nil || sum.Opened != 0 || sum.Alerts != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// counted is a context that ends when it was asked too often, which a run does at each
// step.
type counted struct {
	context.Context
	steps int
}

func (c *counted) Err() error {
	if c.steps--; c.steps < 0 {
		return context.Canceled
	}
	return nil
}

// TestPulsesWithoutRedCostNothing: there would be three hundred million of them.
func TestPulsesWithoutRedCostNothing(t *testing.T) {
	h := History{Changes: []backout.Change{changed("C1", "web-1")}}
	h.Changes[0].EndedAt, h.Changes[0].WatchUntil = at(60*24*365*50), at(60*24*365*50)
	_, err := Run(&counted{t.Context(), 20}, load(t, auto), h, Options{Until: at(60 * 24 * 365 * 49)}, func(Event) error { return nil })
	if err != nil {
		t.Errorf("49 quiet years took more than 20 steps: %v", err)
	}
}
