package engine

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestFactsFitAnEnvironment: what an alert is called cannot keep a step from
// starting; an environment takes no NUL and no text without end.
func TestFactsFitAnEnvironment(t *testing.T) {
	r := backout.Rollback{
		ID: "CHG1-r1", ChangeID: "CHG1", Patch: backout.Patch{IDs: []string{strings.Repeat("x", 1<<20)}},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: "R", AlertName: "Down\x00; rm -rf /\xff"}},
	}
	got := facts(r, &backout.Level{Name: "L1"}, backout.Target{Name: "web-1"}, "a1")
	if want := "Down\uFFFD; rm -rf /\uFFFD"; got["BACKOUT_ALERT_NAME"] != want {
		t.Errorf("alert name %q, want %q", got["BACKOUT_ALERT_NAME"], want)
	}
	if n := len(got["BACKOUT_PATCH_IDS"]); n != factMax {
		t.Errorf("patch ids are %d long, want %d", n, factMax)
	}
	if got["BACKOUT_TARGET_ADDRESS"] != "web-1" {
		t.Errorf("address %q, want the name where there is none", got["BACKOUT_TARGET_ADDRESS"])
	}
}

// TestFactsAreAllThereForARollbackByHand: a step may name any fact in any
// rollback.
func TestFactsAreAllThereForARollbackByHand(t *testing.T) {
	got := facts(backout.Rollback{Trigger: backout.Trigger{By: "ann"}}, &backout.Level{}, backout.Target{}, "a1")
	for _, name := range []string{"BACKOUT_RULE", "BACKOUT_ALERT_NAME", "BACKOUT_PATCH_KIND", "BACKOUT_PATCH_IDS"} {
		if value, ok := got[name]; !ok || value != "" {
			t.Errorf("%s = %q, %v, want it there and empty", name, value, ok)
		}
	}
}
