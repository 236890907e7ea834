package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// planOfPage loads the plan that a page of docs shows first, and returns the page's text
// too.
func planOfPage(t *testing.T, name string) (*Config, string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatalf("docs/%s shows no plan", name)
	}
	kinds := builtIn(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("plan.yaml", block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := LoadPlans("", []string{"plan.yaml"}, kinds)
	if problems != nil {
		t.Fatal(problems)
	}
	return cfg, string(page)
}

// TestThePlanInTheDocsLoads: the page shows every key of a baseline, and none wrongly.
func TestThePlanInTheDocsLoads(t *testing.T) {
	cfg, _ := planOfPage(t, "baselines.md")
	b := cfg.Plans["web"].Baseline
	if len(b.Files) == 0 || len(b.Without) == 0 || len(b.Steps) == 0 || b.ValidFor == 0 || len(b.Ignore) == 0 || len(cfg.Plans["web"].Cleanup) == 0 {
		t.Errorf("a key is not shown: %+v", b)
	}
}
