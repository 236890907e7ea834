package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// hostileReady is what targets say of themselves, in every view of it.
func hostileReady(t *testing.T, s string, c backout.Change) {
	t.Helper()
	c.NotReady, c.Capture, c.Baselines, c.ValidUntil = c.Violations, &backout.Capture{Server: s}, map[string]string{s: s}, t0
	wantHarmless(t, Change(&c, Style{}, t0)+Opened(&c, Style{}, t0), true)
	looks := make([]handlers.GateLook, fewLooks+1)
	for i := range looks {
		looks[i] = handlers.GateLook{Target: s, Level: s, Check: s, Loses: s}
	}
	for _, all := range []bool{false, true} {
		wantHarmless(t, Gate(handlers.GateResult{ChangeID: s, Looks: looks, Violations: append(c.Violations, c.Violations...)}, Style{}, t0, all), true)
		wantHarmless(t, Drifts([]backout.Drift{{Target: s, Verdict: backout.DriftVerdict(s), Differences: []backout.Difference{{Part: s, Name: s, Was: s, Now: s}, {Part: s, Name: s, Was: s, Now: s, Ignored: s}}}}, Style{}, all), true)
		wantHarmless(t, Baseline(hostileBaseline(s), Style{}, all), true)
	}
	d := backout.Delta{Target: s, HistoryFrom: s, HistoryTo: s + s, Packages: []backout.PackageChange{{Name: s, Arch: s, From: s, To: s}}, Differences: []backout.Difference{{Part: s, Name: s, Was: s, Now: s}}}
	wantHarmless(t, Delta(&d, Style{})+Compared(&d, s, s, Style{}), true)
	wantHarmless(t, Tokens([]handlers.TokenStatus{{ID: s, Note: s, Owner: s, State: "revoked", RevokedBy: s, Reason: s, Grants: []backout.Grant{{Role: backout.Role(s), Labels: map[string]string{s: s}}}}}, Style{}, t0), true)
	wantHarmless(t, Holds([]backout.Hold{{ChangeID: s, Target: s, Packages: []string{s}, ReleasedAt: t0, ReleasedBy: s, Reason: s}}, Style{}, t0), true)
	wantHarmless(t, Ignores([]backout.IgnoreDrift{{Part: s, Name: s, Reason: s}}, Style{}), true)
}

func hostileBaseline(s string) *backout.Baseline {
	return &backout.Baseline{
		ChangeID: s, Target: s, Prepared: []backout.Prepared{{Uses: s, Facts: map[string]string{s: s}}},
		Inventory: backout.Inventory{
			Machine:  backout.Machine{Hostname: s, OS: s, Version: s, Arch: s, Kernel: s, BootID: s},
			Packages: backout.PackageState{Manager: s, Tool: s, History: s, Held: []string{s}, Installed: []backout.Package{{Name: s, Version: s, Arch: s, Repository: s, State: s}}},
			Units:    []backout.Unit{{Name: s, Enabled: s, Active: s}}, Ports: []backout.Port{{Protocol: s, Address: s}},
			Mounts: []backout.Mount{{Path: s, Source: s, Type: s, Options: s}}, Files: []backout.FileState{{Path: s, Kind: s, SHA256: s, Target: s, Mode: s, Owner: s}},
			AIDE: &backout.AIDEState{Version: s, Database: s},
		},
	}
}

// thousand is the gate's answer for a thousand targets of which some say no.
func thousand() handlers.GateResult {
	g := handlers.GateResult{ChangeID: "CHG1", PlanHash: "sha256:7f3a9c0011223344"}
	for i := range 1000 {
		name := fmt.Sprintf("web-%04d", i)
		bad := i%100 == 7
		g.Looks = append(g.Looks, handlers.GateLook{Target: name, Check: "capture", OK: true},
			handlers.GateLook{Target: name, Level: "L1", Check: "packages", OK: !bad},
			handlers.GateLook{Target: name, Level: "L2", Check: "space", OK: true, Loses: "data written since the snapshot"})
		if bad {
			g.Violations = append(g.Violations, backout.Violation{Check: "packages", Target: name, Level: "L1", Reason: "openssl 3.0.7-1 is in no repository", Fix: "write stash: true"})
		}
	}
	return g
}

func TestTheGateOfAThousandTargetsStaysReadable(t *testing.T) {
	want := `x gate refused for CHG1
LEVEL  CHECK     YES   NO
-      capture   1000  0
L1     packages  990   10
L2     space     1000  0
3000 answers of 1000 targets, each of them with --all
1000 targets L2: web-0000, web-0001, web-0002 and 997 more would lose data written since the snapshot
reasons:
CHECK     WHERE                                                   REASON                               WHAT TO DO
packages  10 targets L1: web-0007, web-0107, web-0207 and 7 more  openssl 3.0.7-1 is in no repository  write stash: true
`
	if diff := cmp.Diff(want, Gate(thousand(), Style{}, t0, false)); diff != "" {
		t.Error(diff)
	}
	all := Gate(thousand(), Style{}, t0, true)
	if n := strings.Count(all, "\n"); n != 3005 || !strings.Contains(all, "web-0907") || !strings.Contains(all, "WOULD LOSE") {
		t.Errorf("with --all it has %d lines", n)
	}
}

func TestAFewTargetsAreShownOneByOne(t *testing.T) {
	g := handlers.GateResult{ChangeID: "CHG1", Passed: true, PlanHash: "sha256:7f3a9c0011223344", ValidUntil: t0.Add(24 * time.Hour), Looks: []handlers.GateLook{
		{Target: "a", Check: "capture", OK: true}, {Target: "a", Level: "L2", Check: "space", OK: true, Loses: "data written since 01:55"},
	}}
	want := `+ gate passed for CHG1, plan 7f3a9c001122, valid until 2026-11-24 02:00:00 UTC (in 24h)
TARGET  LEVEL  CHECK    ANSWER  WOULD LOSE
a       -      capture  + yes   -
a       L2     space    + yes   data written since 01:55
`
	if diff := cmp.Diff(want, Gate(g, Style{}, t0, false)); diff != "" {
		t.Error(diff)
	}
	if got := Gate(g, Style{}, t0.Add(25*time.Hour), false); !strings.Contains(got, "stale since") {
		t.Errorf("a stale yes: %s", got)
	}
}

func TestReasonsBeyondAScreenAreCounted(t *testing.T) {
	var vs []backout.Violation
	for i := range 1000 {
		vs = append(vs, backout.Violation{Check: "capture", Target: fmt.Sprint("t", i), Reason: fmt.Sprint("no answer from 10.0.0.", i)})
	}
	out := Violations(vs, Style{})
	if n := strings.Count(out, "\n"); n != fewReasons+2 || !strings.HasSuffix(out, "and 950 more reasons\n") {
		t.Errorf("%d lines, the end is %q", n, out[len(out)-80:])
	}
	if line := Describe(backout.GateRefused{Violations: vs}); len(line) > 1000 || !strings.HasSuffix(line, "992 more reasons") {
		t.Errorf("the log's line: %s", line)
	}
}

func TestTargetsThatDriftAlikeShareATable(t *testing.T) {
	openssl := backout.Difference{Part: "packages", Name: "openssl", Was: "3.0.7-1", Now: "3.0.7-2"}
	expected := backout.Difference{Part: "packages", Name: "history", Was: "11", Now: "13", Ignored: "each rollback adds to it"}
	list := []backout.Drift{
		{Target: "a", Verdict: backout.DriftNone, Differences: []backout.Difference{expected}},
		{Target: "b", Verdict: backout.DriftSome, Differences: []backout.Difference{openssl, expected}},
		{Target: "c", Verdict: backout.DriftSome, Differences: []backout.Difference{openssl}},
		{Target: "d", Verdict: backout.DriftNotBack, Differences: []backout.Difference{{Part: "units", Name: "nginx.service", Was: "active", Now: "failed"}}},
		{Target: "e", Verdict: backout.DriftNone},
		{Target: "f", Verdict: backout.DriftSome, Differences: []backout.Difference{openssl}},
	}
	want := `x not back  d
  PART   NAME           BASELINE  NOW
  units  nginx.service  active    failed
~ healthy but drifted  b
  PART      NAME     BASELINE  NOW
  packages  openssl  3.0.7-1   3.0.7-2
  differences that are expected are left out, shown with --all
~ healthy but drifted  c, f
  PART      NAME     BASELINE  NOW
  packages  openssl  3.0.7-1   3.0.7-2
+ back to baseline  a
  differences that are expected are left out, shown with --all
+ back to baseline  e
`
	if diff := cmp.Diff(want, Drifts(list, Style{}, false)); diff != "" {
		t.Error(diff)
	}
	if all := Drifts(list, Style{}, true); !strings.Contains(all, "each rollback adds to it") {
		t.Errorf("with --all no rule is named: %s", all)
	}
}

func TestARolledBackTargetSaysHowItDiffers(t *testing.T) {
	r := backout.Rollback{ID: "R", OpenedAt: t0, Status: backout.RollbackRecovered, Frozen: backout.FrozenPlan{Plan: samplePlan()}, Targets: []backout.TargetState{{
		Name: "web-01", Phase: backout.TargetRecovered, RecoveredAt: t0.Add(time.Minute), Held: []string{"openssl-0:3.0.7-2.*"},
		Drift: &backout.DriftFound{Verdict: backout.DriftSome, Summary: "1 file"},
	}}}
	if out := Tree(Picture{Rollback: r, Now: t0}, Style{}); !strings.Contains(out, "recovered after 01:00, healthy but drifted: 1 file, holds openssl-0:3.0.7-2.*\n") {
		t.Error(out)
	}
}
