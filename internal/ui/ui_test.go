package ui

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func render(t *testing.T, s Status) string {
	t.Helper()
	s.Now = now
	var out strings.Builder
	if err := Page(&out, s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func plan(levels int) backout.FrozenPlan {
	return backout.FrozenPlan{Plan: backout.Plan{Levels: []backout.Level{{Name: "L1"}, {Name: "L2"}, {Name: "L3"}}[:levels]}}
}

func TestPageIsOrderedByWhatIsDueFirst(t *testing.T) {
	page := render(t, Status{Rollbacks: []backout.Rollback{
		{ID: "late", Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Hour)},
		{ID: "soon", Status: backout.RollbackVerifying, Frozen: plan(3), Level: 1, LevelDeadline: now.Add(4*time.Minute + 10*time.Second)},
		{ID: "asking", Status: backout.RollbackAwaiting, Frozen: plan(3), Level: -1, Ask: &backout.Ask{Deadline: now.Add(time.Minute), Policy: backout.Approval{Votes: 2}}},
		{ID: "stuck", Status: backout.RollbackHeld, HeldReason: "limit reached", Frozen: plan(3), LevelDeadline: now.Add(time.Second)},
	}})
	order := []string{">stuck<", ">asking<", ">soon<", ">late<"}
	at := make([]int, len(order))
	for i, id := range order {
		at[i] = strings.Index(page, id)
	}
	if slices.Contains(at, -1) || !slices.IsSorted(at) {
		t.Errorf("order %v", at)
	}
	for _, part := range []string{
		"in 4m10s", "2026-11-23 02:04:10 UTC", "nothing: a person must act", "limit reached", "L2 of 3", "before L1 of 3", "0 of 2 approvals",
		"awaiting approval", "<title>(4) backout</title>",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

func TestAPausedRollbackHasNoDeadline(t *testing.T) {
	page := render(t, Status{Rollbacks: []backout.Rollback{{
		ID: "r", Status: backout.RollbackRunning, PausedAt: now, LevelDeadline: now.Add(time.Minute), Frozen: plan(1),
		Targets: []backout.TargetState{{Name: "a", Phase: backout.TargetRecovered}, {Name: "b"}},
	}}})
	if strings.Contains(page, "in 1m") || !strings.Contains(page, "(paused)") || !strings.Contains(page, "1 of 2") {
		t.Error(page)
	}
}

func TestAQuietPageSaysSo(t *testing.T) {
	page := render(t, Status{Version: "1.0"})
	for _, part := range []string{"Nothing is being rolled back", "No window is open", "<title>backout</title>"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

func TestBannersSayWhatIsWrong(t *testing.T) {
	page := render(t, Status{NotReady: "no storage", Paused: &Pause{By: "alice", Reason: "storm", At: now.Add(-90 * time.Second)}})
	for _, part := range []string{"not ready</strong> no storage", "paused</strong> by alice, 1m30s ago: storm"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

func TestManyTargetsAndChangesStaySmall(t *testing.T) {
	names := slices.Repeat([]string{"web.example.net"}, 1000)
	s := Status{MoreChanges: 9900}
	for range 100 {
		s.Changes = append(s.Changes, backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG0030001", Targets: names}, State: backout.ChangeWatching, WatchUntil: now})
	}
	page := render(t, s)
	if len(page) > 100<<10 || !strings.Contains(page, "and 992 more") || !strings.Contains(page, "and 9900 more") {
		t.Errorf("%d bytes", len(page))
	}
}

// TestThePolicyAllowsTheStyleAndNothingElse: the hash in the policy is that of
// the style as the page carries it, or the browser would show none.
func TestThePolicyAllowsTheStyleAndNothingElse(t *testing.T) {
	_, rest, _ := strings.Cut(render(t, Status{}), "<style>")
	css, _, ok := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(css))
	if !ok || !strings.Contains(Policy(), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("policy %s does not fit the style", Policy())
	}
	for _, part := range []string{"default-src 'none'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(Policy(), part) {
			t.Errorf("policy lacks %s", part)
		}
	}
	for _, part := range []string{"unsafe", "script"} {
		if strings.Contains(Policy(), part) {
			t.Errorf("policy has %s", part)
		}
	}
	if page := render(t, Status{}); strings.Contains(page, " style=") || strings.Contains(page, "<script") {
		t.Error("the page has what its policy forbids")
	}
}

func TestInputIsNotReordered(t *testing.T) {
	in := []backout.Rollback{{ID: "b", LevelDeadline: now.Add(time.Hour)}, {ID: "a", LevelDeadline: now}}
	render(t, Status{Rollbacks: in})
	if in[0].ID != "b" {
		t.Error("the caller's slice was sorted")
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailingWriterIsReported(t *testing.T) {
	if err := Page(brokenWriter{}, Status{}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// TestThePageSaysWhatKeepsTheWayBackPossible: readiness, captures, drift and holds.
func TestThePageSaysWhatKeepsTheWayBackPossible(t *testing.T) {
	var reasons []backout.Violation
	for range 7 {
		reasons = append(reasons, backout.Violation{Check: "space", Target: "db-01", Level: "L2", Reason: "the snapshot is <full>"})
	}
	page := render(t, Status{
		Changes: []backout.Change{
			{ChangeSpec: backout.ChangeSpec{ID: "CHG1"}, State: backout.ChangeOpen, NotReady: reasons},
			{ChangeSpec: backout.ChangeSpec{ID: "CHG2"}, State: backout.ChangeReady, Capture: &backout.Capture{Server: "b1", BeganAt: now.Add(-time.Minute), Opening: true}},
		},
		Rollbacks: []backout.Rollback{{ID: "r", Frozen: plan(1), Targets: []backout.TargetState{
			{Name: "a", Phase: backout.TargetRecovered, Drift: &backout.DriftFound{Verdict: backout.DriftSome}}, {Name: "b", Phase: backout.TargetRecovered, Drift: &backout.DriftFound{Verdict: backout.DriftNone}},
		}}},
		Holds: []backout.Hold{{ChangeID: "CHG0", Target: "web-01", Packages: []string{"openssl<1>"}, PlacedAt: now.Add(-time.Hour)}}, MoreHolds: 3,
	})
	for _, part := range []string{
		"the way back would not work", "db-01 L2 space: the snapshot is &lt;full&gt;", "and 2 more", "baselines are being captured to open the window by b1, begun 1m ago",
		"2 of 2, 1 drifted", "openssl&lt;1&gt;", "1h ago", "and 3 more",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if page := render(t, Status{HoldsUnknown: "no storage"}); !strings.Contains(page, "Not known: no storage") {
		t.Error("holds that are not known look like none")
	}
}

// TestBlindMonitoringIsNoQuietPage: nobody may take a page without red for good news.
func TestBlindMonitoringIsNoQuietPage(t *testing.T) {
	quiet := render(t, Status{})
	for _, part := range []string{"✔ Nothing is being rolled back", "<title>backout</title>"} {
		if !strings.Contains(quiet, part) {
			t.Errorf("a quiet page lacks %q", part)
		}
	}
	if strings.Contains(quiet, "blind") {
		t.Error("a quiet page speaks of blindness")
	}
	page := render(t, Status{Blind: &Blind{Since: now.Add(-10 * time.Minute), LastSeen: now.Add(-20 * time.Minute)}})
	for _, part := range []string{"<title>BLIND backout</title>", "monitoring is blind", "10m ago", "2026-11-23 01:40:00 UTC", "nothing counts as recovered"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(page, "✔") {
		t.Error("something is good while nobody would tell that it is not")
	}
	if never := render(t, Status{Blind: &Blind{Since: now}}); !strings.Contains(never, "has never come") {
		t.Error("the page does not say that it never came")
	}
	if page := render(t, Status{Unwatched: true}); !strings.Contains(page, "nothing would show that monitoring is down") {
		t.Error("the page does not say that nothing is watched")
	}
}
