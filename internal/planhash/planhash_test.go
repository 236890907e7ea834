package planhash

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func plan() backout.Plan {
	return backout.Plan{
		Name: "web", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Levels: []backout.Level{{
			Name: "L1", EscalateAfter: 60e9, Approval: backout.Approval{Mode: backout.ApprovalNone},
			Steps: []backout.Step{{Uses: "command", With: json.RawMessage(`{"argv":["a","<b>"],"n":1.50}`), OnOverdue: backout.OverdueWait}},
		}},
		Verify: backout.Verify{Every: 15e9, Checks: []backout.Check{{Uses: "http", With: json.RawMessage(`{"url":"http://x"}`)}}},
	}
}

// The hash stands in logs and approvals: a change of it invalidates them all.
func TestTheHashIsStable(t *testing.T) {
	const want = "sha256:"
	got := Freeze(plan())
	if !strings.HasPrefix(got.Hash, want) || len(got.Hash) != len(want)+64 {
		t.Errorf("hash %s", got.Hash)
	}
	if pinned := "sha256:438d06e2fc4fbb73e99506f48107fd064207d36350227fd2c30c12b05a4fa9f7"; got.Hash != pinned {
		t.Errorf("hash %s, was %s", got.Hash, pinned)
	}
}

func TestOnlyContentCounts(t *testing.T) {
	same := plan()
	same.Levels[0].Steps[0].With = json.RawMessage("{\n \"n\": 1.50,\n \"argv\": [\"a\", \"\\u003cb>\"] }")
	if Freeze(same).Hash != Freeze(plan()).Hash {
		t.Error("white space and order of keys changed the hash")
	}
	edits := map[string]func(*backout.Plan){
		"name":    func(p *backout.Plan) { p.Name = "x" },
		"with":    func(p *backout.Plan) { p.Levels[0].Steps[0].With = json.RawMessage(`{"argv":["a"]}`) },
		"number":  func(p *backout.Plan) { p.Levels[0].Steps[0].With = json.RawMessage(`{"argv":["a","<b>"],"n":1.51}`) },
		"votes":   func(p *backout.Plan) { p.Levels[0].Approval.Votes = 2 },
		"check":   func(p *backout.Plan) { p.Verify.Checks[0].With = json.RawMessage(`{"url":"http://y"}`) },
		"order":   func(p *backout.Plan) { p.Audience = []string{"ops", "dba"} },
		"level":   func(p *backout.Plan) { p.Levels = append(p.Levels, p.Levels[0]) },
		"files":   func(p *backout.Plan) { p.Baseline.Files = []string{"/etc/hosts"} },
		"without": func(p *backout.Plan) { p.Baseline.Without = []string{backout.PartPorts} },
		"valid":   func(p *backout.Plan) { p.Baseline.ValidFor = 60e9 },
		"ignore":  func(p *backout.Plan) { p.Baseline.Ignore = []backout.IgnoreDrift{{Part: "units", Name: "x"}} },
		"snapshot": func(p *backout.Plan) {
			p.Baseline.Steps = []backout.Step{{Uses: "command", With: json.RawMessage(`{`)}}
		},
		"cleanup": func(p *backout.Plan) { p.Cleanup = []backout.Step{{Uses: "command", With: json.RawMessage(`{`)}} },
		"invalid": func(p *backout.Plan) { p.Levels[0].Steps[0].With = json.RawMessage(`{`) },
	}
	hashes := map[string]string{Freeze(plan()).Hash: "unedited"}
	for name, edit := range edits {
		p := plan()
		edit(&p)
		if other, taken := hashes[Freeze(p).Hash]; taken {
			t.Errorf("%s has the hash of %s", name, other)
		}
		hashes[Freeze(p).Hash] = name
	}
}

// A plan whose file says nothing of baselines is the plan that it was: empty lists
// are no lists.
func TestWhatIsLeftOutLeavesTheHash(t *testing.T) {
	p := plan()
	p.Baseline, p.Cleanup = backout.BaselineSpec{}, []backout.Step{}
	if Freeze(p).Hash != Freeze(plan()).Hash {
		t.Error("an empty baseline section changed the hash")
	}
}

func TestAFrozenPlanIsACopyAndFreezesToItself(t *testing.T) {
	p := plan()
	frozen := Freeze(p)
	p.Levels[0].Steps[0].With[2] = 'X'
	p.Levels[0].Name, p.Audience[0] = "L9", "nobody"
	if !Matches(frozen) {
		t.Error("an edit of the plan reached the frozen one")
	}
	again := Freeze(frozen.Plan)
	if diff := cmp.Diff(frozen, again); diff != "" {
		t.Error(diff)
	}
	frozen.Plan.Levels[0].MaxParallel = 3
	if Matches(frozen) {
		t.Error("an edit of the frozen plan went unseen")
	}
}

func TestAnyPlanSurvivesTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan()
		p.Name = rapid.String().Draw(t, "name")
		p.Levels[0].Loses = rapid.String().Draw(t, "loses")
		p.Levels[0].Steps[0].With = rapid.SliceOf(rapid.Byte()).Draw(t, "with")
		frozen := Freeze(p)
		data, err := json.Marshal(frozen)
		if err != nil {
			t.Fatal(err)
		}
		var back backout.FrozenPlan
		if err := json.Unmarshal(data, &back); err != nil || !Matches(back) {
			t.Errorf("hash %s, after the log %s, %v", frozen.Hash, Freeze(back.Plan).Hash, err)
		}
	})
}
