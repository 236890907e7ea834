package ruletest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// extract writes files into a new directory and goes there.
func extract(t *testing.T, files []txtar.File) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range files {
		if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// story runs the tests of web_test.yaml and tells what came of them.
func story(t *testing.T) string {
	t.Helper()
	r, err := Run(t.Context(), []string{"web_test.yaml"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range r.Files[0].Problems {
		if !p.Warning {
			fmt.Fprintln(&b, p)
		}
	}
	for _, result := range r.Files[0].Tests {
		word := "ok    "
		if len(result.Failures) > 0 {
			word = "FAIL  "
		}
		fmt.Fprintln(&b, word+result.Name)
		for _, e := range result.Events {
			fmt.Fprintln(&b, "      "+e.Followed())
		}
		for i := range result.Failures {
			for _, line := range result.Failures[i].Lines() {
				fmt.Fprintln(&b, "   "+line)
			}
		}
	}
	return b.String()
}

// TestStories runs whole test files and compares all that they say.
func TestStories(t *testing.T) {
	names, err := filepath.Glob("testdata/story/*.txtar")
	if err != nil || len(names) < 3 {
		t.Fatalf("stories: %v, %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			name, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			last := len(archive.Files) - 1
			extract(t, archive.Files[:last])
			got := story(t)
			if again := story(t); again != got {
				t.Errorf("the same files, another report:\n%s", cmp.Diff(got, again))
			}
			if *update {
				archive.Files[last].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[last].Data), got); diff != "" {
				t.Errorf("(-want +got), go test ./internal/ruletest -run Stories -update:\n%s", diff)
			}
		})
	}
}
