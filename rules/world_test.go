package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// opened is when the windows of the tests open.
var opened = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

// world is a World of plain maps.
type world struct {
	changes  map[string][]*backout.Change
	targets  map[string]backout.Target
	evidence map[string]backout.Evidence
	// signals are by "change/target/fingerprint", queries by "query on target".
	signals map[string]backout.Signals
	queries map[string]float64
	// asked, heard and queried count the calls; failing answers every query.
	asked, heard, queried *int
	failing               error
}

func (w world) ChangesOn(target string) []*backout.Change { return w.changes[target] }

func (w world) Target(name string) (backout.Target, bool) {
	t, ok := w.targets[name]
	return t, ok
}

func (w world) Evidence(ch *backout.Change) backout.Evidence {
	if w.asked != nil {
		*w.asked++
	}
	return w.evidence[ch.ID]
}

func (w world) Signals(ch *backout.Change, target, fingerprint string) backout.Signals {
	if w.heard != nil {
		*w.heard++
	}
	return w.signals[ch.ID+"/"+target+"/"+fingerprint]
}

func (w world) Query(query, target string) (float64, error) {
	if w.queried != nil {
		*w.queried++
	}
	if w.failing != nil {
		return 0, w.failing
	}
	value, ok := w.queries[query+" on "+target]
	if !ok {
		return 0, ErrNotYet
	}
	return value, nil
}

func worldOf(changes ...*backout.Change) world {
	w := world{changes: map[string][]*backout.Change{}, targets: map[string]backout.Target{}, evidence: map[string]backout.Evidence{}}
	for _, c := range changes {
		for _, t := range c.Targets {
			w.changes[t] = append(w.changes[t], c)
			w.targets[t] = backout.Target{Name: t, OS: "debian-12", Site: "fra", Labels: map[string]string{"role": "web"}}
		}
	}
	return w
}

func change(id string, targets ...string) *backout.Change {
	return &backout.Change{
		ChangeSpec: backout.ChangeSpec{
			ID: id, Title: "openssl update", Targets: targets, Plan: "web", Owner: "alice",
			Patch: backout.Patch{Kind: "packages", IDs: []string{"openssl-3.0.1"}, CVEs: []string{"CVE-2026-0001"}}, Labels: map[string]string{"team": "web"},
		},
		State: backout.ChangeWatching, OpenedAt: opened, PatchedAt: opened.Add(5 * time.Minute),
	}
}

func alert(pairs ...string) *backout.Alert {
	a := &backout.Alert{Fingerprint: "00000000000000aa", Firing: true, Labels: map[string]string{}, StartsAt: opened.Add(10 * time.Minute)}
	for i := 0; i < len(pairs); i += 2 {
		a.Labels[pairs[i]] = pairs[i+1]
	}
	return a
}

// load loads one file that must have no fatal problem.
func load(t testing.TB, text string) *Set {
	t.Helper()
	return loadAll(t, map[string][]byte{"rules.yaml": []byte(text)})
}

func loadAll(t testing.TB, files map[string][]byte) *Set {
	t.Helper()
	set, problems := Load(files)
	if err := problems.Fatal(); err != nil {
		t.Fatalf("load: %.2000v", err)
	}
	return set
}

// one wraps the lines of a rule into a file.
func one(lines ...string) string {
	return "groups:\n  - name: g\n    rules:\n      - rule: R\n        " + strings.Join(lines, "\n        ") + "\n"
}
