package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/ruletest"
)

var updateGuide = flag.Bool("update-guide", false, "write what the commands of docs/rules.md print")

// TestGuideTestsARule does what docs/rules.md tells a newcomer: saves the first rule
// and its test, runs the commands, and sees what stands there.
func TestGuideTestsARule(t *testing.T) {
	path, err := filepath.Abs("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := func(head string) string {
		_, rest, ok := strings.Cut(string(guide), "```"+head+"\n")
		text, _, end := strings.Cut(rest, "```\n")
		if !ok || !end {
			t.Fatalf("no block %s in the guide", head)
		}
		return text
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o700); err != nil {
		t.Fatal(err)
	}
	test := block("yaml web_test.yaml")
	for name, text := range map[string]string{
		"rules/web.yaml": block("yaml"), "rules/web_test.yaml": test, "rules/slip_test.yaml": strings.Replace(test, "at: 28m", "at: 27m", 1),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	console := regexp.MustCompile("(?s)```console\n\\$ backout ([^\n]*)\n(.*?)```\n")
	if found := console.FindAllString(string(guide), -1); len(found) < 3 {
		t.Fatalf("%d commands in the guide", len(found))
	}
	got := console.ReplaceAllFunc(guide, func(match []byte) []byte {
		command := string(console.FindSubmatch(match)[1])
		if !strings.HasPrefix(command, "rules test ") && !strings.HasPrefix(command, "rules check ") {
			return match
		}
		var out bytes.Buffer
		Run(t.Context(), strings.Fields(command), Options{
			Stdout: &out, Stderr: &out,
			RulesCheck: func(_ string, files ...string) (problems backout.Problems) {
				_, err := setOf(files...)
				errors.As(err, &problems)
				return problems
			},
			RulesTest: func(ctx context.Context, _ string, files []string, o ruletest.Options) (ruletest.Report, error) {
				return ruletest.Run(ctx, files, o)
			},
		})
		return []byte("```console\n$ backout " + command + "\n" + out.String() + "```\n")
	})
	if *updateGuide {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(guide), string(got)); diff != "" {
		t.Errorf("what the commands print (-guide +got), go test ./internal/cli -run Guide -update-guide:\n%s", diff)
	}
}
