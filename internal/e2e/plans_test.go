package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestShippedPlansAreGood: every plan of deploy/plans passes "backout plan check",
// has the name of its file, is listed in deploy/README.md, and has a story here.
func TestShippedPlansAreGood(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/plans/*")
	if err != nil || len(files) < 5 {
		t.Fatalf("plans: %q, %v", files, err)
	}
	tests, err := filepath.Glob("wayback*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var stories strings.Builder
	for _, f := range tests {
		stories.WriteString(read(f))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if code, stdout, stderr := run(t, nil, "plan", "check", file); code != 0 || !strings.Contains(stdout, "good") {
			t.Errorf("plan check %s: exit code %d\n%s%s", file, code, stdout, stderr)
		}
		if !strings.Contains(read(file), "\n  - name: "+name+"\n") {
			t.Errorf("%s does not have the plan %s", file, name)
		}
		if !strings.Contains(read("../../deploy/README.md"), "(plans/"+filepath.Base(file)+")") {
			t.Errorf("deploy/README.md does not link %s", file)
		}
		if !strings.Contains(stories.String(), `newStory(t, "`+name+`"`) {
			t.Errorf("%s has no story", file)
		}
	}
}
