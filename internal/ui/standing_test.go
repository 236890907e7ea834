package ui

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// TestStandingSaysWhatAYesIsWorth: a yes counts only while it is one.
func TestStandingSaysWhatAYesIsWorth(t *testing.T) {
	soon := now.Add(time.Hour)
	no := []backout.Violation{{Check: "lvm", Target: "a", Reason: "full"}, {Check: "lvm", Target: "b", Reason: "full"}, {Check: "dnf", Target: "a", Reason: "gone"}}
	for name, tt := range map[string]struct {
		change backout.Change
		want   Standing
	}{
		"never asked":     {backout.Change{State: backout.ChangePlanned}, Standing{State: "gate_never"}},
		"yes":             {backout.Change{State: backout.ChangeReady, ValidUntil: soon}, Standing{State: "gate_passed", Until: soon}},
		"stale":           {backout.Change{State: backout.ChangeReady, ValidUntil: soon, Stale: "its plan has changed"}, Standing{State: "gate_stale", Says: "its plan has changed"}},
		"no":              {backout.Change{State: backout.ChangePlanned, GateAt: now, Violations: no}, Standing{State: "gate_refused", Says: "2 reasons"}},
		"live":            {backout.Change{State: backout.ChangeOpen, Violations: no}, Standing{State: "gate_holds"}},
		"in use":          {backout.Change{State: backout.ChangeBackingOut}, Standing{State: "gate_used"}},
		"live and broken": {backout.Change{State: backout.ChangeWatching, NotReady: no[:1]}, Standing{State: "gate_broken", Says: "1 reason"}},
		"over":            {backout.Change{State: backout.ChangeClosed, NotReady: no}, Standing{}},
	} {
		if diff := cmp.Diff(tt.want, StandingOf(&tt.change)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNextOfAChange: what a clock does by itself, and what waits for people.
func TestNextOfAChange(t *testing.T) {
	before, after, later := now.Add(-time.Hour), now.Add(time.Hour), now.Add(2*time.Hour)
	window := func(opens, closes time.Time, auto bool) backout.ChangeSpec {
		return backout.ChangeSpec{Window: backout.Window{Opens: opens, Closes: closes, Auto: auto}}
	}
	no := []backout.Violation{{Reason: "full"}}
	for name, tt := range map[string]struct {
		change backout.Change
		due    time.Time
		says   string
	}{
		"by itself":         {backout.Change{State: backout.ChangeReady, ChangeSpec: window(after, later, true)}, after, "the window opens by itself, if the gate says yes then"},
		"by itself, a no":   {backout.Change{State: backout.ChangePlanned, ChangeSpec: window(before, later, true), GateAt: now, Violations: no}, now.Add(time.Minute), "the gate is asked again, and opens the window by itself once it says yes"},
		"by somebody":       {backout.Change{State: backout.ChangePlanned, ChangeSpec: window(after, later, false)}, after, "the window may be opened, if the gate says yes then"},
		"time to open":      {backout.Change{State: backout.ChangeReady, ChangeSpec: window(before, later, false)}, later, "the window is over; until then it may be opened, if the gate says yes"},
		"missed":            {backout.Change{State: backout.ChangeReady, ChangeSpec: window(before, now, false)}, time.Time{}, "its window is over, and was never opened: extend it, or cancel the change"},
		"no time":           {backout.Change{State: backout.ChangePlanned}, time.Time{}, "no time is planned: somebody opens the window, if the gate says yes then"},
		"no end":            {backout.Change{State: backout.ChangePlanned, ChangeSpec: window(before, time.Time{}, false)}, time.Time{}, "the window may be opened now, if the gate says yes"},
		"capturing":         {backout.Change{State: backout.ChangePlanned, Capture: &backout.Capture{Server: "b1"}}, time.Time{}, "baselines are being captured on b1"},
		"capturing to open": {backout.Change{State: backout.ChangeReady, Capture: &backout.Capture{Server: "b1", Opening: true}}, time.Time{}, "baselines are being captured on b1, to open the window"},
		"open":              {backout.Change{State: backout.ChangeOpen, ChangeSpec: window(before, later, false)}, later, "the window closes, and the watch begins"},
		"watching":          {backout.Change{State: backout.ChangeWatching, WatchUntil: after}, after, "the watch ends, and with it the change"},
		"backing out":       {backout.Change{State: backout.ChangeBackingOut}, time.Time{}, "it goes on when its rollbacks have ended"},
		"over":              {backout.Change{State: backout.ChangeBackedOut}, time.Time{}, ""},
	} {
		if got := NextOf(&tt.change, now); !got.Due.Equal(tt.due) || got.Says != tt.says {
			t.Errorf("%s: %q at %v, want %q at %v", name, got.Says, got.Due, tt.says, tt.due)
		}
	}
}

// TestReasonsAreSaidOnce: for all targets of which they are true, in their order.
func TestReasonsAreSaidOnce(t *testing.T) {
	var all []backout.Violation
	for _, target := range []string{"a", "b", "c", "d", "e", "f", "a"} {
		all = append(all, backout.Violation{Check: "lvm", Level: "L2", Target: target, Reason: "full", Fix: "extend it"}, backout.Violation{Check: "dnf", Level: "L1", Target: target, Reason: "gone on " + target})
	}
	all = append(all, backout.Violation{Check: "approval", Reason: "nobody may"})
	r := Together(all, 3)
	if len(r.List) != 3 || r.More != 5 {
		t.Fatalf("%d reasons and %d more: %+v", len(r.List), r.More, r)
	}
	if got := r.List[0].Where(); got != "L2 on a, b, c, d and 2 more targets" {
		t.Errorf("where: %q", got)
	}
	if got := Together(all[len(all)-1:], 1).List[0].Where(); got != "" {
		t.Errorf("a reason of no place is at %q", got)
	}
	if got := (Reason{Targets: []string{"a"}}).Where(); got != "on a" {
		t.Errorf("where: %q", got)
	}
}

func TestDeltaInAFewWords(t *testing.T) {
	for want, d := range map[string]backout.Delta{
		"nothing that was looked at": {},
		"a 1 → 2, b 3 added, 1 more package, 2 other differences": {
			Packages:    []backout.PackageChange{{Name: "a", From: "1", To: "2"}, {Name: "b", To: "3"}, {Name: "c", From: "1"}},
			Differences: []backout.Difference{{Part: "units"}, {Part: "ports"}},
		},
		"c 1 removed": {Packages: []backout.PackageChange{{Name: "c", From: "1"}}},
	} {
		if got := DeltaSays(&d); got != want {
			t.Errorf("says %q, want %q", got, want)
		}
	}
}
