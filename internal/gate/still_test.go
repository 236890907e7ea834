package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestStill: what made the gate say yes has gone meanwhile, one at a time.
func TestStill(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Facts)
		want  backout.Violation
	}{
		"all as it was":           {func(*Facts) {}, backout.Violation{}},
		"no capture is needed":    {func(f *Facts) { f.Baselines = nil }, backout.Violation{}},
		"snapshots are made":      {func(f *Facts) { f.Plan.Baseline.Steps = []backout.Step{{Uses: "snapshot"}} }, backout.Violation{}},
		"the window may be over":  {func(f *Facts) { f.Change.Window.Closes = now.Add(-1) }, backout.Violation{}},
		"plan file changed":       {func(f *Facts) { f.PlanHash = "sha256:2" }, backout.Violation{Check: "plan"}},
		"plan file gone":          {func(f *Facts) { f.PlanHash = "" }, backout.Violation{Check: "plan"}},
		"target gone":             {func(f *Facts) { delete(f.Targets, "web2") }, backout.Violation{Check: "targets", Target: "web2"}},
		"approver left":           {func(f *Facts) { f.Groups["sre"] = []string{"carol"} }, backout.Violation{Check: "approval", Level: "L2"}},
		"nobody was asked":        {func(f *Facts) { f.Answers = slices.Delete(f.Answers, 3, 4) }, backout.Violation{Check: "preflight", Target: "web1", Level: "L2"}},
		"the snapshot is filling": {full, backout.Violation{Check: "snapshot", Target: "web1", Level: "L2"}},
		"deltas are known": {func(f *Facts) {
			patched(f, deltaGrace)
			f.Change.Deltas = map[string]string{"web1": "d", "web2": "d"}
		}, backout.Violation{}},
		"no delta yet":          {func(f *Facts) { patched(f, deltaGrace-1) }, backout.Violation{}},
		"no baseline, no delta": {func(f *Facts) { patched(f, time.Hour); f.Change.Baselines = nil }, backout.Violation{}},
		"a delta is missing":    {func(f *Facts) { patched(f, deltaGrace) }, backout.Violation{Check: "delta", Target: "web2"}},
		"its target is away":    {func(f *Facts) { patched(f, deltaGrace); away(f) }, backout.Violation{Check: "reachable", Target: "web2"}},
		"the window ended instead": {func(f *Facts) {
			patched(f, deltaGrace)
			f.Change.WatchUntil, f.Change.PatchedAt = f.Change.PatchedAt, time.Time{}
		}, backout.Violation{Check: "delta", Target: "web2"}},
		"the target has gone away": {away, backout.Violation{Check: "reachable", Target: "web2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			f.Change.Frozen = &backout.FrozenPlan{Plan: *f.Plan, Hash: "sha256:1"}
			tt.spoil(&f)
			var got backout.Violation
			vs := Still(f)
			if len(vs) > 0 {
				got = backout.Violation{Check: vs[0].Check, Target: vs[0].Target, Level: vs[0].Level}
			}
			if len(vs) > 1 || got != tt.want {
				t.Errorf("got %+v, want %+v", vs, tt.want)
			}
		})
	}
}

// patched is a change whose patch has ended so long ago; what it changed is known of
// web1 only.
func patched(f *Facts, ago time.Duration) {
	f.Change.PatchedAt = f.Now.Add(-ago)
	f.Change.Baselines = map[string]string{"web1": "b", "web2": "b"}
	f.Change.Deltas = map[string]string{"web1": "d"}
}

func full(f *Facts) {
	f.Answers[3].Violations = []backout.Violation{{Check: "snapshot", Target: "web1", Level: "L2", Reason: "91 % full", Fix: "extend it"}}
}

func away(f *Facts) {
	f.Answers = f.Answers[:5]
	f.Answers[4].Violations = []backout.Violation{{Check: "reachable", Target: "web2", Reason: "no route", Fix: "mend it"}}
}
