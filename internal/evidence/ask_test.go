package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func opened(minute float64, targets ...string) *backout.Change {
	return &backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: targets}, State: backout.ChangeWatching, OpenedAt: at(minute)}
}

func TestEvidence(t *testing.T) {
	table := New(Options{})
	for _, o := range []struct {
		target string
		alert  *backout.Alert
	}{
		{"p1", firingSince("a", 11)},
		{"p1", firingSince("b", 12)},
		{"p2", firingSince("a2", 10)},
		{"p3", firingSince("old", 9)},
		{"p4", firingSince("over", 11)},
		{"p4", resolved("over", 11, 12)},
		{"c1", firingSince("x", 11)},
		{"c2", firingSince("older", 2)},
		{"elsewhere", firingSince("y", 11)},
	} {
		table.Observe(o.target, o.alert, at(13))
	}
	control := []string{"c1", "c2", "c3", "c4"}
	patched := opened(10, "p1", "p2", "p3", "p4")
	patched.PatchedAt = at(14)
	for name, test := range map[string]struct {
		change *backout.Change
		want   backout.Evidence
	}{
		"who is red since the window opened": {
			opened(10, "p1", "p2", "p3", "p4"),
			backout.Evidence{RedTargets: 2, RedSharePatched: 0.5, RedShareUnpatched: 0.25, RedUnpatched: 1, ControlTargets: 4, DistinctAlerts: 3, MinutesSincePatch: 10},
		},
		"minutes count from the end of patching": {
			patched,
			backout.Evidence{RedTargets: 2, RedSharePatched: 0.5, RedShareUnpatched: 0.25, RedUnpatched: 1, ControlTargets: 4, DistinctAlerts: 3, MinutesSincePatch: 6},
		},
		"nobody red":             {opened(10, "p5"), backout.Evidence{RedShareUnpatched: 0.25, RedUnpatched: 1, ControlTargets: 4, MinutesSincePatch: 10}},
		"opened in the future":   {opened(30, "p1"), backout.Evidence{ControlTargets: 4}},
		"never opened":           {&backout.Change{ChangeSpec: backout.ChangeSpec{Targets: []string{"p1"}}}, backout.Evidence{}},
		"a change of no targets": {opened(10), backout.Evidence{RedShareUnpatched: 0.25, RedUnpatched: 1, ControlTargets: 4, MinutesSincePatch: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, table.Evidence(test.change, control, at(20))); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
			among := table.EvidenceAmong(test.change, len(control), func(name string) bool { return name[0] == 'c' }, at(20))
			if diff := cmp.Diff(test.want, among); diff != "" {
				t.Errorf("among (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoControlGroupIsNoRedControlGroup(t *testing.T) {
	table := New(Options{})
	table.Observe("p1", firingSince("a", 11), at(11))
	want := backout.Evidence{RedTargets: 1, RedSharePatched: 1, DistinctAlerts: 1}
	if diff := cmp.Diff(want, table.Evidence(opened(11, "p1"), nil, at(11))); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, table.EvidenceAmong(opened(11, "p1"), 0, func(string) bool { return true }, at(11))); diff != "" {
		t.Errorf("among (-want +got):\n%s", diff)
	}
}

func TestTheSameAlertNameOnSeveralTargetsIsOneName(t *testing.T) {
	table := New(Options{})
	for i, target := range []string{"p1", "p2"} {
		a := firingSince(string(rune('a'+i)), 11)
		a.Labels = map[string]string{"alertname": "Down"}
		table.Observe(target, a, at(11))
	}
	if got := table.Evidence(opened(10, "p1", "p2"), nil, at(12)); got.DistinctAlerts != 1 || got.RedTargets != 2 || got.MinutesSincePatch != (2*time.Minute).Minutes() {
		t.Errorf("evidence %+v", got)
	}
}

// rolling is a change that is patched target by target.
func rolling(patched map[string]float64, targets ...string) *backout.Change {
	c := opened(10, targets...)
	c.PatchedTargets = map[string]time.Time{}
	for target, minute := range patched {
		c.PatchedTargets[target] = at(minute)
	}
	return c
}

// TestTargetsThatWaitForTheirPatchAreControl: in a rolling patch those whose turn
// has not come are compared with those that are done, and all of them are counted.
func TestTargetsThatWaitForTheirPatchAreControl(t *testing.T) {
	table := New(Options{})
	table.Observe("p1", firingSince("a", 12), at(12))
	table.Observe("p3", firingSince("b", 12), at(12))
	table.Observe("c1", firingSince("c", 12), at(12))
	untold := opened(10, "p1", "p2", "p3", "p4")
	over := rolling(map[string]float64{"p1": 11}, "p1", "p2", "p3", "p4")
	over.PatchedAt = at(15)
	for name, test := range map[string]struct {
		change *backout.Change
		want   backout.Evidence
	}{
		"nothing told: all count as patched": {
			untold, backout.Evidence{RedTargets: 2, RedSharePatched: 0.5, RedUnpatched: 1, ControlTargets: 2, RedShareUnpatched: 0.5, DistinctAlerts: 2, MinutesSincePatch: 10},
		},
		"one told, three wait": {
			rolling(map[string]float64{"p1": 11}, "p1", "p2", "p3", "p4"),
			backout.Evidence{RedTargets: 2, RedSharePatched: 1, RedUnpatched: 2, ControlTargets: 5, RedShareUnpatched: 0.4, DistinctAlerts: 2, MinutesSincePatch: 10},
		},
		"two told, two wait": {
			rolling(map[string]float64{"p1": 11, "p2": 12}, "p1", "p2", "p3", "p4"),
			backout.Evidence{RedTargets: 2, RedSharePatched: 0.5, RedUnpatched: 2, ControlTargets: 4, RedShareUnpatched: 0.5, DistinctAlerts: 2, MinutesSincePatch: 10},
		},
		"the whole change told: nobody waits": {
			over, backout.Evidence{RedTargets: 2, RedSharePatched: 0.5, RedUnpatched: 1, ControlTargets: 2, RedShareUnpatched: 0.5, DistinctAlerts: 2, MinutesSincePatch: 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, table.Evidence(test.change, []string{"c1", "c2"}, at(20))); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
	want := backout.Evidence{RedTargets: 2, RedSharePatched: 1, ControlTargets: 2, DistinctAlerts: 2, MinutesSincePatch: 10}
	alone := table.Patched(rolling(map[string]float64{"p1": 11}, "p1", "p2", "p3", "p4"), func(target string) bool { return target != "p3" }, at(20))
	if diff := cmp.Diff(want, alone); diff != "" {
		t.Errorf("where p3 is no control (-want +got):\n%s", diff)
	}
}
