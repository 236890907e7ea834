package ruletest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGuideTestsItsFirstRule: whoever copies the guide's first rule and its test has
// a test that passes and leaves nothing out.
func TestGuideTestsItsFirstRule(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]string{"web.yaml": "(?ms)^```yaml\n(.*?)^```$", "web_test.yaml": "(?ms)^```yaml web_test.yaml\n(.*?)^```$"} {
		found := regexp.MustCompile(block).FindSubmatch(text)
		if found == nil {
			t.Fatalf("docs/rules.md has no block for %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), found[1], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	passes(t, filepath.Join(dir, "web_test.yaml"))
}
