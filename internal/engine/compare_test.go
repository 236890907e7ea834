package engine

import (
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestComparisonOfBeforeTheTargetWasGreenIsNotWaitedFor: it will not be used, and the
// checks are not run over and over until another one may begin.
func TestComparisonOfBeforeTheTargetWasGreenIsNotWaitedFor(t *testing.T) {
	now := time.Now()
	r := backout.Rollback{ID: "R1", Frozen: backout.FrozenPlan{Plan: backout.Plan{Verify: backout.Verify{Every: backout.Duration(time.Minute)}}}}
	for name, tt := range map[string]struct {
		c    *comparison
		want bool
	}{
		"none":                {nil, true},
		"it runs":             {&comparison{began: now}, false},
		"it is new":           {&comparison{began: now, ended: now}, true},
		"it was used":         {&comparison{began: now, ended: now, used: true}, false},
		"it is of before":     {&comparison{began: now.Add(-10 * time.Second), ended: now}, false},
		"another is due":      {&comparison{began: now.Add(-time.Minute), ended: now}, true},
		"and it was used too": {&comparison{began: now.Add(-time.Minute), ended: now, used: true}, true},
	} {
		cs := newComparisons(nil)
		if tt.c != nil {
			cs.made["R1"] = map[string]*comparison{"web1": tt.c}
		}
		if got := cs.soon(r, backout.TargetState{Name: "web1", GreenSince: now.Add(-time.Second)}); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
