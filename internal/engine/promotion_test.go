package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// ruled gives the world one rule in mode auto, and returns a verdict of it on web1 and
// its alert.
func (w *openWorld) ruled() (backout.Verdict, *backout.Alert) {
	w.t.Helper()
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n      - rule: R\n        match: [alertname=\"Down\"]\n        mode: auto\n")})
	if err := problems.Fatal(); err != nil {
		w.t.Fatal(err)
	}
	w.cfg.Rules = set
	r, _ := set.Rule("R")
	a := &backout.Alert{Fingerprint: "f", Firing: true, StartsAt: time.Now(), Labels: map[string]string{"alertname": "Down", "instance": "web1"}}
	return backout.Verdict{Rule: "R", RuleHash: r.Hash, ChangeID: "C1", Target: "web1", Scope: backout.ScopeTarget, Mode: r.Mode, Fingerprint: "f", At: time.Now()}, a
}

// count counts the events of a kind in the change's log.
func (w *openWorld) count(kind string) (n int) {
	w.t.Helper()
	entries, err := w.store.Changes.Load(w.t.Context(), "C1")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			if ev.Kind() == kind {
				n++
			}
		}
	}
	return n
}

// A server that has not heard yet that a rule was taken down asks before it opens; and
// what follows then is recorded once.
func TestARuleIsAskedForBeforeItOpens(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		v, a := w.ruled()
		e := w.serve("me", w.store)
		defer e.Close()
		w.open1(e)
		doc, err := json.Marshal(ruleDocument{History: []handlers.Promoted{{Mode: backout.ModeShadow, Lowered: true, By: "ann"}}})
		if err == nil {
			_, err = e.store.Control.PutRule(t.Context(), "R", doc, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// Another rollback of the target may have been cancelled since it was decided.
		for _, was := range []trigger.Do{trigger.Open, trigger.Open, trigger.Evidence} {
			e.grants.mu.Lock()
			clear(e.grants.byRule) // as one that has not heard
			e.grants.mu.Unlock()
			if next := e.next(&v, a, time.Now()); next.Do != trigger.Open {
				t.Fatalf("%+v", next)
			}
			e.follow(t.Context(), v, a, trigger.Next{Do: was})
		}
		if opened, given := w.count("rollback_requested"), w.count("verdict_given"); opened != 0 || given != 1 {
			t.Errorf("%d rollbacks, %d verdicts", opened, given)
		}
	})
}

// A verdict opens once on the newest change, whatever the server thought before.
func TestAThrottleIsDecidedOnTheNewestChange(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		v, a := w.ruled()
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		throttle := backout.Throttle{OnceWithin: backout.Duration(time.Hour)}
		open := func(target string) error {
			v := v
			v.Target = target
			decide := func(o *backout.Opened, now *backout.Change, at time.Time) error {
				if next := e.throttles.decide(trigger.Case{Verdict: v, Alert: a, Change: now, Throttle: throttle, Now: at}); next.Do != trigger.Open {
					return fmt.Errorf("%w: %s", backout.ErrRefused, next.Stopped)
				}
				return nil
			}
			_, err := e.begin(t.Context(), "", c, opening{opened: backout.Opened{Targets: []string{target}, Trigger: backout.Trigger{Verdict: &v}}, decide: decide})
			return err
		}
		if err := open("web1"); err != nil {
			t.Fatal(err)
		}
		if err := open("web2"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("decided on the change as it was: %v", err)
		}
	})
}

// What a limit said of a rollback counts no more once it is decided on anew.
func TestALimitIsHeldAgainstWhatIsOpened(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		v, _ := w.ruled()
		plan := w.cfg.Plans["web"]
		plan.Limits = backout.Limits{ShareOfChange: 50}
		w.cfg.Plans["web"] = plan
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		decided := 0
		decide := func(o *backout.Opened, _ *backout.Change, _ time.Time) error {
			if decided++; decided == 1 {
				w.planned(e, "C2")
				o.Targets = []string{"web1", "web2"}
				return nil
			}
			o.Targets = []string{"web1"}
			return nil
		}
		r, err := e.begin(t.Context(), "", c, opening{opened: backout.Opened{Trigger: backout.Trigger{Verdict: &v}}, decide: decide})
		if err != nil || decided != 2 || r.AskFirst != "" {
			t.Errorf("decided %d times, %v: asks first since %q", decided, err, r.AskFirst)
		}
	})
}

// A decision that looks at other changes is made again when one of them has moved.
func TestARuleOfAllChangesIsDecidedOnTheWholeLog(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		v, _ := w.ruled()
		e := w.serve("me", w.store)
		defer e.Close()
		c := w.open1(e)
		decided := 0
		decide := func(*backout.Opened, *backout.Change, time.Time) error {
			if decided++; decided == 1 {
				w.planned(e, "C2")
			}
			return nil
		}
		o := opening{opened: backout.Opened{Targets: []string{"web1"}, Trigger: backout.Trigger{Verdict: &v}}, decide: decide, across: acrossChanges(backout.Throttle{OnceWithin: 1, Per: backout.PerRule})}
		if _, err := e.begin(t.Context(), "", c, o); err != nil || decided != 2 {
			t.Errorf("decided %d times, %v", decided, err)
		}
	})
}

// Until it is known what a rule did to every change, one that counts them all waits
// without a word.
func TestRuleOfAllChangesWaitsUntilTheyAreRead(t *testing.T) {
	th := newThrottles()
	c := trigger.Case{
		Verdict: backout.Verdict{Rule: "R", ChangeID: "C1", Target: "a", Mode: backout.ModeAuto}, Alert: &backout.Alert{}, Now: time.Now(),
		Change:   &backout.Change{State: backout.ChangeOpen, Frozen: &backout.FrozenPlan{Plan: backout.Plan{Levels: []backout.Level{{Name: "L1"}}}}},
		Throttle: backout.Throttle{OnceWithin: 1, Per: backout.PerRule},
	}
	if next := th.decide(c); next.Do != trigger.Nothing || next.Stopped == "" {
		t.Errorf("%+v", next)
	}
	th.whole.Store(true)
	if next := th.decide(c); next.Do != trigger.Open {
		t.Errorf("%+v", next)
	}
}

// What is kept for a rule and cannot be read lets it do nothing.
func TestPromotionThatCannotBeReadLetsNothing(t *testing.T) {
	for _, required := range []bool{true, false} {
		e := New(Options{Store: &store.Store{}}, &Config{Promotion: trigger.Policy{Required: required}})
		if err := e.grants.take("R", store.Document{Value: []byte("{"), Revision: 1}); err == nil {
			t.Error("no error")
		}
		if mode, why, _ := e.earned(rules.Rule{Name: "R", Mode: backout.ModeAuto, Hash: "01"}); mode != backout.ModeShadow || why == "" {
			t.Errorf("required %v: %s, %q", required, mode, why)
		}
	}
}

// An older document that comes late changes nothing.
func TestTheNewestPromotionCounts(t *testing.T) {
	g := newGrants()
	doc := func(mode backout.Mode) []byte {
		data, _ := json.Marshal(ruleDocument{History: []handlers.Promoted{{Mode: mode}}})
		return data
	}
	for _, d := range []store.Document{{Value: doc(backout.ModeShadow), Revision: 7}, {Value: doc(backout.ModeAuto), Revision: 6}} {
		if err := g.take("R", d); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.of("R").stands(); got.Mode != backout.ModeShadow {
		t.Errorf("%s counts", got.Mode)
	}
}

// BenchmarkListRules lists one hundred rules that spoke of 10,000 changes, and moves
// one change in between.
func BenchmarkListRules(b *testing.B) {
	e := New(Options{Store: &store.Store{}, Sole: true}, &Config{})
	var file string
	for i := range 100 {
		file += fmt.Sprintf("      - rule: R%d\n        match: [alertname=\"A%d\"]\n", i, i)
	}
	set, _ := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n" + file)})
	e.cfg().Rules = set
	versions := map[string]*version[backout.Change]{}
	for i := range 10_000 {
		c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: fmt.Sprint("C", i), Targets: []string{"a"}}, State: backout.ChangeClosed, EndedAt: time.Now().Add(-2 * time.Hour)}
		for k := range 3 {
			r, _ := set.Rule(fmt.Sprint("R", (i+k)%100))
			c.Rules = append(c.Rules, backout.RuleRecord{Rule: r.Name, Hash: r.Hash, Verdicts: 1, Targets: []string{"a"}, First: time.Now(), Last: time.Now()})
		}
		versions[c.ID] = e.changes.atRest(versionOf(c, 1), time.Now())
	}
	e.changes.fill(versions)
	begin := time.Now()
	e.countRules()
	if err := e.scores.await(b.Context()); err != nil {
		b.Fatal(err)
	}
	count := time.Since(begin)
	b.Cleanup(e.Close)
	b.ResetTimer()
	for i := range b.N {
		e.noteRules(fmt.Sprint("C", i%10_000))
		if list, err := e.ListRules(b.Context()); err != nil || list[0].Score.Disagreed != 300 {
			b.Fatalf("%+v, %v", list[0].Score, err)
		}
	}
	b.ReportMetric(float64(count.Milliseconds()), "count-ms")
}
