package baseline_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/baseline"
)

var update = flag.Bool("update", false, "write the table of docs/baselines.md anew")

// TestTheGuideListsTheDefaults: nothing is ignored that the guide does not tell.
func TestTheGuideListsTheDefaults(t *testing.T) {
	const file, from, to = "../../docs/baselines.md", "<!-- rules -->\n", "<!-- end -->"
	guide, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(guide), from)
	_, tail, whole := strings.Cut(rest, to)
	if !ok || !whole {
		t.Fatalf("%s has no place for the table", file)
	}
	table := "| part | name | why |\n|---|---|---|\n"
	for _, r := range baseline.DefaultIgnores() {
		table += fmt.Sprintf("| %s | `%s` | %s |\n", r.Part, r.Name, r.Reason)
	}
	want := head + from + table + to + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(guide) != want {
		t.Errorf("%s does not list the default rules as they are: run go test ./internal/baseline -run Guide -update", file)
	}
}
