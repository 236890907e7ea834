package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testWorld(t *testing.T) *world {
	t.Helper()
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n      - rule: R\n        match: [alertname=\"A\"]\n")})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	cfg := &Config{Rules: set, Inventory: map[string]backout.Target{"a": {Name: "a"}, "b": {Name: "b"}, "c": {Name: "c"}}}
	return newWorld(func() *Config { return cfg })
}

func live(id string, state backout.ChangeState, targets ...string) backout.Change {
	return backout.Change{ChangeSpec: backout.ChangeSpec{ID: id, Targets: targets}, State: state, OpenedAt: noon}
}

func (w *world) on(target string) []string {
	var ids []string
	for _, c := range w.ChangesOn(target) {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestWorldListsLiveChangesOnly(t *testing.T) {
	w := testWorld(t)
	w.changed(live("C2", backout.ChangeOpen, "a", "b"))
	w.changed(live("C1", backout.ChangeWatching, "a"))
	w.changed(live("C3", backout.ChangeReady, "a"))
	before := w.ChangesOn("a")
	if diff := cmp.Diff([]string{"C1", "C2"}, w.on("a")); diff != "" {
		t.Errorf("on a (-want +got):\n%s", diff)
	}
	w.changed(live("C2", backout.ChangeClosed, "a", "b"))
	if diff := cmp.Diff([]string{"C1"}, w.on("a")); diff != "" || w.on("b") != nil {
		t.Errorf("after the end of C2, on b %v, on a (-want +got):\n%s", w.on("b"), diff)
	}
	if len(before) != 2 || before[1].ID != "C2" {
		t.Error("a list that was handed out has changed")
	}
}

func alertOn(target string, firing bool, starts time.Time) *backout.Alert {
	a := &backout.Alert{Fingerprint: "f-" + target, Firing: firing, Labels: map[string]string{"alertname": "A", "instance": target + ":9100"}, StartsAt: starts}
	if !firing {
		a.EndsAt = starts.Add(time.Minute)
	}
	return a
}

func TestWorldKnowsWhoIsRedSinceWhen(t *testing.T) {
	w := testWorld(t)
	w.changed(live("C1", backout.ChangeOpen, "a"))
	if touched := w.observe(alertOn("a", true, noon), noon); len(touched) != 1 || touched[0] != "a" {
		t.Errorf("touched %v, want a", touched)
	}
	if touched := w.observe(alertOn("b", true, noon), noon); len(touched) != 0 {
		t.Errorf("touched %v; no change is on b", touched)
	}
	if !w.firing("a", "f-a") || w.firing("a", "f-b") || len(w.redOnLive()) != 1 {
		t.Error("who is red is wrong")
	}
	if len(w.redSince("a", noon)) != 1 || len(w.redSince("a", noon.Add(1))) != 0 {
		t.Error("since when is wrong")
	}
	w.observe(alertOn("a", false, noon), noon.Add(time.Minute))
	if w.firing("a", "f-a") {
		t.Error("a is green again")
	}
}

func TestShadowVerdictCountsOncePerFiring(t *testing.T) {
	w := testWorld(t)
	w.changed(live("C1", backout.ChangeOpen, "a"))
	a := alertOn("a", true, noon)
	v := backout.Verdict{Rule: "R", ChangeID: "C1", Target: "a", Fingerprint: a.Fingerprint, At: noon.Add(time.Second)}
	if !w.once(v, a) || w.once(v, a) {
		t.Error("want new, then known")
	}
	w.notRecorded(v)
	if !w.once(v, a) {
		t.Error("what was not written down is known")
	}
	again := alertOn("a", true, noon.Add(time.Hour))
	if !w.once(v, again) {
		t.Error("a second firing is new")
	}

	ahead := alertOn("a", true, noon.Add(2*time.Hour)) // Prometheus' clock is
	v.At = noon.Add(90 * time.Minute)
	if !w.once(v, ahead) || w.once(v, ahead) {
		t.Error("want new, then known, also while the start is still to come")
	}
	v.At = noon.Add(time.Second)

	fresh := testWorld(t) // after a restart
	fresh.noteVerdicts(backout.Record{At: noon.Add(time.Second), Events: []backout.Event{backout.VerdictGiven{Verdict: v}}})
	fresh.changed(live("C1", backout.ChangeOpen, "a"))
	if fresh.once(v, a) {
		t.Error("what stands in the log is new after a restart")
	}
	fresh.changed(live("C1", backout.ChangeClosed, "a"))
	if len(fresh.recorded) != 0 {
		t.Error("verdicts of a closed change are kept")
	}
}
