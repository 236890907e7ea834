package backout_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/host/attempt"
)

// constants reads the values of a string type's constants, so that a new one
// cannot be forgotten in the tables below.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
		}
		return true
	})
	return values
}

func TestStatesOfAChange(t *testing.T) {
	type answer struct{ Final, Live bool }
	want := map[string]answer{
		"planned": {}, "ready": {}, "open": {Live: true}, "watching": {Live: true}, "backing_out": {Live: true},
		"backed_out": {Final: true}, "backout_failed": {Final: true}, "closed": {Final: true}, "cancelled": {Final: true},
	}
	got := map[string]answer{}
	for _, s := range constants(t, "change.go", "ChangeState") {
		got[s] = answer{backout.ChangeState(s).Final(), backout.ChangeState(s).Live()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := backout.ChangeState(""); s.Final() || s.Live() {
		t.Error("no state is neither final nor live")
	}
}

func TestStatesOfARollback(t *testing.T) {
	want := map[string]bool{
		"pending": false, "running": false, "verifying": false, "awaiting_approval": false, "held": false, "aborting": false,
		"recovered": true, "exhausted": true, "aborted": true, "cancelled": true,
	}
	got := map[string]bool{}
	for _, s := range constants(t, "rollback.go", "RollbackStatus") {
		got[s] = backout.RollbackStatus(s).Final()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestActiveRollbackIsTheOneThatHoldsTheTarget(t *testing.T) {
	c := backout.Change{Rollbacks: []backout.RollbackRef{
		{ID: "r1", Targets: []string{"web1", "web2"}, Status: backout.RollbackRecovered},
		{ID: "r2", Targets: []string{"web2"}, Status: backout.RollbackHeld},
		{ID: "r3", Targets: []string{"web1", "web3"}, Status: backout.RollbackPending},
		{ID: "r4", Targets: []string{"web4"}, Status: backout.RollbackCancelled},
		{ID: "r5", Status: backout.RollbackRunning},
	}}
	for target, want := range map[string]string{
		"web1": "r3", "web2": "r2", "web3": "r3", "web4": "", "web": "", "WEB1": "", "": "", "other": "",
	} {
		if got := c.ActiveRollback(target); got != want {
			t.Errorf("%q is held by %q, want %q", target, got, want)
		}
	}
	if got := (&backout.Change{}).ActiveRollback("web1"); got != "" {
		t.Errorf("a change without rollbacks has %q", got)
	}
}

func TestLevelsAreClimbedFromTheStart(t *testing.T) {
	plan := backout.Plan{Levels: []backout.Level{{Name: "L1"}, {Name: "L2"}, {Name: "L3"}}}
	name := func(l *backout.Level) string {
		if l == nil {
			return ""
		}
		return l.Name
	}
	for _, tt := range []struct {
		startAt, level int
		current, next  string
	}{
		{0, -1, "", "L1"},
		{1, -1, "", "L2"},
		{2, -1, "", "L3"},
		{3, -1, "", ""},
		{0, 0, "L1", "L2"},
		{1, 1, "L2", "L3"},
		{0, 2, "L3", ""},
		{2, 2, "L3", ""},
		{0, 3, "", ""},
	} {
		r := backout.Rollback{StartAt: tt.startAt, Level: tt.level, Frozen: backout.FrozenPlan{Plan: plan}}
		if current, next := name(r.CurrentLevel()), name(r.NextLevel()); current != tt.current || next != tt.next {
			t.Errorf("started at %d, in %d: current %q, next %q; want %q, %q", tt.startAt, tt.level, current, next, tt.current, tt.next)
		}
	}
	empty := backout.Rollback{Level: -1}
	if empty.CurrentLevel() != nil || empty.NextLevel() != nil {
		t.Error("a plan without levels has one")
	}
}

func TestTargetIsTheRollbacksOwn(t *testing.T) {
	r := backout.Rollback{Targets: []backout.TargetState{{Name: "web1"}, {Name: "web2"}}}
	r.Target("web2").Phase = backout.TargetRecovered
	if r.Targets[1].Phase != backout.TargetRecovered || r.Targets[0].Phase != "" {
		t.Errorf("%+v", r.Targets)
	}
	if r.Target("web3") != nil || r.Target("") != nil {
		t.Error("a target that is not there was found")
	}
}

func TestApprovalsCountWhoApproves(t *testing.T) {
	a := backout.Ask{Votes: []backout.Vote{{User: "ann", Choice: backout.ChoiceApprove}, {User: "bob", Choice: backout.ChoiceDeny}, {User: "eve"}, {User: "joe", Choice: backout.ChoiceApprove}}}
	if got := a.Approvals(); got != 2 {
		t.Errorf("%d approvals, want 2", got)
	}
	if got := (&backout.Ask{}).Approvals(); got != 0 {
		t.Errorf("%d approvals without a vote", got)
	}
}

func TestMomentsListsEveryMoment(t *testing.T) {
	var listed []string
	for _, m := range backout.Moments() {
		listed = append(listed, string(m))
	}
	declared := constants(t, "notice.go", "Moment")
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("-declared +listed:\n%s", diff)
	}
}

func TestAlertName(t *testing.T) {
	if got := (&backout.Alert{Labels: map[string]string{"alertname": "Down", "name": "x"}}).Name(); got != "Down" {
		t.Errorf("%q", got)
	}
	if got := (&backout.Alert{}).Name(); got != "" {
		t.Errorf("%q", got)
	}
}

// changeID draws ids that a change may have, and among them those that would be
// taken for something else.
func changeID(t *rapid.T) string {
	id := rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`),
		rapid.SampledFrom([]string{
			"0", "a..", "a-", "x.service", "CHG1-r1", "CHG1-r1.L1.s1.t1.a1", "CHG1-r1.L9.s99.t99.a99", "r1.L1", "L1.s1.t1.a1", "a.tmp", "1e9", "0x10",
			strings.Repeat("9", 64), "z" + strings.Repeat(".", 63), "Z" + strings.Repeat("-", 63),
		}),
	).Draw(t, "change id")
	spec := backout.ChangeSpec{ID: id, Targets: []string{"web1"}, Plan: "p"}
	if v := change.Validate(spec); len(v) != 0 {
		t.Fatalf("%q is not a change's id: %v", id, v)
	}
	return id
}

var attemptID = regexp.MustCompile(`^(.+)-r([0-9]+)\.L([0-9]+)\.s([0-9]+)\.t([0-9]+)\.a([0-9]+)$`)

// Whatever a change may be called: its attempts are safe file names, which every
// target takes, and no two of them are the same.
func TestAttemptIDIsASafeFileName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		change := changeID(t)
		count := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(t, name) }
		number, level, step, target, try := count("rollback", 1, 100_000), count("level", 0, 8), count("step", 0, 10_000), count("target", 0, 9_999), count("try", 1, 1_000_000)
		id := backout.AttemptID(change+"-r"+strconv.Itoa(number), level, step, target, try)
		if err := attempt.CheckID(id); err != nil {
			t.Error(err)
		}
		if filepath.Base(id) != id || !filepath.IsLocal(id) || strings.ContainsAny(id[:1], ".-~") || len(id) > 200 {
			t.Errorf("%q is not a safe file name", id)
		}
		parts := attemptID.FindStringSubmatch(id)
		if parts == nil {
			t.Fatalf("%q does not say what it is an attempt of", id)
		}
		want := []string{id, change}
		for _, n := range []int{number, level + 1, step + 1, target + 1, try} {
			want = append(want, strconv.Itoa(n))
		}
		if diff := cmp.Diff(want, parts); diff != "" {
			t.Errorf("two attempts may share the id %q:\n%s", id, diff)
		}
	})
	if got := backout.AttemptID("CHG1-r1", 0, 0, 2, 1); got != "CHG1-r1.L1.s1.t3.a1" {
		t.Errorf("%q", got)
	}
}

// The root says what an id is; the core and the targets must agree, or a change
// could be planned whose steps cannot start.
func TestIDsThatAreNoFileNamesAreRefusedAtTheDoor(t *testing.T) {
	for _, id := range []string{
		"", ".", "..", "../x", "a/b", `a\b`, "-rf", "--help", ".hidden", "_x", "a b", "a\nb", "a\x00b", "a;b", "$(id)", "a*", "~", "é", "ａ", "a:b", strings.Repeat("a", 65),
	} {
		if v := change.Validate(backout.ChangeSpec{ID: id, Targets: []string{"web1"}, Plan: "p"}); len(v) == 0 {
			t.Errorf("%q may be a change's id", id)
		}
	}
}

func TestLostIsWhatExecutorsSaidLast(t *testing.T) {
	r := backout.Rollback{Loses: map[string]string{"L2": "data written since 18:00"}}
	r.Frozen.Plan.Levels = []backout.Level{{Name: "L1"}, {Name: "L2", Loses: "data"}, {Name: "L3", Loses: "everything"}}
	for level, want := range map[int]string{-1: "", 0: "", 1: "data written since 18:00", 2: "everything", 3: ""} {
		if got := r.Lost(level, time.Time{}); got != want {
			t.Errorf("level %d: %q, want %q", level, got, want)
		}
	}
}

// TestLostIsAsOld: a question that is asked half an hour after the last look says so.
func TestLostIsAsOld(t *testing.T) {
	now := time.Date(2026, 11, 26, 18, 32, 5, 0, time.UTC)
	for said, want := range map[string]string{
		"":                                      "orders",
		"rows of the plan":                      "rows of the plan",
		"data since 2026-11-26T18:00Z (0s ago)": "data since 2026-11-26T18:00Z (32m ago)",
		"a since 2026-11-26T18:00Z (0s ago) on /; b since 2026-11-25T18:00Z (23h ago)": "a since 2026-11-26T18:00Z (32m ago) on /; b since 2026-11-25T18:00Z (24h32m ago)",
		"data since 2026-11-26T19:00Z (0s ago)":                                        "data since 2026-11-26T19:00Z (0s ago)",
		"data since 2026-99-26T19:00Z (0s ago)":                                        "data since 2026-99-26T19:00Z (0s ago)",
	} {
		r := backout.Rollback{Loses: map[string]string{"L2": said}}
		r.Frozen.Plan.Levels = []backout.Level{{Name: "L1"}, {Name: "L2", Loses: "orders"}}
		if got := r.Lost(1, now); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}

func TestAbridgedNotice(t *testing.T) {
	n := backout.Notice{ID: "C1.1.1", Reason: "no way back", PlanText: strings.Repeat("step\n", 1000), Labels: map[string]string{"team": "web"}}
	for i := range 1000 {
		n.Targets = append(n.Targets, fmt.Sprint("web-", i))
	}
	short := n.Abridged()
	if data, err := json.Marshal(short); err != nil || len(data) > 1000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if short.ID != n.ID || len(short.Targets) != 20 || short.Labels["team"] != "web" || !strings.Contains(short.Reason, "no way back (1000 targets in all") || len(n.Targets) != 1000 {
		t.Errorf("%+v", short)
	}
}
