package change

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// checkCaptures are the promises about baselines, deltas and readiness.
func checkCaptures(t *rapid.T, before, after backout.Change, in Input, events []backout.Event) {
	for _, e := range events {
		switch e := e.(type) {
		case backout.BaselineBegan:
			if u := before.Capture; u != nil && in.At.Before(u.BeganAt.Add(backout.BaselineLease)) && u.Server != e.Server {
				t.Fatalf("%s captures while %s does", e.Server, u.Server)
			}
			if e.Number != before.Captures+1 {
				t.Fatalf("capture %d after %d: attempts of two would have the same ids", e.Number, before.Captures)
			}
		case backout.BaselineCaptured:
			if before.Capture == nil || before.Capture.Number != e.Number {
				t.Fatalf("capture %d counts, under way was %+v", e.Number, before.Capture)
			}
			if len(e.Baselines) != len(before.Targets) {
				t.Fatalf("half a capture counts: %v", e.Baselines)
			}
		case backout.WindowOpened:
			if before.Capture == nil || len(e.Baselines) != len(before.Targets) {
				t.Fatalf("opened without baselines: %+v, %v", before.Capture, e.Baselines)
			}
		case backout.ReadinessChanged:
			if len(before.NotReady) == 0 && len(e.Violations) == 0 {
				t.Fatal("ready again, and it was ready")
			}
		}
	}
	for target, digest := range before.Deltas {
		patched := before.PatchedOn(target).IsZero() && !after.PatchedOn(target).IsZero()
		dropped := after.Deltas[target] == "" && patched && before.ActiveRollback(target) == "" && before.TakenBack(target) == ""
		if after.Deltas[target] != digest && !dropped {
			t.Fatalf("the delta of %s was %s and is %s", target, digest, after.Deltas[target])
		}
	}
	for target, at := range before.PatchedTargets {
		if !after.PatchedOn(target).Equal(at) {
			t.Fatalf("%s was patched at %v, and now at %v", target, at, after.PatchedOn(target))
		}
	}
	if len(after.PatchedTargets) > 0 && !slices.ContainsFunc(after.Targets, after.Unpatched) && after.PatchedAt.IsZero() {
		t.Fatal("every target is told, and the change is not patched")
	}
	if before.State.Live() && !maps.Equal(before.Baselines, after.Baselines) {
		t.Fatalf("baselines move while it is %s: %v, %v", before.State, before.Baselines, after.Baselines)
	}
	if after.Capture != nil && !shut(after.State) {
		t.Fatalf("%s with a capture under way", after.State)
	}
	if _, ok := NextDeadline(after); after.Capture != nil && !ok {
		t.Fatal("a capture under way that nothing ends")
	}
	if after.State == backout.ChangeReady && after.Certified == "" {
		t.Fatal("ready without what the yes is bound to")
	}
}
