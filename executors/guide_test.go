package executors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/testdata/saved"
)

func TestConformance(t *testing.T) {
	from := filepath.Join(t.TempDir(), "app.conf.saved")
	section := fmt.Sprintf(`{"file": %q, "from": %q}`, filepath.Join(t.TempDir(), "app.conf"), from)
	if err := os.WriteFile(from, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	executorstest.Run(t, executorstest.Suite{
		Kind:  saved.Kind(),
		Quick: section,
		// A second move finds nothing to move, and fails.
		Effects: func() int {
			if _, err := os.Stat(from); err != nil {
				return 1
			}
			return 0
		},
		Bad: map[string]string{`{}`: "two absolute paths", `{"file": "/a", "from": "b"}`: "two absolute paths"},
	})
}

// What the guide to a new executor shows is what is compiled and tested here.
func TestGuideShowsWhatWorks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(shown) != 2 {
		t.Fatalf("CONTRIBUTING.md has %d blocks of Go, want 2: the executor and its test", len(shown))
	}
	code, err := os.ReadFile(filepath.Join("testdata", "saved", "saved.go"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(code), "\n"), strings.Split(shown[0][1], "\n")); diff != "" {
		t.Errorf("the executor in CONTRIBUTING.md is not executors/testdata/saved/saved.go (-file +page):\n%s", diff)
	}
	test, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(test), shown[1][1]) {
		t.Errorf("the test in CONTRIBUTING.md is not the TestConformance of executors/guide_test.go:\n%s", shown[1][1])
	}
}
