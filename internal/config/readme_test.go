package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// readmeFiles are the README's YAML blocks, by the name in their first line.
func readmeFiles(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```yaml\n# ([a-z/.]+)\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		files[m[1]] = m[2]
	}
	for _, name := range []string{"backout.yaml", "inventory/web.yaml", "plans/web.yaml", "rules/web.yaml", "change.yaml"} {
		if files[name] == "" {
			t.Fatalf("README.md has no YAML block that begins with \"# %s\"", name)
		}
	}
	return files
}

// loadREADME loads the README's config as somebody who copies it does, with every
// secret that it names passed by systemd.
func loadREADME(t *testing.T, files map[string]string) *Config {
	t.Helper()
	dir, credentials := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	named := regexp.MustCompile(`\{credential: ([^}]+)\}`).FindAllStringSubmatch(files["backout.yaml"], -1)
	if len(named) < 4 {
		t.Fatalf("the README's config names %q", named)
	}
	contents := map[string]string{filepath.Join(dir, "known_hosts"): ""}
	for _, m := range named {
		contents[filepath.Join(credentials, m[1])] = "long enough, of " + m[1]
	}
	for name, text := range files {
		contents[filepath.Join(dir, name)] = text
	}
	for path, text := range contents {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds := builtIn(t)
	kinds.Rules = func(files []File) backout.Problems {
		data := map[string][]byte{}
		for _, f := range files {
			data[f.Path] = f.Data
		}
		set, problems := rules.Load(data)
		if set != nil && set.Len() == 0 {
			t.Error("no rule was loaded")
		}
		return problems
	}
	cfg, problems := Load(filepath.Join(dir, "backout.yaml"), kinds)
	for _, p := range problems {
		t.Error(p)
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

// TestREADMEOpensAWindow: the README's files have no problem, and the gate says
// yes to the README's change; what it says of approvals is what the plan means.
func TestREADMEOpensAWindow(t *testing.T) {
	files := readmeFiles(t)
	cfg := loadREADME(t, files)
	var asked struct {
		ID, Title, Plan, Owner string
		Patch                  backout.Patch
		Targets                []string
		Window                 struct {
			Opens, Closes string
			Watch         backout.Duration
		}
	}
	if problems := strictyaml.Decode("change.yaml", []byte(files["change.yaml"]), &asked); problems != nil {
		t.Fatal(problems)
	}
	if asked.Window.Opens != "now" || asked.Window.Closes != "+2h" {
		t.Fatalf("the window is %+v: change what this test makes of it", asked.Window)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	spec := backout.ChangeSpec{
		ID: asked.ID, Title: asked.Title, Patch: asked.Patch, Targets: asked.Targets, Plan: asked.Plan, Owner: asked.Owner,
		Window: backout.Window{Opens: now, Closes: now.Add(2 * time.Hour), Watch: asked.Window.Watch},
	}
	if v := change.Validate(spec); v != nil {
		t.Errorf("the change: %v", v)
	}
	plan, ok := cfg.Plans[spec.Plan]
	if !ok {
		t.Fatalf("no plan %q", spec.Plan)
	}
	facts := gate.Facts{
		Plan: &plan, PlanHash: planhash.Freeze(plan).Hash, Targets: cfg.Inventory, Groups: map[string][]string{}, Now: now,
	}
	facts.Baselines = map[string]string{}
	for _, target := range spec.Targets { // each of them answers well
		facts.Baselines[target] = "sha256:" + strings.Repeat("0", 64)
		for _, level := range plan.Levels {
			for i, step := range level.Steps {
				facts.Answers = append(facts.Answers, gate.Answer{Target: target, Level: level.Name, Step: i, Check: step.Uses})
			}
		}
	}
	for _, group := range cfg.groupNames() {
		facts.Groups[group] = cfg.Members(group)
	}
	facts.OpenGroups = cfg.Auth.OIDC.On() // the provider knows the members
	facts.Change = backout.Change{ChangeSpec: spec, State: backout.ChangePlanned, Requester: spec.Owner}
	if r := gate.Check(facts); !r.Passed() {
		t.Errorf("%s asks: %v", spec.Owner, r.Violations)
	}
	l := plan.Levels
	if len(l) != 3 || l[0].Approval.Mode != backout.ApprovalVeto || l[1].Approval.Votes != 1 || l[1].Approval.StepUp != 0 || l[2].Approval.Votes != 2 || l[2].Approval.StepUp == 0 {
		t.Errorf("the levels are asked for otherwise than the README says: %+v", l)
	}
	if rest := len(cfg.Inventory) - len(spec.Targets); rest < 1 || !slices.Contains(spec.Targets, "web-1") {
		t.Errorf("%d targets stay unpatched", rest)
	}
}
