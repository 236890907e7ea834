package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/explain"
	follow "github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// seenWorld is a world of changes on web-1.
type seenWorld struct{ changes []*backout.Change }

func (w seenWorld) ChangesOn(string) []*backout.Change { return w.changes }
func (w seenWorld) Target(name string) (backout.Target, bool) {
	return backout.Target{Name: name, OS: "debian-12"}, true
}

func (w seenWorld) Evidence(*backout.Change) backout.Evidence {
	return backout.Evidence{RedTargets: 1, RedSharePatched: 0.5, RedShareUnpatched: 0.1}
}

func (w seenWorld) Signals(*backout.Change, string, string) backout.Signals { return backout.Signals{} }

func (w seenWorld) Query(string, string) (float64, error) { return 0, rules.ErrNotYet }

// explainedRules are rules of every fate, for one alert.
const explainedRules = `
groups:
  - name: web-tier
    rules:
      - {rule: Acts, match: [severity="page"], when: alert.age > duration("2m"), mode: auto}
      - {rule: Asks, match: [severity="page"], mode: ask, for: 1h}
      - {rule: Shadow, match: [severity="page"]}
      - rule: NearMiss
        match: [severity="page"]
        when: not (alert.labels.team == "db" or evidence.red_targets > 3) and (alert.silenced or target.os == "sles" and change.patched)
      - {rule: Waits, when: prom("up") < 1}
      - {rule: Fails, when: change.target_count % (evidence.red_targets - 1) == 0}
      - {rule: Elsewhere, match: [severity="info", team="db"]}
`

func asked(t *testing.T, w seenWorld, bend func(*backout.Alert)) handlers.Explained {
	t.Helper()
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte(explainedRules)})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	a := &backout.Alert{
		Fingerprint: "00000000000000aa", Firing: true, StartsAt: t0,
		Labels: map[string]string{"alertname": "HighErrorRate", "instance": "web-1:9100", "severity": "page", "team": "web"},
	}
	if bend != nil {
		bend(a)
	}
	at := t0.Add(3 * time.Minute)
	follows := func(v *backout.Verdict) explain.Outcome {
		for _, c := range w.changes {
			if c.ID == v.ChangeID {
				return explain.Outcome{Next: follow.Decide(follow.Case{Verdict: *v, Alert: a, Change: c, Now: at}, follow.NewBook())}
			}
		}
		return explain.Outcome{}
	}
	out := explain.Answer(set, explain.Question{Alert: a, At: at, World: w, Follows: follows})
	out.Notes = []string{"a note"}
	out.Said = []string{"2026-11-23T02:01:00Z rule Acts matched on web-1 in mode auto, and opened CHG1-r1"}
	return out
}

func watched(state backout.ChangeState, refs ...backout.RollbackRef) *backout.Change {
	return &backout.Change{
		ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: []string{"web-1", "web-2"}}, State: state, OpenedAt: t0.Add(-5 * time.Minute), Rollbacks: refs,
		Frozen: &backout.FrozenPlan{Plan: backout.Plan{Name: "web", Levels: []backout.Level{{Name: "L1"}}}},
	}
}

func TestExplained(t *testing.T) {
	e := asked(t, seenWorld{[]*backout.Change{watched(backout.ChangeWatching)}}, nil)
	golden(t, "explain.txt", Explained(&e, Style{}, false))
	golden(t, "explain_all_unicode.txt", Explained(&e, Style{Unicode: true}, true))
}

// TestExplainedSaysWhyNot: the line that a person reads first, for each guard and
// each stop behind a match.
func TestExplainedSaysWhyNot(t *testing.T) {
	ref := func(status backout.RollbackStatus) backout.RollbackRef {
		return backout.RollbackRef{ID: "CHG1-r1", Targets: []string{"web-1"}, Status: status}
	}
	var b strings.Builder
	for _, c := range []struct {
		name   string
		change *backout.Change
		bend   func(*backout.Alert)
	}{
		{"live", watched(backout.ChangeWatching), nil},
		{"no change", nil, nil},
		{"no target", watched(backout.ChangeOpen), func(a *backout.Alert) { delete(a.Labels, "instance") }},
		{"another target", watched(backout.ChangeOpen), func(a *backout.Alert) { a.Labels["instance"] = "db-1" }},
		{"resolved", watched(backout.ChangeOpen), func(a *backout.Alert) { a.Firing = false }},
		{"about backout", watched(backout.ChangeOpen), func(a *backout.Alert) { a.Labels["alertname"] = "BackoutHeld" }},
		{"planned", watched(backout.ChangePlanned), nil},
		{"closed", watched(backout.ChangeClosed), nil},
		{"before the window", watched(backout.ChangeOpen), func(a *backout.Alert) { a.StartsAt = t0.Add(-time.Hour) }},
		{"being rolled back", watched(backout.ChangeBackingOut, ref(backout.RollbackRunning)), nil},
		{"rolled back before", watched(backout.ChangeWatching, ref(backout.RollbackRecovered)), nil},
	} {
		w := seenWorld{}
		if c.change != nil {
			w.changes = []*backout.Change{c.change}
		}
		e := asked(t, w, c.bend)
		fmt.Fprintf(&b, "%s:\n", c.name)
		for i := range e.Rules {
			r := &e.Rules[i]
			fmt.Fprintf(&b, "  %-9s  %-18s  %s\n", r.Rule, Style{}.show(ruleSign(r)), r.Why)
		}
	}
	golden(t, "explain_whynot.txt", b.String())
}

func TestExplainedKeepsHostileTextsHarmless(t *testing.T) {
	for _, text := range hostile {
		e := handlers.Explained{
			Alert: backout.Alert{Labels: map[string]string{"alertname": text, text: text}, Fingerprint: text}, Notes: []string{text}, Said: []string{text},
		}
		for range 3 {
			e.Rules = append(e.Rules, handlers.ExplainedRule{
				Rule: text, Group: text, Mode: backout.Mode(text), Target: text, ChangeID: text, Why: text, Guard: text, Stopped: text,
				Parts: []handlers.ExplainPart{{Text: text, Error: text, Parts: []handlers.ExplainPart{{Text: text, Unknown: text}}}},
			})
		}
		plain := handlers.Explained{Alert: backout.Alert{Labels: map[string]string{"alertname": "x"}}, Notes: []string{"x"}, Said: []string{"x"}}
		for range 3 {
			plain.Rules = append(plain.Rules, handlers.ExplainedRule{Parts: []handlers.ExplainPart{{Parts: []handlers.ExplainPart{{}}}}})
		}
		for _, all := range []bool{false, true} {
			out := Explained(&e, Style{}, all)
			wantHarmless(t, strings.ReplaceAll(out, "\n", ""), false)
			if got, want := strings.Count(out, "\n"), strings.Count(Explained(&plain, Style{}, all), "\n"); got != want {
				t.Errorf("%d lines, want %d: %.300q", got, want, out)
			}
		}
	}
}
