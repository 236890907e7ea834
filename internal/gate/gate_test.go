package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// good are facts with nothing wrong about them.
func good() Facts {
	return Facts{
		Change: backout.Change{
			ChangeSpec: backout.ChangeSpec{
				ID: "CHG1", Plan: "web", Targets: []string{"web1", "web2"},
				Window: backout.Window{Opens: now, Closes: now.Add(time.Hour), Watch: backout.Duration(time.Hour)},
			},
			State: backout.ChangePlanned, Requester: "alice",
		},
		Plan: &backout.Plan{
			Name: "web", Author: "bob", DataMigration: backout.DataMigrationNone,
			Levels: []backout.Level{
				{
					Name: "L1", EscalateAfter: backout.Duration(30 * time.Minute), Steps: []backout.Step{{Uses: "command"}},
					Approval: backout.Approval{Mode: backout.ApprovalNone},
				},
				{
					Name: "L2", EscalateAfter: backout.Duration(30 * time.Minute), Steps: []backout.Step{{Uses: "command"}}, Destructive: true,
					Approval: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre"}, OnExpiry: backout.ExpiryDeny},
				},
			},
			Verify: backout.Verify{
				Every: backout.Duration(15 * time.Second), HoldFor: backout.Duration(2 * time.Minute), Checks: []backout.Check{{Uses: "http"}},
			},
		},
		PlanHash: "sha256:1",
		Targets:  map[string]backout.Target{"web1": {Name: "web1"}, "web2": {Name: "web2"}},
		Answers: []Answer{
			{Target: "web1", Check: "reachable"},
			{Target: "web1", Check: "capture"},
			{Target: "web1", Level: "L1", Check: "command"},
			{Target: "web1", Level: "L2", Check: "command", Loses: "data written since 09:00"},
			{Target: "web2", Check: "reachable"},
			{Target: "web2", Check: "capture"},
			{Target: "web2", Level: "L1", Check: "command"},
			{Target: "web2", Level: "L2", Check: "command"},
		},
		Baselines: map[string]string{"web1": "sha256:a", "web2": "sha256:b"},
		Groups:    map[string][]string{"sre": {"alice", "bob", "carol", "dave"}, "dba": {"carol", "erin"}},
		Now:       now,
	}
}

func TestYesIsBoundToPlanAndTargets(t *testing.T) {
	f := good()
	r := Check(f)
	want := Result{Certificate: &Certificate{
		ChangeID: "CHG1", PlanHash: "sha256:1", Targets: []string{"web1", "web2"}, Baselines: f.Baselines, At: now, ValidUntil: now.Add(24 * time.Hour),
	}}
	for _, a := range f.Answers {
		want.Looks = append(want.Looks, Look{Target: a.Target, Level: a.Level, Check: a.Check, OK: true, Loses: a.Loses})
	}
	if diff := cmp.Diff(want, r); diff != "" || !r.Passed() {
		t.Fatalf("passed %v (-want +got):\n%s", r.Passed(), diff)
	}
	f.Change.Targets[0] = "db1"
	if r.Certificate.Targets[0] != "web1" {
		t.Error("the certificate follows the change's slice")
	}
}

// TestNo: each spoils one thing and must be told of it, and of nothing else.
func TestNo(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Facts)
		want  backout.Violation // of which Check, Target and Level are compared
	}{
		"change without plan":   {func(f *Facts) { f.Change.Plan = "" }, backout.Violation{Check: "plan"}},
		"no such plan":          {func(f *Facts) { f.Plan = nil }, backout.Violation{Check: "plan"}},
		"another plan":          {func(f *Facts) { f.Plan.Name = "db" }, backout.Violation{Check: "plan"}},
		"plan without hash":     {func(f *Facts) { f.PlanHash = "" }, backout.Violation{Check: "plan"}},
		"no levels":             {func(f *Facts) { f.Plan.Levels = nil }, backout.Violation{Check: "plan"}},
		"ten levels":            {func(f *Facts) { f.Plan.Levels = slices.Repeat(f.Plan.Levels[:1], 10) }, backout.Violation{Check: "plan"}},
		"level without steps":   {func(f *Facts) { f.Plan.Levels[1].Steps = nil }, backout.Violation{Check: "level", Level: "L2"}},
		"step uses nothing":     {func(f *Facts) { f.Plan.Levels[0].Steps[0].Uses = "" }, backout.Violation{Check: "level", Level: "L1"}},
		"level without clock":   {func(f *Facts) { f.Plan.Levels[0].EscalateAfter = 0 }, backout.Violation{Check: "level", Level: "L1"}},
		"no target":             {func(f *Facts) { f.Change.Targets = nil }, backout.Violation{Check: "targets"}},
		"unknown target":        {func(f *Facts) { delete(f.Targets, "web2") }, backout.Violation{Check: "targets", Target: "web2"}},
		"target twice":          {func(f *Facts) { f.Change.Targets[1] = "web1" }, backout.Violation{Check: "targets", Target: "web1"}},
		"overlap":               {func(f *Facts) { f.Overlaps = map[string][]string{"web2": {"CHG7"}} }, backout.Violation{Check: "overlap", Target: "web2"}},
		"window over":           {func(f *Facts) { f.Now = now.Add(time.Hour) }, backout.Violation{Check: "window"}},
		"window backwards":      {func(f *Facts) { f.Change.Window.Opens = now.Add(2 * time.Hour) }, backout.Violation{Check: "window"}},
		"no watch":              {func(f *Facts) { f.Change.Window.Watch = 0 }, backout.Violation{Check: "window"}},
		"no time":               {func(f *Facts) { f.Now = time.Time{} }, backout.Violation{Check: "window"}},
		"nothing to verify by":  {func(f *Facts) { f.Plan.Verify.Checks, f.Plan.Verify.IgnoreAlerts = nil, true }, backout.Violation{Check: "verify"}},
		"verify never":          {func(f *Facts) { f.Plan.Verify.Every = 0 }, backout.Violation{Check: "verify"}},
		"too few people":        {func(f *Facts) { f.Groups["sre"] = []string{"carol"} }, backout.Violation{Check: "approval", Level: "L2"}},
		"requester does count":  {func(f *Facts) { f.Groups["sre"] = []string{"carol", "alice"} }, backout.Violation{Check: "approval", Level: "L2"}},
		"author does count":     {func(f *Facts) { f.Groups["sre"] = []string{"carol", "bob"} }, backout.Violation{Check: "approval", Level: "L2"}},
		"one person twice":      {func(f *Facts) { f.Groups["sre"] = []string{"carol", "carol"} }, backout.Violation{Check: "approval", Level: "L2"}},
		"a person without name": {func(f *Facts) { f.Groups["sre"] = []string{"carol", ""} }, backout.Violation{Check: "approval", Level: "L2"}},
		"no approver group":     {func(f *Facts) { f.Plan.Levels[1].Approval.Groups = nil }, backout.Violation{Check: "approval", Level: "L2"}},
		"no votes":              {func(f *Facts) { f.Plan.Levels[1].Approval.Votes = 0 }, backout.Violation{Check: "approval", Level: "L2"}},
		"one vote more for what is exploited": {
			func(f *Facts) { f.Plan.Levels[1].Approval.KnownExploitedVote, f.Exploited = true, []string{"CVE-1"} },
			backout.Violation{Check: "approval", Level: "L2"},
		},
		"one vote more than a veto window, and nobody": {
			func(f *Facts) {
				f.Plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: 1, KnownExploitedVote: true}
				f.Exploited = []string{"CVE-1"}
			},
			backout.Violation{Check: "approval", Level: "L1"},
		},
		"a limit asks before a veto window, and nobody can answer": {
			func(f *Facts) {
				f.Plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: 1, Groups: []string{"gone"}}
				f.Plan.Limits.TargetsPerHour = 1
			},
			backout.Violation{Check: "approval", Level: "L1"},
		},
		"a limit asks before a veto window, for one vote more": {
			func(f *Facts) {
				f.Groups["one"] = []string{"carol"}
				f.Plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: 1, Groups: []string{"one"}, KnownExploitedVote: true}
				f.Plan.Limits.TargetsPerHour, f.Exploited = 1, []string{"CVE-1"}
			},
			backout.Violation{Check: "approval", Level: "L1"},
		},
		"empty veto":                    {func(f *Facts) { f.Plan.Levels[0].Approval.Mode = backout.ApprovalVeto }, backout.Violation{Check: "approval", Level: "L1"}},
		"approval mode unknown":         {func(f *Facts) { f.Plan.Levels[0].Approval.Mode = "" }, backout.Violation{Check: "approval", Level: "L1"}},
		"last level by itself":          {func(f *Facts) { f.Plan.Levels[1].Approval.OnExpiry = backout.ExpiryGo }, backout.Violation{Check: "approval", Level: "L2"}},
		"forward only, by itself":       {func(f *Facts) { f.Plan.DataMigration = backout.DataMigrationForwardOnly }, backout.Violation{Check: "approval", Level: "L1"}},
		"nobody was asked about a step": {func(f *Facts) { f.Answers = slices.Delete(f.Answers, 3, 4) }, backout.Violation{Check: "preflight", Target: "web1", Level: "L2"}},
		"nobody was asked about the second step": {
			func(f *Facts) {
				f.Plan.Levels[0].Steps = append(f.Plan.Levels[0].Steps, backout.Step{Uses: "command"})
				f.Answers = append(f.Answers, Answer{Target: "web1", Level: "L1", Step: 1})
			},
			backout.Violation{Check: "preflight", Target: "web2", Level: "L1"},
		},
		"nobody was asked about a baseline step": {
			func(f *Facts) {
				f.Plan.Baseline.Steps = []backout.Step{{Uses: "snapshot"}}
				f.Answers = append(f.Answers, Answer{Target: "web1", Level: "baseline"})
			},
			backout.Violation{Check: "preflight", Target: "web2", Level: "baseline"},
		},
		"a target was not captured": {func(f *Facts) { delete(f.Baselines, "web2") }, backout.Violation{Check: "capture", Target: "web2"}},
		"a target cannot be read": {
			func(f *Facts) {
				delete(f.Baselines, "web2")
				f.Answers = f.Answers[:6]
				f.Answers[5].Violations = []backout.Violation{{Check: "capture", Target: "web2", Reason: "rpm -qa: database is locked", Fix: "wait"}}
			},
			backout.Violation{Check: "capture", Target: "web2"},
		},
		"an unreachable target": {
			func(f *Facts) {
				delete(f.Baselines, "web2")
				f.Answers = f.Answers[:5]
				f.Answers[4].Violations = []backout.Violation{{Check: "reachable", Target: "web2", Reason: "no route", Fix: "mend it"}}
			},
			backout.Violation{Check: "reachable", Target: "web2"},
		},
		"preflight": {
			func(f *Facts) {
				f.Answers[2].Violations = []backout.Violation{{Check: "package", Target: "web1", Level: "L1", Reason: "old version is gone", Fix: "keep a copy"}}
			},
			backout.Violation{Check: "package", Target: "web1", Level: "L1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			tt.spoil(&f)
			r := Check(f)
			if r.Passed() || r.Certificate != nil {
				t.Fatal("the gate said yes")
			}
			if len(r.Violations) != 1 {
				t.Fatalf("got %d violations, want 1: %+v", len(r.Violations), r.Violations)
			}
			got := r.Violations[0]
			if got.Reason == "" || got.Fix == "" {
				t.Errorf("reason or fix is missing: %+v", got)
			}
			got.Reason, got.Fix = "", ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownGroupIsNamed(t *testing.T) {
	f := good()
	f.Plan.Levels[1].Approval.Groups = []string{"sre", "nobody"}
	r := Check(f)
	if len(r.Violations) != 1 || r.Violations[0].Level != "L2" {
		t.Fatalf("got %+v, want one about L2", r.Violations)
	}
}

func TestPeopleOfSeveralGroupsCountTogether(t *testing.T) {
	f := good()
	f.Groups["sre"] = []string{"carol"}
	f.Plan.Levels[1].Approval.Groups = []string{"sre", "dba"}
	if r := Check(f); !r.Passed() {
		t.Errorf("carol and erin are two: %+v", r.Violations)
	}
}

// TestGroupsOfAnIdentityProvider: of whom nobody is known here, nobody is missed; a group
// that nothing names still is.
func TestGroupsOfAnIdentityProvider(t *testing.T) {
	f := good()
	f.OpenGroups, f.Groups["sre"] = true, nil
	if r := Check(f); !r.Passed() {
		t.Errorf("%+v", r.Violations)
	}
	f.Plan.Levels[1].Approval.Groups = []string{"nobody"}
	if r := Check(f); r.Passed() {
		t.Error("a group that nothing names could approve")
	}
}

func TestOwnChangeIsNoOverlap(t *testing.T) {
	f := good()
	f.Overlaps = map[string][]string{"web1": {"CHG1"}, "other": {"CHG9"}}
	if r := Check(f); !r.Passed() {
		t.Errorf("%+v", r.Violations)
	}
}

func TestWindowWithoutTimesMayOpen(t *testing.T) {
	f := good()
	f.Change.Window = backout.Window{Watch: backout.Duration(time.Hour)}
	if r := Check(f); !r.Passed() {
		t.Errorf("%+v", r.Violations)
	}
}

// TestWarnings never keep the window shut.
func TestWarnings(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Facts)
		check string
		level string
	}{
		"destructive, unasked": {func(f *Facts) { f.Plan.Levels[1].Approval = backout.Approval{Mode: backout.ApprovalNone} }, "approval", "L2"},
		"nobody to ask first at a later level": {func(f *Facts) {
			f.Plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalNone}
			f.Plan.Levels[1].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: 1, Groups: []string{"gone"}}
			f.Plan.Limits.TargetsPerHour = 1
		}, "approval", "L2"},
		"nobody to ask first": {func(f *Facts) {
			f.Plan.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: 1, Groups: []string{"gone"}}
		}, "approval", "L1"},
		"alerts only":    {func(f *Facts) { f.Plan.Verify.Checks = nil }, "verify", ""},
		"alerts ignored": {func(f *Facts) { f.Plan.Verify.IgnoreAlerts = true }, "verify", ""},
		"no hold":        {func(f *Facts) { f.Plan.Verify.HoldFor = 0 }, "verify", ""},
		"nobody who can act is told": {func(f *Facts) {
			f.Readers, f.Audiences = map[string]bool{"board": true, "record": true}, map[string][]string{"board": {"m"}, "record": {"m"}, "ops": {"m"}}
			f.Plan.Audience = []string{"record"}
			for i := range f.Plan.Levels {
				f.Plan.Levels[i].Audience = []string{"board", "ops"}
			}
			f.Plan.Levels[1].Audience = []string{"board"}
		}, "audience", "L2"},
		"looks too seldom": {func(f *Facts) { f.Plan.Verify.Every = backout.Duration(time.Hour) }, "verify", ""},
	} {
		f := good()
		tt.spoil(&f)
		r := Check(f)
		if !r.Passed() || len(r.Warnings) != 1 || r.Warnings[0].Check != tt.check || r.Warnings[0].Level != tt.level || r.Warnings[0].Fix == "" {
			t.Errorf("%s: passed %v, warnings %+v, violations %+v", name, r.Passed(), r.Warnings, r.Violations)
		}
	}
}

// TestEverythingMissing: no facts at all is a no with every reason at once.
func TestEverythingMissing(t *testing.T) {
	r := Check(Facts{})
	checks := map[string]bool{}
	for _, v := range r.Violations {
		checks[v.Check] = true
	}
	for _, want := range []string{CheckTargets, CheckWindow, CheckPlan} {
		if !checks[want] {
			t.Errorf("nothing about %s in %+v", want, r.Violations)
		}
	}
	if r.Passed() {
		t.Error("no facts, and the gate said yes")
	}
}

// TestTakingFactsAwayNeverHelps: what was a no stays one with less known.
func TestTakingFactsAwayNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := good()
		take := []func(){
			func() { f.Plan = nil }, func() { f.PlanHash = "" }, func() { f.Targets = nil }, func() { f.Groups = nil },
			func() { f.Now = time.Time{} }, func() { f.Change.Targets = nil }, func() { f.Change.Plan = "" },
		}
		taken := rapid.SliceOfNDistinct(rapid.IntRange(0, len(take)-1), 1, len(take), rapid.ID).Draw(t, "taken")
		for _, i := range taken {
			take[i]()
		}
		if Check(f).Passed() {
			t.Fatalf("without facts %v the gate said yes", taken)
		}
	})
}

// TestLooksAreTheTable: each no is a cell of its own check, each yes one of its
// executor, with what it would lose.
func TestLooksAreTheTable(t *testing.T) {
	f := good()
	no := func(check string) backout.Violation {
		return backout.Violation{Check: check, Target: "web1", Level: "L1", Reason: "r", Fix: "f"}
	}
	f.Answers[2].Violations = []backout.Violation{no("package"), no("package"), no("space")}
	want := []Look{
		{Target: "web1", Check: "reachable", OK: true},
		{Target: "web1", Check: "capture", OK: true},
		{Target: "web1", Level: "L1", Check: "package"},
		{Target: "web1", Level: "L1", Check: "space"},
		{Target: "web1", Level: "L2", Check: "command", OK: true, Loses: "data written since 09:00"},
	}
	r := Check(f)
	if diff := cmp.Diff(want, r.Looks[:5]); diff != "" || len(r.Violations) != 3 {
		t.Errorf("%d violations (-want +got):\n%s", len(r.Violations), diff)
	}
}

func TestValidForIsThePlansWord(t *testing.T) {
	f := good()
	f.Plan.Baseline.ValidFor = backout.Duration(time.Hour)
	if r := Check(f); !r.Certificate.ValidUntil.Equal(now.Add(time.Hour)) {
		t.Errorf("valid until %s", r.Certificate.ValidUntil)
	}
}
