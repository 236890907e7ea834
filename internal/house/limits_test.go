package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var namedTest = regexp.MustCompile("`((?:executors|internal)/[a-z0-9/]+)` ([^;|]+)")

// TestLimitsNameRealTests: a trap is met by a test that is there.
func TestLimitsNameRealTests(t *testing.T) {
	data, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	found := namedTest.FindAllStringSubmatch(string(data), -1)
	if len(found) < 50 {
		t.Errorf("%d tests are named, which is too few to be all", len(found))
	}
	for _, m := range found {
		folder, name := m[1], strings.TrimSpace(m[2])
		files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			there = there || strings.Contains(string(text), `"`+name+`"`) || strings.Contains(string(text), "func "+name+"(")
		}
		if !there {
			t.Errorf("docs/limits.md names a test of %s that is not there: %s", folder, name)
		}
	}
}
