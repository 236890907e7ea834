package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/app"
)

const explainConfig = `listen: 127.0.0.1:0
data_dir: data
rules: [rules.yaml]
inventory: [inventory.yaml]
`

const explainRules = `groups:
  - name: g
    rules:
      - {rule: Two, match: [alertname="Down"], mode: auto, when: evidence.red_targets == 2 and target.os == "debian-12"}
      - {rule: Late, match: [alertname="Down"], start_at: L2, mode: ask}
`

func explainOptions(t *testing.T) app.ExplainOptions {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"backout.yaml": explainConfig, "rules.yaml": explainRules,
		"inventory.yaml": "targets:\n  - {name: web-1, os: debian-12, transport: local}\n  - {name: web-2, os: debian-12, transport: local}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	down := func(target string) backout.Alert {
		return backout.Alert{Fingerprint: target, Firing: true, StartsAt: at.Add(-time.Minute), Labels: map[string]string{"alertname": "Down", "instance": target + ":9100"}}
	}
	return app.ExplainOptions{Config: filepath.Join(dir, "backout.yaml"), At: at, Alerts: []backout.Alert{down("web-1"), down("web-2")}}
}

// TestExplainWithoutAServer: all alerts of a file count as evidence, and each is
// explained.
func TestExplainWithoutAServer(t *testing.T) {
	o := explainOptions(t)
	o.Changes = []backout.Change{{
		ChangeSpec: backout.ChangeSpec{ID: "CHG1", Targets: []string{"web-1", "web-2"}}, State: backout.ChangeOpen, OpenedAt: o.At.Add(-time.Hour),
	}}
	got, err := app.Explain(o)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for _, answer := range got {
		if len(answer.Rules) != 2 || !answer.Rules[0].Acts() || answer.Rules[0].Rule != "Two" || answer.Rules[0].ChangeID != "CHG1" {
			t.Errorf("explained %+v", answer)
		}
		if want := "from L2, and waits for an approval: rule Late is in mode ask"; !strings.HasSuffix(answer.Rules[1].Why, want) {
			t.Errorf("explained %q, want %q", answer.Rules[1].Why, want)
		}
	}
}

// TestExplainAssumesAChange where none is given, and says so.
func TestExplainAssumesAChange(t *testing.T) {
	o := explainOptions(t)
	o.Rule = "Two"
	got, err := app.Explain(o)
	if err != nil {
		t.Fatal(err)
	}
	r := got[0].Rules
	if len(r) != 1 || r[0].ChangeID != app.ExampleChange || r[0].Why != "evidence.red_targets == 2 (evidence.red_targets = 1) does not hold" {
		t.Errorf("explained %+v", r)
	}
	if notes := strings.Join(got[0].Notes, "\n"); !strings.Contains(notes, "no change is given") || !strings.Contains(notes, "--server-side") {
		t.Errorf("notes %q", notes)
	}
	o.Rule = "Nope"
	if _, err := app.Explain(o); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a rule that is not there: %v", err)
	}
}
