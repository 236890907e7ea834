package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestThePlanInTheDocsLoads: the page shows every key of a baseline, and none wrongly.
func TestThePlanInTheDocsLoads(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "baselines.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/baselines.md shows no plan")
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
	b := cfg.Plans["web"].Baseline
	if len(b.Files) == 0 || len(b.Without) == 0 || len(b.Steps) == 0 || b.ValidFor == 0 || len(b.Ignore) == 0 || len(cfg.Plans["web"].Cleanup) == 0 {
		t.Errorf("a key is not shown: %+v", b)
	}
}
