package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// explainRules has a rule for every way that a match can go on, each found by the
// name of its alert.
const explainRules = `
groups:
  - name: g
    rules:
      - {rule: Auto, match: [alertname="Auto"], mode: auto}
      - {rule: Ask, match: [alertname="Ask"], mode: ask}
      - {rule: Shadow, match: [alertname="Shadow"]}
      - {rule: Later, match: [alertname="Later"], mode: auto, for: 5m}
      - {rule: Whole, match: [alertname="Whole"], mode: auto, scope: change}
      - {rule: Second, match: [alertname="Second"], mode: auto, start_at: L2}
      - {rule: Seventh, match: [alertname="Seventh"], mode: auto, start_at: L7}
      - {rule: Three, match: [alertname="Three"], mode: auto, throttle: {at_least: 3, within: 10m}}
      - {rule: Once, match: [alertname="Once"], mode: auto, throttle: {once_within: 30m}}
      - {rule: Latched, match: [alertname="Latched"], mode: auto, throttle: {latch: true}}
      - {rule: Many, match: [alertname="Many"], mode: auto, when: evidence.red_targets >= 2}
      - {rule: Failing, match: [alertname="Failing"], mode: auto, when: change.target_count % evidence.distinct_alerts == 5 or change.target_count % (evidence.distinct_alerts - 1) == 0}
`

// explained is a world of two targets with explainRules; change bends the plan.
func explained(t *testing.T, bend func(*backout.Plan), test func(t *testing.T, w *openWorld, e *Engine)) {
	t.Helper()
	withTargets(t, func(t *testing.T, w *openWorld) {
		set, problems := rules.Load(map[string][]byte{"r.yaml": []byte(explainRules)})
		if err := problems.Fatal(); err != nil {
			t.Fatal(err)
		}
		w.cfg.Rules = set
		plan := w.cfg.Plans["web"]
		if bend != nil {
			bend(&plan)
		}
		w.cfg.Plans["web"] = plan
		e := w.serve("me", w.store)
		defer e.Close()
		test(t, w, e)
	})
}

// opened is a change of both targets whose window has been open for a minute.
func (w *openWorld) opened(e *Engine, id string) {
	w.t.Helper()
	w.planned(e, id)
	if _, err := e.OpenChange(w.t.Context(), alice, id); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
}

// promotionRequired makes rules earn what they may do.
func (w *openWorld) promotionRequired(e *Engine) {
	cfg := *w.cfg
	cfg.Promotion = trigger.Policy{Required: true}
	e.Reconfigure(&cfg)
	synctest.Wait()
}

// let lets a rule do so much.
func (w *openWorld) let(e *Engine, rule string, mode backout.Mode) {
	w.t.Helper()
	if _, err := e.PromoteRule(w.t.Context(), alice, rule, handlers.Promotion{Mode: mode, Reason: "tried"}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// firing is an alert that has just begun.
func firing(name, target string) backout.Alert {
	labels := map[string]string{"alertname": name, "instance": target + ":9100"}
	return backout.Alert{Fingerprint: alertwire.Fingerprint(labels), Firing: true, Labels: labels, StartsAt: time.Now().UTC()}
}

// send lets Alertmanager tell of alerts.
func (w *openWorld) send(e *Engine, alerts ...backout.Alert) {
	w.t.Helper()
	type wire struct {
		Status   string            `json:"status"`
		Labels   map[string]string `json:"labels"`
		StartsAt time.Time         `json:"startsAt"`
		EndsAt   time.Time         `json:"endsAt,omitzero"`
	}
	body := struct {
		Version string `json:"version"`
		Alerts  []wire `json:"alerts"`
	}{Version: "4"}
	for _, a := range alerts {
		status := "resolved"
		if a.Firing {
			status = "firing"
		}
		body.Alerts = append(body.Alerts, wire{status, a.Labels, a.StartsAt, a.EndsAt})
	}
	raw, err := json.Marshal(body)
	if err == nil {
		err = e.Accept(w.t.Context(), handlers.Delivery{Kind: "webhook", Body: raw, Alerts: alerts})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// of is what the rule that has the alert's name makes of it.
func (w *openWorld) of(e *Engine, r handlers.ExplainRequest) (handlers.ExplainedRule, handlers.Explained) {
	w.t.Helper()
	got, err := e.Explain(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, rule := range got.Rules {
		if rule.Rule == got.Alert.Name() {
			return rule, got
		}
	}
	w.t.Fatalf("nothing of rule %s in %+v", got.Alert.Name(), got)
	return handlers.ExplainedRule{}, got
}

// happened says what the alert did to the change since it had so many records.
func (w *openWorld) happened(e *Engine, id string, a backout.Alert, records int) string {
	w.t.Helper()
	entries, err := w.store.Changes.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries[min(len(entries), records):] {
		for _, ev := range entry.Record.Events {
			switch ev := ev.(type) {
			case backout.VerdictGiven:
				return "record"
			case backout.RollbackRequested:
				if ev.Opened.Alert != nil && ev.Opened.Alert.Fingerprint == a.Fingerprint {
					return "open"
				}
			}
		}
	}
	c, _ := e.changes.get(id)
	for _, ref := range c.Rollbacks {
		r, _ := e.rollbacks.get(ref.ID)
		for _, known := range r.Evidence {
			if known.Fingerprint == a.Fingerprint {
				return "evidence"
			}
		}
	}
	return "nothing"
}

// TestExplainSaysWhatWillFollow: the exact words for every stop between a match and
// a rollback, and the server then does just that.
func TestExplainSaysWhatWillFollow(t *testing.T) {
	limits := func(l backout.Limits) func(*backout.Plan) { return func(p *backout.Plan) { p.Limits = l } }
	for name, c := range map[string]struct {
		plan    func(*backout.Plan)
		before  func(w *openWorld, e *Engine)
		alert   string
		follows string
		why     string
	}{
		"it acts":              {nil, nil, "Auto", "open", "it matches: a rollback of web1 opens, from L1"},
		"the whole change":     {nil, nil, "Whole", "open", "it matches: a rollback of 2 targets opens, from L1"},
		"shadow":               {nil, nil, "Shadow", "record", "it matches, and that is only recorded: the rule is in mode shadow"},
		"ask":                  {nil, nil, "Ask", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: rule Ask is in mode ask"},
		"for":                  {nil, nil, "Later", "open", "it matches: a rollback of web1 opens, from L1, and waits for the alert to stay red until 2000-01-01T00:06:00Z"},
		"the level's approval": {nil, nil, "Second", "open", "it matches: a rollback of web1 opens, from L2, and waits for an approval: L2 needs one by its plan"},
		"no such level":        {nil, nil, "Seventh", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: rule Seventh wants to start at L7, which plan web does not have"},
		"a veto window": {
			func(p *backout.Plan) {
				p.Levels[0].Approval = backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(5 * time.Minute)}
			},
			nil, "Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for L1's veto window of 5m",
		},
		"forward only": {
			func(p *backout.Plan) {
				p.DataMigration = backout.DataMigrationForwardOnly
				p.Levels[0].Approval = p.Levels[1].Approval
			},
			nil, "Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: the patch moved data forward only",
		},
		"being rolled back": {
			nil, func(w *openWorld, e *Engine) { w.send(e, firing("Ask", "web1")) },
			"Auto", "evidence", "it matches, and the alert becomes further evidence: web1 is being rolled back by C1-r1",
		},
		"rolled back before": {
			nil, func(w *openWorld, e *Engine) {
				w.send(e, firing("Ask", "web1"))
				if _, err := e.Act(w.t.Context(), alice, "C1-r1", handlers.Action{Verb: handlers.VerbAbort, Reason: "no"}); err != nil {
					w.t.Fatal(err)
				}
				synctest.Wait()
			},
			"Auto", "nothing", "it matches, and nothing follows: web1 was already rolled back by C1-r1: a person may start another",
		},
		"too few alerts": {
			nil, nil, "Three", "record", "it matches, and that is only recorded: at_least: 1 of 3 alerts within 10m",
		},
		"acted before": {
			nil, func(w *openWorld, e *Engine) { w.send(e, firing("Once", "web2")) },
			"Once", "record", "it matches, and that is only recorded: once_within: it acted at 2000-01-01T00:01:00Z, and not again before 2000-01-01T00:31:00Z",
		},
		"a closed latch": {
			nil, func(w *openWorld, e *Engine) { w.send(e, firing("Latched", "web2")) },
			"Latched", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: latch: a rollback of C1 has begun with L1 before",
		},
		"not promoted": {
			nil, func(w *openWorld, e *Engine) { w.promotionRequired(e) },
			"Auto", "record", "it matches, and that is only recorded: nobody has promoted it: it only records",
		},
		"promoted half way": {
			nil, func(w *openWorld, e *Engine) {
				w.promotionRequired(e)
				w.let(e, "Auto", backout.ModeAsk)
			},
			"Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: rule Auto is in mode ask: it was promoted to ask by alice, no further",
		},
		"the watchdog": {
			nil, func(w *openWorld, e *Engine) {
				cfg := *w.cfg
				watchdog, err := rules.ParseMatchers([]string{`alertname="Auto"`})
				if err != nil {
					w.t.Fatal(err)
				}
				cfg.Monitoring = &Monitoring{Watchdog: watchdog, MissingAfter: time.Hour}
				e.Reconfigure(&cfg)
				synctest.Wait()
			},
			"Auto", "nothing", "it matches, and nothing follows: the alert is the watchdog, which is evidence against nothing",
		},
		"lowered by a person": {
			nil, func(w *openWorld, e *Engine) { w.let(e, "Auto", backout.ModeShadow) },
			"Auto", "record", "it matches, and that is only recorded: alice lets it do no more than shadow",
		},
		"only recorded, and being rolled back": {
			nil, func(w *openWorld, e *Engine) { w.send(e, firing("Ask", "web1")) },
			"Shadow", "record", "it matches, and that is only recorded: the rule is in mode shadow; web1 is being rolled back by C1-r1",
		},
		"the pause switch": {
			nil, func(w *openWorld, e *Engine) {
				if _, err := e.Pause(w.t.Context(), alice, "storm"); err != nil {
					w.t.Fatal(err)
				}
			},
			"Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for the pause switch: everything is paused by alice: storm",
		},
		"limit of active rollbacks": {
			limits(backout.Limits{ActiveRollbacks: 1}), func(w *openWorld, e *Engine) { w.send(e, firing("Ask", "web2")) },
			"Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: limit: 1 rollbacks are active, the plan allows 1",
		},
		"limit of targets an hour": {
			limits(backout.Limits{TargetsPerHour: 1}), func(w *openWorld, e *Engine) { w.send(e, firing("Ask", "web2")) },
			"Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: limit: 2 targets in an hour, the plan allows 1",
		},
		"limit of the change's share": {
			limits(backout.Limits{ShareOfChange: 30}), nil,
			"Auto", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: limit: 1 of the change's 2 targets, the plan allows 30%",
		},
		"two reasons to wait": {
			nil, func(w *openWorld, e *Engine) {
				if _, err := e.Pause(w.t.Context(), alice, "storm"); err != nil {
					w.t.Fatal(err)
				}
			},
			"Ask", "open", "it matches: a rollback of web1 opens, from L1, and waits for an approval: rule Ask is in mode ask; and for the pause switch: everything is paused by alice: storm",
		},
	} {
		t.Run(name, func(t *testing.T) {
			explained(t, c.plan, func(t *testing.T, w *openWorld, e *Engine) {
				w.opened(e, "C1")
				if c.before != nil {
					c.before(w, e)
				}
				records := len(w.kinds("C1"))
				a := firing(c.alert, "web1")
				got, _ := w.of(e, handlers.ExplainRequest{Alert: &a})
				if got.Why != c.why || got.Follows != c.follows || !got.Matched {
					t.Errorf("explained %q (follows %s), want %q (%s)", got.Why, got.Follows, c.why, c.follows)
				}
				if after := len(w.kinds("C1")); after != records {
					t.Errorf("the explanation made %d records", after-records)
				}
				w.send(e, a)
				if did := w.happened(e, "C1", a, records); did != c.follows {
					t.Errorf("explained that %s follows, and then %s did", c.follows, did)
				}
			})
		})
	}
}

// TestExplainSaysWhatStoodInTheWay: the exact words of every guard, and of
// conditions that do not hold.
func TestExplainSaysWhatStoodInTheWay(t *testing.T) {
	open := func(w *openWorld, e *Engine) { w.opened(e, "C1") }
	for name, c := range map[string]struct {
		before func(w *openWorld, e *Engine)
		bend   func(a *backout.Alert)
		alert  string
		named  []string
		why    string
	}{
		"no change": {nil, nil, "Auto", nil, "no live change has target web1"},
		"no target": {open, func(a *backout.Alert) { delete(a.Labels, "instance") }, "Auto", nil, "the alert has no label instance that names a target"},
		"resolved":  {open, func(a *backout.Alert) { a.Firing = false }, "Auto", nil, "the alert is resolved"},
		"too early": {open, func(a *backout.Alert) { a.StartsAt = a.StartsAt.Add(-time.Hour) }, "Auto", nil, "the alert was firing before the window opened, at 2000-01-01T00:00:00Z"},
		"planned":   {func(w *openWorld, e *Engine) { w.planned(e, "C1") }, nil, "Auto", []string{"C1"}, "the change is planned, not open or watching"},
		"closed": {func(w *openWorld, e *Engine) {
			w.opened(e, "C1")
			if _, err := e.CloseChange(w.t.Context(), alice, "C1", "done"); err != nil {
				w.t.Fatal(err)
			}
			time.Sleep(3 * time.Hour) // until the watch is over
		}, nil, "Auto", []string{"C1"}, "the change is closed, not open or watching"},
		"another target": {open, func(a *backout.Alert) { a.Labels["instance"] = "db1" }, "Auto", []string{"C1"}, "the change does not have target db1"},
		"an expression":  {open, nil, "Many", nil, "evidence.red_targets >= 2 (evidence.red_targets = 1) does not hold"},
		"a failure":      {open, nil, "Failing", nil, "it failed, and counts as not matched: runtime error: integer divide by zero (1:76)"},
	} {
		t.Run(name, func(t *testing.T) {
			explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
				if c.before != nil {
					c.before(w, e)
				}
				a := firing(c.alert, "web1")
				if c.bend != nil {
					c.bend(&a)
				}
				got, _ := w.of(e, handlers.ExplainRequest{Alert: &a, ChangeIDs: c.named})
				if got.Why != c.why || got.Matched || got.Follows != "" || len(got.Parts) == 0 {
					t.Errorf("explained %q, want %q: %+v", got.Why, c.why, got)
				}
			})
		})
	}
}

func TestExplainTellsAlertsAboutBackoutItself(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		a := firing("BackoutDown", "web1")
		got, err := e.Explain(t.Context(), handlers.ExplainRequest{Alert: &a, Rule: "Auto"})
		if err != nil || len(got.Rules) != 1 || got.Rules[0].Why != "alerts about backout itself never count" {
			t.Errorf("explained %+v, %v", got, err)
		}
	})
}

// TestExplainOfAnAlertThatWasSeen: by its fingerprint, while it fires and after; at
// a past moment the change and the alert are as they were, and the answer says what
// it does not know.
func TestExplainOfAnAlertThatWasSeen(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		a := firing("Shadow", "web1")
		w.send(e, a)
		red := time.Now().UTC()
		got, all := w.of(e, handlers.ExplainRequest{Fingerprint: a.Fingerprint})
		if !got.Matched || got.Follows != "record" || len(all.Notes) != 0 {
			t.Errorf("while it fires: %+v, notes %q", got, all.Notes)
		}
		if diff := cmp.Diff([]string{red.Format(time.RFC3339) + " rule Shadow matched on web1 in mode shadow, and was recorded"}, all.Said); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}

		time.Sleep(10 * time.Minute)
		a.Firing, a.EndsAt = false, time.Now().UTC()
		w.send(e, a)
		if _, err := e.CloseChange(t.Context(), alice, "C1", "done"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		got, all = w.of(e, handlers.ExplainRequest{Fingerprint: a.Fingerprint})
		if got.Why != "the alert is resolved" || len(all.Notes) != 2 || !strings.HasPrefix(all.Notes[1], "change C1 has the target and is closed since ") {
			t.Errorf("after it: %q, notes %q", got.Why, all.Notes)
		}

		got, all = w.of(e, handlers.ExplainRequest{Fingerprint: a.Fingerprint, At: red.Add(time.Minute)})
		if !got.Matched || got.ChangeID != "C1" || got.Follows != "record" {
			t.Errorf("as it was: %+v", got)
		}
		if want := "evidence, signals, queries and promotions are those of now"; !strings.Contains(strings.Join(all.Notes, "\n"), want) {
			t.Errorf("the notes %q lack %q", all.Notes, want)
		}

		for name, r := range map[string]handlers.ExplainRequest{
			"an alert nobody saw": {Fingerprint: "00000000000000aa"}, "no such change": {Alert: &a, ChangeIDs: []string{"C9"}}, "no such rule": {Alert: &a, Rule: "Nope"},
		} {
			if _, err := e.Explain(t.Context(), r); !errors.Is(err, backout.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		early := handlers.ExplainRequest{Alert: &a, ChangeIDs: []string{"C1"}, At: red.Add(-time.Hour)}
		if _, err := e.Explain(t.Context(), early); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("before it was planned: %v", err)
		}
	})
}

// TestExplainCountsAnAlertAsIfItHadCome: evidence would count it, so the answer does.
func TestExplainCountsAnAlertAsIfItHadCome(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		w.send(e, firing("Other", "web2"))
		a := firing("Many", "web1")
		got, _ := w.of(e, handlers.ExplainRequest{Alert: &a})
		if !got.Matched || got.Follows != "open" || !strings.Contains(got.Parts[1].Text, "evidence.red_targets = 2") {
			t.Errorf("explained %+v", got)
		}
		records := len(w.kinds("C1"))
		w.send(e, a)
		if did := w.happened(e, "C1", a, records); did != "open" {
			t.Errorf("and then %s did", did)
		}
	})
}

func TestRedAlertsNamesThoseOnLiveChangesFirst(t *testing.T) {
	explained(t, nil, func(t *testing.T, w *openWorld, e *Engine) {
		w.opened(e, "C1")
		w.send(e, firing("Old", "web2"))
		time.Sleep(time.Minute)
		w.send(e, firing("Elsewhere", "db1"), firing("New", "web1"))
		list, all, err := e.RedAlerts(t.Context(), 2)
		if err != nil || all != 3 || len(list) != 2 {
			t.Fatalf("%d of %d, %v", len(list), all, err)
		}
		if list[0].Alert.Name() != "New" || list[0].Target != "web1" || list[1].Alert.Name() != "Old" || list[0].ChangeIDs[0] != "C1" {
			t.Errorf("listed %+v", list)
		}
	})
}
