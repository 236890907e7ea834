package simtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/trigger"
)

// Promote lets the rule of most stories do something, as ann on the server.
func (s *Server) Promote(mode backout.Mode) error {
	s.w.t.Helper()
	_, err := s.engine.PromoteRule(s.w.t.Context(), as("ann"), "RedAfterPatch", handlers.Promotion{Mode: mode, Reason: "because"})
	return err
}

func (w *World) promoted(mode backout.Mode) {
	w.t.Helper()
	if err := w.Server().Promote(mode); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (s *Server) rule() handlers.RuleStatus {
	s.w.t.Helper()
	list, err := s.engine.ListRules(s.w.t.Context())
	if err != nil || len(list) == 0 {
		s.w.t.Fatalf("%d rules, %v", len(list), err)
	}
	return list[0]
}

func refusedWith(t *testing.T, err error, words string) {
	t.Helper()
	if !errors.Is(err, backout.ErrRefused) || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want it refused with %q", err, words)
	}
}

// A rule earns its right to act step by step, on evidence, and everywhere is shown who
// let it.
func TestPromotion_from_shadow_to_auto(t *testing.T) {
	policy := trigger.Policy{Required: true, Agreed: 2, Precision: 0.6}
	Story(t, Setup{Promotion: policy}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		for i, target := range []string{"web-1", "web-2", "web-3"} {
			id := fmt.Sprintf("CHG%d", i+1)
			w.OpenChange(id, target)
			w.Fire("WebErrors", target)
			w.Advance(time.Minute)
		}
		if len(w.Rollbacks()) > 0 {
			t.Fatal("a rule that nobody promoted acts")
		}
		refusedWith(t, w.Server().Promote(backout.ModeAuto), "promote it to ask first")
		w.promoted(backout.ModeAsk)
		refusedWith(t, second.Promote(backout.ModeAuto), "0 changes agreed with it, the policy wants 2")
		judge := func(id string, agree bool) {
			t.Helper()
			if _, err := second.engine.JudgeRule(t.Context(), as("bob"), id, "RedAfterPatch", backout.Judgement{Agree: agree, Reason: "seen"}); err != nil {
				t.Fatal(err)
			}
		}
		judge("CHG1", true)
		judge("CHG2", true)
		judge("CHG3", false)
		if s := w.Server().rule().Score; s.Agreed != 2 || s.Disagreed != 1 || s.ByPeople != 3 {
			t.Errorf("score %+v", s)
		}
		w.promoted(backout.ModeAuto)
		r := second.rule()
		if r.Mode != backout.ModeAuto || r.Promotion == nil || r.Promotion.By != "ann" || r.Promotion.Score.Agreed != 2 || len(r.History) != 2 {
			t.Errorf("on the other server %+v", r)
		}
		w.OpenChange("CHG4", "web-4")
		w.Break("web-4")
		w.Fire("WebErrors", "web-4")
		w.Advance(time.Second)
		by := w.Rollback("CHG4-r1").Trigger.Verdict.Promoted
		if !strings.Contains(by, "promoted to auto by ann on ") || !strings.Contains(by, "when 2 of 3 changes agreed with it: because") {
			t.Errorf("promoted %q", by)
		}
		if !slices.ContainsFunc(w.Inbox("ops").Notices(), func(n backout.Notice) bool { return n.Moment == backout.MomentRed && strings.Contains(n.Reason, by) }) {
			t.Error("nobody was told who let the rule act")
		}
	})
}

// What changes in a rule begins again, after a reload and on a server that starts.
func TestPromotion_is_for_what_the_rule_says(t *testing.T) {
	Story(t, Setup{Promotion: trigger.Policy{Required: true}}, func(t *testing.T, w *World) {
		w.promoted(backout.ModeAsk)
		w.promoted(backout.ModeAuto)
		w.Restart()
		if r := w.Server().rule(); r.Mode != backout.ModeAuto {
			t.Errorf("after a restart %+v", r)
		}
		w.Reconfigure(func(s *Setup) { s.Rules = AutoRule + "        for: 1m\n" })
		if r := w.Server().rule(); r.Mode != backout.ModeShadow || !strings.Contains(r.Why, "has changed since ann") {
			t.Errorf("another content: %s, %q", r.Mode, r.Why)
		}
		old := w.Server().rule().Promotion.Hash
		_, err := w.Server().engine.PromoteRule(t.Context(), as("ann"), "RedAfterPatch", handlers.Promotion{Mode: backout.ModeAsk, Reason: "r", Hash: old})
		if !errors.Is(err, backout.ErrConflict) {
			t.Errorf("promoted what it said before: %v", err)
		}
		w.Reconfigure(func(s *Setup) { s.Rules = AutoRule + "        annotations: {summary: other words}\n" })
		if r := w.Server().rule(); r.Mode != backout.ModeAuto {
			t.Errorf("other words for people: %s, %q", r.Mode, r.Why)
		}
		w.Reconfigure(func(s *Setup) { s.Rules = strings.Replace(AutoRule, "mode: auto", "mode: ask", 1) })
		if r := w.Server().rule(); r.Mode != backout.ModeAsk || r.Why != "" {
			t.Errorf("its file is the most: %s, %q", r.Mode, r.Why)
		}
		refusedWith(t, w.Server().Promote(backout.ModeAuto), "set mode: auto there first")
	})
}

// Taking a rule down stops it on every server at once, also where nothing has to be
// promoted.
func TestDemotion_while_alerts_fire(t *testing.T) {
	Story(t, Setup{Plans: []backout.Plan{asking()}}, func(t *testing.T, w *World) {
		second := w.Join("server-2")
		w.OpenChange("CHG1", "web-1", "web-2")
		w.Break("web-1", "web-2")
		w.Fire("WebErrors", "web-1")
		if n := len(w.Rollbacks()); n != 1 {
			t.Fatalf("%d rollbacks", n)
		}
		if err := second.Promote(backout.ModeShadow); err != nil {
			t.Fatal(err)
		}
		w.Fire("WebErrors", "web-2")
		w.Advance(time.Minute)
		if n := len(w.Rollbacks()); n != 1 {
			t.Errorf("%d rollbacks: the rule was taken down", n)
		}
		w.Restart()
		w.Advance(time.Minute)
		if r := w.Server().rule(); len(w.Rollbacks()) != 1 || r.Mode != backout.ModeShadow || r.Why != "ann lets it do no more than shadow" {
			t.Errorf("%d rollbacks, %+v", len(w.Rollbacks()), r)
		}
		w.promoted(backout.ModeAsk)
		w.Advance(10 * time.Second)
		is(t, w.Rollback("CHG1-r2"), backout.RollbackPending)
		w.promoted(backout.ModeAuto)
		r := w.Server().rule()
		var modes []backout.Mode
		for _, p := range r.History {
			modes = append(modes, p.Mode)
		}
		if want := []backout.Mode{backout.ModeAuto, backout.ModeAsk, backout.ModeShadow}; r.Mode != backout.ModeAuto || !slices.Equal(modes, want) {
			t.Errorf("%s, history %v", r.Mode, modes)
		}
	})
}

// What became of changes counts for and against the rule, also when they are at rest
// and the server began from a snapshot.
func TestScore_by_what_became_of_changes(t *testing.T) {
	Story(t, Setup{Rules: strings.Replace(AutoRule, "mode: auto", "mode: shadow", 1), SnapshotEvery: 5}, func(t *testing.T, w *World) {
		for i, target := range []string{"web-1", "web-2", "web-3"} {
			w.OpenChange(fmt.Sprintf("CHG%d", i+1), target)
			w.Break(target)
			w.Fire("WebErrors", target)
		}
		w.Host("web-1").On("L1", Script{Heals: true})
		w.Start1("CHG1", "web-1")
		w.Resolve("WebErrors", "web-1", "web-2", "web-3")
		for range 2 { // ends the window, then the watch
			if _, err := w.Server().engine.CloseChange(t.Context(), as("ann"), "CHG2", "done"); err != nil {
				t.Fatal(err)
			}
		}
		w.Advance(3 * time.Hour)
		want := handlers.RuleScore{Agreed: 1, Disagreed: 1, Open: 1, Precision: 0.5}
		if got := w.Server().rule().Score; got != want {
			t.Errorf("score %+v, want %+v", got, want)
		}
		for range 2 {
			w.Restart()
			if got := w.Server().rule(); got.Score != want || got.LastVerdict.IsZero() {
				t.Errorf("after a restart %+v, want %+v", got, want)
			}
		}
		if _, err := w.Server().engine.JudgeRule(t.Context(), as("ann"), "CHG2", "RedAfterPatch", backout.Judgement{Agree: true, Reason: "we were lucky"}); err != nil {
			t.Fatal(err)
		}
		want = handlers.RuleScore{Agreed: 2, Open: 1, ByPeople: 1, Precision: 1}
		if got := w.Server().rule().Score; got != want {
			t.Errorf("judged %+v, want %+v", got, want)
		}
	})
}

// Start1 starts a rollback of a target by hand, as ann.
func (w *World) Start1(id, target string) {
	w.t.Helper()
	if _, err := w.Server().engine.StartRollback(w.t.Context(), as("ann"), handlers.StartRequest{ChangeID: id, Targets: []string{target}, Reason: "it is broken"}); err != nil {
		w.t.Fatal(err)
	}
}
