package rollback

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// TestLaws drives random rollbacks with random inputs and checks the laws of the
// core after every one of them.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newLawWorld(rt)
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			w.step(rt)
		}
	})
}

// lawWorld is one rollback under test with everything its laws speak of.
type lawWorld struct {
	r        backout.Rollback
	now      time.Time
	seq      uint64
	records  []backout.Record
	started  map[string]int // attempts, by how often their start was allowed
	entered  []int
	told     map[string]bool // "moment level audience"
	outcomes map[string]bool
	in       Input
	asked    askWorld
	// askFirst tells that a rule or a limit asks, unasked that an approver has answered it
	// in place of a group.
	askFirst, unasked bool
}

func newLawWorld(rt *rapid.T) *lawWorld {
	w := &lawWorld{now: time.Date(2026, 1, 2, 2, 0, 0, 0, time.UTC), started: map[string]int{}, told: map[string]bool{}, outcomes: map[string]bool{}, asked: newAskWorld()}
	opened := backout.Opened{
		RollbackID: "CHG1-r1", ChangeID: "CHG1", Requester: "rita",
		Frozen:  backout.FrozenPlan{Plan: drawPlan(rt), Hash: "sha256:00"},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: "R"}},
		Alert:   &backout.AlertRef{Fingerprint: "f0", Target: "web-0"},
	}
	for i := range rapid.IntRange(1, 4).Draw(rt, "targets") {
		name := fmt.Sprintf("web-%d", i)
		opened.Targets = append(opened.Targets, name)
		if rapid.Bool().Draw(rt, "baseline") {
			if opened.Baselines == nil {
				opened.Baselines = map[string]string{}
			}
			opened.Baselines[name] = "sha256:base"
		}
	}
	opened.StartAt = rapid.IntRange(0, len(opened.Frozen.Plan.Levels)-1).Draw(rt, "start_at")
	if rapid.Bool().Draw(rt, "for") {
		opened.StartAfter = w.now.Add(2 * time.Minute)
	}
	opened.Patch.CVEs = rapid.SampledFrom([][]string{nil, {"CVE-1"}}).Draw(rt, "cves")
	opened.Exploited = rapid.SampledFrom([][]string{nil, opened.Patch.CVEs}).Draw(rt, "exploited")
	if rapid.IntRange(0, 3).Draw(rt, "ask_first") == 0 {
		opened.AskFirst = "mode ask"
	}
	w.askFirst = opened.AskFirst != ""
	w.apply(rt, Open{Opened: opened})
	return w
}

func drawPlan(rt *rapid.T) backout.Plan {
	p := backout.Plan{
		Name: "p", Author: "paul", DataMigration: rapid.SampledFrom([]backout.DataMigration{"none", "none", "forward_only"}).Draw(rt, "data"),
		Audience: []string{"ops"},
		Verify:   backout.Verify{Every: backout.Duration(15 * time.Second), HoldFor: backout.Duration(rapid.IntRange(0, 3).Draw(rt, "hold")) * backout.Duration(time.Minute)},
	}
	for i := range rapid.IntRange(1, 3).Draw(rt, "levels") {
		l := backout.Level{
			Name: fmt.Sprintf("L%d", i+1), EscalateAfter: backout.Duration(30 * time.Minute), Audience: []string{fmt.Sprintf("aud%d", i+1)},
			MaxParallel: rapid.IntRange(0, 2).Draw(rt, "parallel"), StopAtFailures: rapid.SampledFrom([]int{0, 0, 50}).Draw(rt, "stop"),
			Approval: backout.Approval{
				Mode:  rapid.SampledFrom([]backout.ApprovalMode{"none", "veto", "required"}).Draw(rt, "mode"),
				Votes: rapid.IntRange(0, 2).Draw(rt, "votes"), Veto: backout.Duration(5 * time.Minute),
				OnExpiry:           rapid.SampledFrom([]backout.OnExpiry{"deny", "escalate", "go"}).Draw(rt, "expiry"),
				ValidFor:           backout.Duration(rapid.IntRange(0, 2).Draw(rt, "valid_for")) * backout.Duration(time.Minute),
				StepUp:             backout.Duration(rapid.IntRange(0, 1).Draw(rt, "step_up")) * backout.Duration(time.Minute),
				Channels:           rapid.SampledFrom([][]string{nil, nil, {"cli"}}).Draw(rt, "channels"),
				KnownExploitedVote: rapid.Bool().Draw(rt, "exploited_vote"),
				OnChannelDown:      rapid.SampledFrom([]backout.OnChannelDown{"", "hold", "proceed"}).Draw(rt, "down"),
			},
		}
		if rapid.Bool().Draw(rt, "groups") {
			l.Approval.Groups = []string{"sre"}
		}
		for range rapid.IntRange(1, 2).Draw(rt, "steps") {
			l.Steps = append(l.Steps, backout.Step{
				Uses: "command", OnOverdue: rapid.SampledFrom([]backout.OnOverdue{"wait", "stop"}).Draw(rt, "overdue"),
				Timeout: backout.Duration(rapid.IntRange(0, 1).Draw(rt, "timeout")) * backout.Duration(10*time.Minute),
			})
		}
		p.Levels = append(p.Levels, l)
	}
	return p
}

func (w *lawWorld) step(rt *rapid.T) {
	before := w.now
	w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 30, 60, 600}).Draw(rt, "advance")) * time.Second)
	if at, ok := NextDeadline(w.r); ok && rapid.IntRange(0, 3).Draw(rt, "jump") == 0 && at.After(w.now) {
		w.now = at
	}
	w.asked.pass(w.r, w.now.Sub(before))
	in := w.draw(rt)
	w.hear(rt)
	w.apply(rt, in)
	w.hear(rt)
}

func (w *lawWorld) draw(rt *rapid.T) Input {
	target := &w.r.Targets[rapid.IntRange(0, len(w.r.Targets)-1).Draw(rt, "target")]
	attempt := "CHG1-r1.L1.s1.t1.a9"
	if target.Attempt != nil {
		attempt = target.Attempt.ID
	}
	ask := "none"
	if w.r.Ask != nil {
		ask = w.r.Ask.ID
	}
	who := rapid.SampledFrom([]string{"ann", "bob", "rita", "paul", "eve"}).Draw(rt, "who")
	groups := []string{"sre"}
	if who == "eve" {
		groups = nil
	}
	if w.r.Ask != nil && !w.r.Status.Final() && rapid.IntRange(0, 3).Draw(rt, "answers") == 0 {
		return w.asked.answers(rt, w)
	}
	if rapid.IntRange(0, 3).Draw(rt, "people") == 0 {
		return w.asked.draw(rt, w, who, groups)
	}
	switch rapid.IntRange(0, 20).Draw(rt, "input") {
	case 0, 1:
		return Tick{Unsure: rapid.Bool().Draw(rt, "unsure")}
	case 2, 3, 4:
		return Claim{AttemptID: attempt, Runner: "s1"}
	case 5, 6:
		return Finished{AttemptID: attempt, Outcome: backout.Outcome{Held: rapid.SampledFrom([][]string{nil, nil, {"nginx-2"}}).Draw(rt, "held")}}
	case 7:
		return Finished{AttemptID: attempt, Failure: "exit 1"}
	case 8:
		return Doubt{AttemptID: attempt, Reason: "rebooted"}
	case 9:
		return Resolve{AttemptID: attempt, By: who, Verdict: rapid.SampledFrom([]string{"happened", "did_not", "failed"}).Draw(rt, "verdict")}
	case 10, 11:
		return Checked{Target: target.Name, Green: true, Drift: drawDrift(rt)}
	case 12:
		return Checked{Target: target.Name, Reason: "http 500"}
	case 13:
		return Vote{AskID: ask, Vote: backout.Vote{User: who, Groups: groups, Choice: backout.ChoiceApprove}}
	case 14:
		return rapid.SampledFrom([]Input{
			Vote{AskID: ask, Vote: backout.Vote{User: who, Choice: backout.ChoiceDeny}}, Hold{By: who}, Pause{By: who},
		}).Draw(rt, "stop")
	case 15:
		level := rapid.SampledFrom([]string{"", "L1", "L2", "L3"}).Draw(rt, "level")
		return Release{By: who, Level: level, Approver: rapid.Bool().Draw(rt, "approver")}
	case 16:
		return Resume{By: who}
	case 17:
		return Escalate{By: who, From: rapid.SampledFrom([]string{"", "", "L1", "L2"}).Draw(rt, "from"), Approver: rapid.Bool().Draw(rt, "approver")}
	case 18:
		server := rapid.SampledFrom([]string{"s1", "s2"})
		return TakeOver{AttemptID: attempt, From: server.Draw(rt, "from"), Runner: server.Draw(rt, "to")}
	case 19:
		return rapid.SampledFrom([]Input{Abort{By: who}, Resolved{}, Tick{}, Tick{}}).Draw(rt, "end")
	}
	return AlertSeen{Alert: backout.AlertRef{Fingerprint: rapid.SampledFrom([]string{"f0", "f1"}).Draw(rt, "alert"), Target: target.Name}}
}

// drawDrift is what a comparison found; nil where none was made.
func drawDrift(rt *rapid.T) *backout.DriftFound {
	verdict := rapid.SampledFrom([]backout.DriftVerdict{"", backout.DriftNone, backout.DriftSome, backout.DriftNotBack, "of_tomorrow"}).Draw(rt, "drift")
	if verdict == "" {
		return nil
	}
	return &backout.DriftFound{Verdict: verdict, Report: "sha256:drift"}
}

// apply decides, appends and folds, and checks the laws on the way.
// advanced: whoever gives a state away gets the same decision, and the state that the
// events fold to; a refusal leaves what was given as it was.
func (w *lawWorld) advanced(rt *rapid.T, before backout.Rollback, in Input, events []backout.Event, err error) {
	given := Fold(before, before.Revision, backout.Record{})
	got, after, refused := Advance(given, w.now, in, true)
	if !reflect.DeepEqual(events, got) || (err == nil) != (refused == nil) {
		rt.Fatalf("Advance of %T decides otherwise: %v, %v\n%s", in, refused, err, cmp.Diff(events, got))
	}
	want := before
	for _, e := range events {
		want = Apply(want, w.now, e)
	}
	if !reflect.DeepEqual(want, after) {
		rt.Fatalf("Advance of %T returns another state:\n%s", in, cmp.Diff(want, after))
	}
}

func (w *lawWorld) apply(rt *rapid.T, in Input) {
	before := w.r
	w.in = in
	untouched := Apply(before, w.now, backout.EvidenceAdded{}) // a deep copy but for the evidence
	untouched.Evidence = before.Evidence
	events, err := Decide(before, w.now, in)
	if before.ID != "" {
		if diff := cmp.Diff(untouched, before); diff != "" {
			rt.Fatalf("Decide changed the state it was given:\n%s", diff)
		}
	}
	w.advanced(rt, before, in, events, err)
	if err != nil {
		if len(events) > 0 {
			rt.Fatalf("law 9: a refused %T returned events %v", in, events)
		}
		return
	}
	if _, reviews := in.(Review); before.Status.Final() && before.ID != "" && !reviews {
		rt.Fatalf("law 5: %s took %T", before.Status, in)
	}
	if len(events) == 0 {
		return
	}
	w.seq++
	rec := backout.Record{At: w.now, Events: events}
	w.records = append(w.records, rec)
	w.check(rt, before, rec)
	w.r = Fold(before, w.seq, rec)
	w.asked.sent(rt, w.r, Commands(before, w.seq, rec), rec)
	for _, c := range Commands(before, w.seq, rec) {
		if tell, ok := c.(backout.Tell); ok {
			n := tell.Notice
			w.told[fmt.Sprintf("%s %s %s", n.Moment, n.Level, n.Audience)] = true
			w.told[fmt.Sprintf("%s %s", n.Moment, n.RollbackID)] = true
		}
	}
	w.after(rt)
}

// check looks at each event in the state it happened in.
func (w *lawWorld) check(rt *rapid.T, before backout.Rollback, rec backout.Record) {
	r := before
	for _, e := range rec.Events {
		if _, review := e.(backout.Reviewed); r.Status.Final() && r.ID != "" && !review {
			rt.Fatalf("law 5: %s after the end", e.Kind())
		}
		w.asked.check(rt, w, r, rec.At, e)
		switch e := e.(type) {
		case backout.StepStarted:
			w.started[e.AttemptID]++
			if w.started[e.AttemptID] > 1 {
				rt.Fatalf("law 2: attempt %s starts twice", e.AttemptID)
			}
			if !r.PausedAt.IsZero() || r.Status != backout.RollbackRunning {
				rt.Fatalf("law 10: an effect while %s, paused %v", r.Status, !r.PausedAt.IsZero())
			}
		case backout.StepTakenOver:
			if t := r.Target(e.Target); w.started[e.AttemptID] != 1 || t.Attempt == nil || t.Attempt.Runner != e.From {
				rt.Fatalf("law 2: %s takes over %v from %s, started %d times", e.Runner, t.Attempt, e.From, w.started[e.AttemptID])
			}
		case backout.Released:
			w.released(rt, r, e)
		case backout.LevelEntered:
			w.level(rt, r, e)
		case backout.TargetBack:
			look, ok := w.in.(Checked)
			t := r.Target(e.Target)
			if !ok || !look.Green || look.Target != e.Target || t.GreenSince.IsZero() || rec.At.Before(GreenUntil(r, *t)) {
				rt.Fatalf("verified back: %s recovered by %T %v, green since %v", e.Target, w.in, w.in, t.GreenSince)
			}
			w.drift(rt, *t, e, look)
		case backout.StepDone:
			w.fence(rt, r, e.Target, e.AttemptID)
		case backout.StepFailed:
			w.fence(rt, r, e.Target, e.AttemptID)
		}
		r = Apply(r, rec.At, e)
	}
}

// released: what a rule or a limit asked for is answered in place of a group by an
// approver whom four eyes do not leave out, and by nothing else.
func (w *lawWorld) released(rt *rapid.T, r backout.Rollback, e backout.Released) {
	if r.HeldCause != backout.HoldNobody {
		if e.Level != "" {
			rt.Fatalf("law 1: %s lets %s begin, held since %s", e.By, e.Level, r.HeldCause)
		}
		return
	}
	may := false
	switch in := w.in.(type) {
	case Release:
		may = in.Approver && in.Level != "" && in.Level == e.Level
	case Escalate:
		may = in.Approver
	}
	if !may || slices.Contains(r.Excluded, e.By) {
		rt.Fatalf("law 1: %+v ends a hold for want of approvers", w.in)
	}
	w.unasked = true
}

// drift: a target with a baseline is recovered only with its drift verdict.
func (w *lawWorld) drift(rt *rapid.T, t backout.TargetState, e backout.TargetBack, look Checked) {
	if t.Baseline == "" {
		return
	}
	if e.Drift == nil || e.Drift != look.Drift || e.Drift.Verdict != backout.DriftNone && e.Drift.Verdict != backout.DriftSome {
		rt.Fatalf("compared: %s recovered with drift %v by a look with %v", e.Target, e.Drift, look.Drift)
	}
}

func (w *lawWorld) fence(rt *rapid.T, r backout.Rollback, target, attempt string) {
	t := r.Target(target)
	if t.Attempt == nil || t.Attempt.ID != attempt || w.outcomes[attempt] {
		rt.Fatalf("fence: outcome of %s moved the state of attempt %v", attempt, t.Attempt)
	}
	w.outcomes[attempt] = true
}

func (w *lawWorld) level(rt *rapid.T, r backout.Rollback, e backout.LevelEntered) {
	if n := len(w.entered); n > 0 && e.Level == w.entered[n-1] && w.asked.takenBack == e.Level+1 {
		w.entered = w.entered[:n-1] // nothing of it had started
	}
	w.asked.takenBack = 0
	if len(w.entered) > 0 && e.Level <= w.entered[len(w.entered)-1] {
		rt.Fatalf("law 3: level %d after %v", e.Level, w.entered)
	}
	w.entered = append(w.entered, e.Level)
	for _, t := range r.Targets {
		if t.Phase == backout.TargetRunning || t.Phase == backout.TargetInDoubt {
			rt.Fatalf("the next level starts while %s is %s", t.Name, t.Phase)
		}
	}
	w.asked.start(rt, r, e, w.in)
	policy := r.Frozen.Plan.Levels[e.Level].Approval
	forced := r.Frozen.Plan.DataMigration == backout.DataMigrationForwardOnly || r.Level < 0 && w.askFirst && !w.unasked
	needed, more := policy.Votes, policy.KnownExploitedVote && len(r.Exploited) > 0
	if policy.Mode != backout.ApprovalRequired && !forced && !more {
		return
	}
	if more {
		needed = 1
		if forced || policy.Mode == backout.ApprovalRequired {
			needed += max(1, policy.Votes)
		}
	}
	votes := w.asked.votes(e.AskID)
	if w.asked.glass[e.AskID] != "" {
		return
	}
	went := !forced && !more && policy.OnExpiry == backout.ExpiryGo && e.Reason == "the question expired, and the plan says go"
	if votes < max(1, needed) && !went {
		rt.Fatalf("law 1: %s starts with %d of %d votes", r.Frozen.Plan.Levels[e.Level].Name, votes, max(1, needed))
	}
	if went && e.Level+1 == len(r.Frozen.Plan.Levels) {
		rt.Fatal("law 1: the last level went without a vote")
	}
}

// after checks what must hold of every state.
func (w *lawWorld) after(rt *rapid.T) {
	var replayed backout.Rollback
	for i, rec := range w.records {
		replayed = Fold(replayed, uint64(i+1), rec)
	}
	if diff := cmp.Diff(w.r, replayed); diff != "" {
		rt.Fatalf("law 8: replay differs:\n%s", diff)
	}
	if w.r.Level >= 0 {
		name := w.r.CurrentLevel().Name
		if !w.told[fmt.Sprintf("level_started %s aud%d", name, w.r.Level+1)] {
			rt.Fatalf("law 7: nobody was told of %s: %v", name, w.told)
		}
	}
	for _, t := range w.r.Targets {
		if t.Phase == backout.TargetRecovered && t.Baseline != "" && (t.Drift == nil || notBack(t.Drift)) {
			rt.Fatalf("compared: %s is recovered, and its drift is %v", t.Name, t.Drift)
		}
	}
	if w.r.Status.Final() {
		return
	}
	_, armed := NextDeadline(w.r)
	running := slices.ContainsFunc(w.r.Targets, func(t backout.TargetState) bool { return t.Phase == backout.TargetRunning })
	held := w.r.Status == backout.RollbackHeld || !w.r.PausedAt.IsZero()
	still := w.r.Ask != nil && !w.r.Ask.DownAt.IsZero() && w.told[fmt.Sprintf("channels_down %s", w.r.ID)]
	if !armed && !running && !held && !still {
		rt.Fatalf("law 6: %s waits silently", w.r.Status)
	}
	if at, ok := NextDeadline(w.r); ok && !at.After(w.now) {
		events, err := Decide(w.r, w.now, Tick{})
		if err != nil || len(events) == 0 {
			rt.Fatalf("law 6: the deadline %v has passed and nothing follows (%v)", at, err)
		}
	}
	events, err := Decide(w.r, w.now, Tick{Unsure: true})
	if err != nil && !errors.Is(err, backout.ErrFinal) || len(events) > 0 {
		rt.Fatalf("a decision left something to do at once: %v %v", events, err)
	}
}

// TestAStepForgetsTheDriftBeforeIt: what a comparison found before a step says nothing
// of the target after it.
func TestAStepForgetsTheDriftBeforeIt(t *testing.T) {
	r := backout.Rollback{Targets: []backout.TargetState{{
		Name: "web-1", Baseline: "sha256:b", Drift: &backout.DriftFound{Verdict: backout.DriftNotBack}, Held: []string{"nginx-2"},
	}}}
	r = Apply(r, time.Now(), backout.StepRequested{Target: "web-1", AttemptID: "a"})
	if got := r.Targets[0]; got.Drift != nil || len(got.Held) != 1 {
		t.Errorf("drift %v, held %v", got.Drift, got.Held)
	}
}

func TestHoldsOfAllStepsAreRemembered(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	r := backout.Rollback{Level: -1, Targets: []backout.TargetState{{Name: "web-1"}}}
	r = Apply(r, at, backout.StepFailed{Target: "web-1", Outcome: backout.Outcome{Held: []string{"nginx-2", "curl-2"}}})
	r = Apply(r, at.Add(time.Hour), backout.StepDone{Target: "web-1", Outcome: backout.Outcome{Held: []string{"nginx-2"}}})
	if got := r.Targets[0]; !slices.Equal(got.Held, []string{"curl-2", "nginx-2"}) || !got.HeldAt.Equal(at) {
		t.Errorf("held %v since %v", got.Held, got.HeldAt)
	}
	r = Apply(r, at.Add(2*time.Hour), backout.StepDone{Target: "web-1", Outcome: backout.Outcome{Held: []string{"bash-2"}}})
	if got := r.Targets[0]; len(got.Held) != 3 || !got.HeldAt.Equal(at.Add(2*time.Hour)) {
		t.Errorf("held %v since %v", got.Held, got.HeldAt)
	}
}

func TestAThousandDriftedTargetsAreNoStorm(t *testing.T) {
	r := backout.Rollback{Frozen: backout.FrozenPlan{Plan: backout.Plan{Audience: []string{"ops"}, Levels: []backout.Level{{Name: "L1"}}}}}
	var events []backout.Event
	for i := range 1000 {
		name := fmt.Sprint("web-", i)
		r.Targets = append(r.Targets, backout.TargetState{Name: name, Baseline: "sha256:b"})
		events = append(events, backout.TargetBack{Target: name, Drift: &backout.DriftFound{Verdict: backout.DriftSome, Summary: "sshd"}})
	}
	told := Commands(r, 1, backout.Record{Events: events})
	if len(told) != driftToldMost {
		t.Errorf("%d notices", len(told))
	}
}
