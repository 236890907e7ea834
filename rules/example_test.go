package rules_test

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// inventory is the smallest World: one change on one target.
type inventory struct{ change *backout.Change }

func (w inventory) ChangesOn(target string) []*backout.Change {
	if target == "web-1" {
		return []*backout.Change{w.change}
	}
	return nil
}

func (inventory) Target(name string) (backout.Target, bool) {
	return backout.Target{Name: name, OS: "debian-12"}, name == "web-1"
}

func (inventory) Evidence(*backout.Change) backout.Evidence {
	return backout.Evidence{RedTargets: 1, RedSharePatched: 1}
}

func (inventory) Signals(*backout.Change, string, string) backout.Signals { return backout.Signals{} }

func (inventory) Query(string, string) (float64, error) { return 0, rules.ErrNotYet }

func Example() {
	set, problems := rules.Load(map[string][]byte{"web.yaml": []byte(`
groups:
  - name: web-tier
    rules:
      - rule: WebErrorsAfterPatch
        match: [severity=~"critical|page", team="web"]
        when: evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration("2m")
        mode: auto
        annotations: {summary: "{{ .Change.ID }} turned {{ .Alert.Name }} red on {{ .Targets }}"}
`)})
	if err := problems.Fatal(); err != nil {
		fmt.Println(err)
		return
	}

	opened := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	world := inventory{&backout.Change{
		ChangeSpec: backout.ChangeSpec{ID: "CHG0030001", Targets: []string{"web-1"}},
		State:      backout.ChangeOpen, OpenedAt: opened,
	}}
	alert := &backout.Alert{
		Firing: true, StartsAt: opened.Add(5 * time.Minute),
		Labels: map[string]string{"alertname": "HighErrorRate", "severity": "page", "team": "web", "instance": "web-1:9100"},
	}

	for _, verdict := range set.Match(alert, world, opened.Add(8*time.Minute)).Verdicts {
		fmt.Println(verdict.Mode, verdict.Annotations["summary"])
		for _, reason := range verdict.Reasons {
			fmt.Println("-", reason)
		}
	}
	// Output:
	// auto CHG0030001 turned HighErrorRate red on web-1
	// - red on web-1 for 3m0s, since 5m0s after the window opened
	// - severity=~"critical|page" ("page")
	// - team="web"
	// - evidence.red_share_patched > 2 * evidence.red_share_unpatched (evidence.red_share_patched = 1, evidence.red_share_unpatched = 0)
	// - alert.age > duration("2m") (alert.age = 3m0s)
}

func ExampleHost() {
	fmt.Println(rules.Host("web-1:9100"), rules.Host("[2001:db8::1]:9100"), rules.Host("https://web-1/health"))
	// Output: web-1 2001:db8::1 web-1
}

func ExampleSet_Explain() {
	set, _ := rules.Load(map[string][]byte{"db.yaml": []byte(`
groups:
  - name: db
    rules:
      - {rule: DatabaseDown, match: [alertname="DatabaseDown"], mode: ask}
`)})
	opened := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	world := inventory{&backout.Change{ChangeSpec: backout.ChangeSpec{ID: "CHG0030001"}, State: backout.ChangeOpen, OpenedAt: opened}}
	alert := &backout.Alert{
		Firing: true, StartsAt: opened.Add(-time.Hour),
		Labels: map[string]string{"alertname": "DatabaseDown", "instance": "web-1"},
	}
	for _, e := range set.Explain(alert, world, opened.Add(time.Minute)) {
		fmt.Println(e.Rule, e.ChangeID, e.Matched)
		fmt.Println(e.Guard)
	}
	// Output:
	// DatabaseDown CHG0030001 false
	// the alert was firing before the window opened, at 2026-03-01T22:00:00Z
}
