package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/app"
)

const usesRules = `groups:
  - name: g
    rules:
      - rule: R
        match: [alertname="A"]
        when: target.labels.rol == "web" and target.labels["role"] != "db" and change.labels.any == ""
      - rule: S
        match: [alertname="A"]
        when: |
          alert.flaps < 3 and
          prom("up") > 0.5
`

// TestRulesAreHeldAgainstTheOtherFiles: a label that no target has, and a query that
// nobody could be asked, at their place in the rule.
func TestRulesAreHeldAgainstTheOtherFiles(t *testing.T) {
	for name, test := range map[string]struct {
		more string
		want []string
	}{
		"neither": {"", []string{
			`rules.yaml:6:29: warning: no target of the inventory has the label "rol", so it reads as empty: did you mean "role"?`,
			`rules.yaml:11:11: prom() asks Prometheus, and none is known: set prometheus.url in backout.yaml`,
		}},
		"a Prometheus": {"prometheus: {url: \"http://127.0.0.1:9090\"}\n", []string{
			`rules.yaml:6:29: warning: no target of the inventory has the label "rol", so it reads as empty: did you mean "role"?`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{
				"backout.yaml": "rules: [rules.yaml]\ninventory: [inventory.yaml]\ndata_dir: data\n" + test.more,
				"rules.yaml":   usesRules, "inventory.yaml": "targets: [{name: web-1, transport: local, labels: {role: web, tier: a}}]\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			config := filepath.Join(dir, "backout.yaml")
			for what, problems := range map[string]string{
				"check": app.Check(t.Context(), config).Error(), "rules check": app.CheckRules(config).Error(),
			} {
				got := strings.Split(strings.ReplaceAll(problems, dir+"/", ""), "\n")
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}
