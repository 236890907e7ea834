package change

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// TestEveryRequestInEveryState calls Decide for each pair, so that none is
// forgotten: it either yields events or says no with one of the promised errors.
func TestEveryRequestInEveryState(t *testing.T) {
	for state, c := range oneOfEach() {
		for _, do := range everyRequest(c) {
			events, err := Decide(c, Input{At: start.Add(time.Minute), By: "alice", Do: do})
			if err == nil {
				for _, e := range events {
					c := Apply(c, 7, start, e)
					if c.Revision != 7 {
						t.Errorf("%s, %T: revision %d after Apply in record 7", state, do, c.Revision)
					}
				}
				continue
			}
			if class(err) == "?" {
				t.Errorf("%s, %T: error wraps no sentinel: %v", state, do, err)
			}
		}
	}
}

// TestApplyIsTotal folds every event there is onto a change in every state.
func TestApplyIsTotal(t *testing.T) {
	for state, c := range oneOfEach() {
		for _, e := range backout.Events() {
			if got := Apply(c, 9, start, e).Revision; got != 9 {
				t.Errorf("%s, %s: revision %d, want 9", state, e.Kind(), got)
			}
		}
	}
}

// TestApplySharesNothingWithTheEvent changes the event afterwards.
func TestApplySharesNothingWithTheEvent(t *testing.T) {
	spec := backout.ChangeSpec{ID: "CHG1", Targets: []string{"a"}, Labels: map[string]string{"k": "v"}, Stakeholders: []string{"s"}}
	frozen := testFrozen()
	violations := []backout.Violation{{Check: "plan"}}
	targets := []string{"a"}
	var c backout.Change
	for _, e := range []backout.Event{
		backout.Planned{Spec: spec},
		backout.GateRefused{Violations: violations},
		backout.WindowOpened{Frozen: frozen},
		backout.RollbackRequested{Opened: backout.Opened{RollbackID: "R1", Targets: targets}},
	} {
		c = Apply(c, 1, start, e)
	}
	spec.Targets[0], spec.Labels["k"], spec.Stakeholders[0] = "x", "x", "x"
	violations[0].Check, targets[0] = "x", "x"
	frozen.Plan.Levels[0].Steps[0].Uses = "x"
	frozen.Plan.Levels[1].Approval.Groups[0] = "x"
	frozen.Plan.Audience[0] = "x"
	got := []string{
		c.Targets[0], c.Labels["k"], c.Stakeholders[0], c.Violations[0].Check, c.Rollbacks[0].Targets[0],
		c.Frozen.Plan.Levels[0].Steps[0].Uses, c.Frozen.Plan.Levels[1].Approval.Groups[0], c.Frozen.Plan.Audience[0],
	}
	want := []string{"a", "v", "s", "plan", "a", "command", "sre", "ops"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the change follows the event's slices (-want +got):\n%s", diff)
	}
}

// TestOpenNeedsTheGatesYes: only a yes for this plan and these targets opens.
func TestOpenNeedsTheGatesYes(t *testing.T) {
	c := capturing(oneOfEach()[backout.ChangeReady])
	if events, err := Decide(c, Input{At: start, Do: opening(c)}); err != nil || len(events) != 3 {
		t.Fatalf("with a yes: %v, %v", events, err)
	}
	but := func(spoil func(*Gate)) Gate {
		g := yes(c)
		spoil(&g)
		return g
	}
	for name, g := range map[string]Gate{
		"no answer":           {},
		"other plan":          but(func(g *Gate) { g.PlanHash = "sha256:2" }),
		"other targets":       but(func(g *Gate) { g.Targets = []string{"a"} }),
		"no targets":          but(func(g *Gate) { g.Targets = nil }),
		"no baselines":        but(func(g *Gate) { g.Baselines = nil }),
		"one baseline":        but(func(g *Gate) { delete(g.Baselines, "b") }),
		"went stale just now": but(func(g *Gate) { g.ValidUntil = start }),
		"never valid":         but(func(g *Gate) { g.ValidUntil = time.Time{} }),
		"a no":                but(func(g *Gate) { g.Violations = []backout.Violation{{Check: "overlap", Reason: "CHG2 is open on a"}} }),
	} {
		do := opening(c)
		do.Gate = g
		events, err := Decide(c, Input{At: start, Do: do})
		if !errors.Is(err, backout.ErrRefused) || len(events) > 0 {
			t.Errorf("%s: got %v, %v; want refused", name, events, err)
		}
		if name == "a no" {
			if re, ok := errors.AsType[*backout.RefusedError](err); !ok || len(re.Violations) != 1 {
				t.Errorf("a no: the error does not carry the violations: %v", err)
			}
		}
	}
}

// TestRollbackRequestMustBeAboutTheChange lists what a request must carry.
func TestRollbackRequestMustBeAboutTheChange(t *testing.T) {
	c := oneOfEach()[backout.ChangeOpen]
	good := backout.Opened{
		RollbackID: "R1", ChangeID: c.ID, Frozen: testFrozen(), Targets: []string{"a"}, StartAt: 1,
		Trigger: backout.Trigger{By: "alice"},
	}
	for name, spoil := range map[string]func(*backout.Opened){
		"good":            func(*backout.Opened) {},
		"other change":    func(o *backout.Opened) { o.ChangeID = "CHG2" },
		"no id":           func(o *backout.Opened) { o.RollbackID = "" },
		"no trigger":      func(o *backout.Opened) { o.Trigger = backout.Trigger{} },
		"other plan":      func(o *backout.Opened) { o.Frozen.Hash = "sha256:2" },
		"level too high":  func(o *backout.Opened) { o.StartAt = 2 },
		"level below":     func(o *backout.Opened) { o.StartAt = -1 },
		"no target":       func(o *backout.Opened) { o.Targets = nil },
		"foreign target":  func(o *backout.Opened) { o.Targets = []string{"a", "x"} },
		"other baseline":  func(o *backout.Opened) { o.Baselines = map[string]string{"a": "sha256:other"} },
		"repeated target": func(o *backout.Opened) { o.Targets = []string{"a", "a"} },
	} {
		o := good
		spoil(&o)
		_, err := Decide(c, Input{At: start, Do: RequestRollback{backout.RollbackRequested{Opened: o}}})
		if name == "good" && err != nil || name != "good" && !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecideWithoutTimeRequestOrChange(t *testing.T) {
	for name, tt := range map[string]struct {
		c    backout.Change
		in   Input
		want error
	}{
		"no request": {oneOfEach()[backout.ChangeOpen], Input{At: start}, backout.ErrInvalid},
		"no time":    {oneOfEach()[backout.ChangeOpen], Input{Do: Tick{}}, backout.ErrInvalid},
		"no change":  {backout.Change{}, Input{At: start, Do: Close{}}, backout.ErrNotFound},
	} {
		if events, err := Decide(tt.c, tt.in); !errors.Is(err, tt.want) || len(events) > 0 {
			t.Errorf("%s: got %v, %v; want %v", name, events, err, tt.want)
		}
	}
}

func TestPatchingIsNotTriedAgainAfterARollback(t *testing.T) {
	c := oneOfEach()[backout.ChangeOpen]
	c.Rollbacks = []backout.RollbackRef{{ID: "R1", Targets: []string{"a"}, Status: backout.RollbackRecovered}}
	if _, err := Decide(c, Input{At: start, Do: PatchStarted{}}); !errors.Is(err, backout.ErrRefused) {
		t.Errorf("got %v, want refused", err)
	}
}

func TestNextOpening(t *testing.T) {
	window := backout.Window{Opens: start, Closes: start.Add(time.Hour), Auto: true}
	no := []backout.Violation{{Check: "plan"}}
	for name, tt := range map[string]struct {
		change backout.Change
		want   time.Time
	}{
		"by hand":                  {backout.Change{ChangeSpec: backout.ChangeSpec{Window: backout.Window{Opens: start}}}, time.Time{}},
		"at its time":              {backout.Change{ChangeSpec: backout.ChangeSpec{Window: window}}, start},
		"refused early":            {backout.Change{ChangeSpec: backout.ChangeSpec{Window: window}, GateAt: start.Add(-time.Hour), Violations: no}, start},
		"refused at its time":      {backout.Change{ChangeSpec: backout.ChangeSpec{Window: window}, GateAt: start, Violations: no}, start.Add(GateRetry)},
		"refused until it is over": {backout.Change{ChangeSpec: backout.ChangeSpec{Window: window}, GateAt: start.Add(time.Hour - time.Second), Violations: no}, time.Time{}},
	} {
		tt.change.State = backout.ChangePlanned
		got, ok := NextDeadline(tt.change)
		if ok != !tt.want.IsZero() || !got.Equal(tt.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, ok, tt.want)
		}
	}
}

func TestTellsEachAudienceOnceAndNobodyIsNotEveryone(t *testing.T) {
	c := backout.Change{ChangeSpec: backout.ChangeSpec{
		ID: "CHG1", Title: "openssl", Targets: []string{"a"}, Stakeholders: []string{"owners", "ops", ""},
		Patch:  backout.Patch{CVEs: []string{"CVE-2026-1"}},
		Labels: map[string]string{"team": "web"},
		Window: backout.Window{Closes: start.Add(time.Hour), Watch: backout.Duration(2 * time.Hour)},
	}, State: backout.ChangeReady}
	opened := backout.WindowOpened{Frozen: testFrozen()}
	var got []string
	for _, n := range Tells(c, start, opened, "duty", "owners") {
		got = append(got, n.Audience)
		if n.ID != "" || n.ChangeID != "CHG1" || n.Title != "openssl" || !n.At.Equal(start) || !n.Deadline.Equal(start.Add(time.Hour)) ||
			n.Labels["team"] != "web" || n.PlanHash != opened.Frozen.Hash || !slices.Equal(n.Targets, c.Targets) || !slices.Equal(n.CVEs, c.Patch.CVEs) || !strings.Contains(n.IfNobodyActs, "2h") {
			t.Errorf("notice %+v", n)
		}
	}
	if diff := cmp.Diff([]string{"ops", "owners", "duty"}, got); diff != "" {
		t.Errorf("audiences (-want +got):\n%s", diff)
	}
	c.Stakeholders = nil
	for name, tt := range map[string]struct {
		event backout.Event
		want  int
	}{
		"refused, nobody named":   {backout.GateRefused{Violations: []backout.Violation{{Check: "plan"}}}, 0},
		"cancelled, never opened": {backout.ChangeEnded{State: backout.ChangeCancelled}, 0},
		"patch started":           {backout.PatchStarted{}, 0},
	} {
		if got := Tells(c, start, tt.event); len(got) != tt.want {
			t.Errorf("%s: %d notices, want %d", name, len(got), tt.want)
		}
	}
}

// TestTheEndSaysWhatBecameOfTheChange: as data, for records that close by it.
func TestTheEndSaysWhatBecameOfTheChange(t *testing.T) {
	c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Stakeholders: []string{"record"}}, State: backout.ChangeWatching, OpenedAt: start}
	for _, state := range []backout.ChangeState{backout.ChangeClosed, backout.ChangeBackedOut, backout.ChangeBackoutFailed} {
		got := Tells(c, start, backout.ChangeEnded{State: state})
		if len(got) != 1 || got[0].Moment != backout.MomentWindowClosed || got[0].Outcome != state {
			t.Errorf("%s: %+v", state, got)
		}
	}
	if got := Tells(c, start, backout.WindowOpened{Frozen: testFrozen()}); len(got) == 0 || got[0].Outcome != "" {
		t.Errorf("a window that opens has an outcome: %+v", got)
	}
}

func oneOfEach() map[backout.ChangeState]backout.Change {
	out := map[backout.ChangeState]backout.Change{"": {}}
	frozen := testFrozen()
	for _, s := range []backout.ChangeState{
		backout.ChangePlanned, backout.ChangeReady, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut,
		backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled,
	} {
		c := backout.Change{State: s, PlannedAt: start, ChangeSpec: backout.ChangeSpec{
			ID: "CHG1", Plan: "web", Targets: []string{"a", "b"},
			Window: backout.Window{Opens: start, Closes: start.Add(time.Hour), Watch: backout.Duration(time.Hour)},
		}}
		if s != backout.ChangePlanned && s != backout.ChangeReady {
			c.Frozen, c.OpenedAt = &frozen, start
		}
		if s == backout.ChangeWatching {
			c.WatchUntil = start.Add(time.Hour)
		}
		if s == backout.ChangeBackingOut {
			c.Rollbacks = []backout.RollbackRef{{ID: "R1", Targets: []string{"a"}, Status: backout.RollbackPending}}
		}
		out[s] = c
	}
	return out
}

// capturing is the change while server s1 captures its baselines to open it.
func capturing(c backout.Change) backout.Change {
	return Apply(c, c.Revision+1, start, backout.BaselineBegan{Number: c.Captures + 1, Server: "s1", Opening: true})
}

func everyRequest(c backout.Change) []Request {
	gate := yes(c)
	return []Request{
		Plan{Spec: c.ChangeSpec},
		gate,
		Gate{},
		Gate{Violations: []backout.Violation{{Check: "plan"}}},
		opening(c),
		Open{Frozen: testFrozen(), Gate: gate},
		BeginCapture{Server: "s1", Opening: true},
		BeginCapture{},
		Captured{Number: c.Captures, Baselines: digests("baseline", c.Targets)},
		Captured{},
		CaptureFailed{Number: c.Captures, Violations: []backout.Violation{{Check: "capture"}}},
		CaptureFailed{},
		RecordDeltas{Deltas: digests("delta", c.Targets), PatchedAt: c.PatchedAt},
		RecordDeltas{Deltas: digests("delta", []string{"x"}), PatchedAt: c.PatchedAt},
		Readiness{Violations: []backout.Violation{{Check: "reachable"}}},
		Readiness{},
		Extend{Closes: start.Add(5 * time.Hour)},
		Extend{},
		Close{},
		Cancel{},
		PatchStarted{},
		PatchEnded{ExitCode: 1},
		PatchEnded{Targets: []string{"a"}},
		Tick{},
		RequestRollback{backout.RollbackRequested{Opened: backout.Opened{
			RollbackID: "R2", ChangeID: c.ID, Frozen: testFrozen(), Targets: []string{"b"}, Trigger: backout.Trigger{By: "bob"},
		}}},
		RollbackEnded{RollbackID: "R1", Status: backout.RollbackRecovered},
		RollbackEnded{},
		RecordVerdict{backout.Verdict{ChangeID: c.ID}},
		RecordVerdict{},
		JudgeRule{Rule: "R", Agree: true},
	}
}
