package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsProvenIsAskedAgainWhenItChanges: .ci/protections leaves out what .ci/proven
// holds, and only while nothing that the test is made of differs.
func TestWhatIsProvenIsAskedAgainWhenItChanges(t *testing.T) {
	need(t, "perl", "perl")
	bash := need(t, "bash", "bash")
	script, err := os.ReadFile("../../.ci/protections")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(file, text string) {
		t.Helper()
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bash, append([]string{".ci/protections"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	write(".ci/protections", string(script))
	write("go.mod", "module example.com/m\n\ngo 1.26\n")
	write("go.sum", "")
	write("low/low.go", "package low\n\n// One is 1.\nfunc One() int { return 1 }\n")
	write("door/door.go", "package door\n\nimport \"example.com/m/low\"\n\nfunc Open(key int) bool { return key == low.One() }\n")
	write("door/door_test.go", "package door\n\nimport \"testing\"\n\nfunc TestOpen(t *testing.T) {\n\tif Open(2) || !Open(1) {\n\t\tt.Fatal()\n\t}\n}\n")
	entry := "without \"door: the key fits\" door/door.go \\\n\t's/return key == low\\.One\\(\\)/return key >= low.One()/' door 'TestOpen'\n"
	write(".ci/protections.d/door", entry)
	for _, step := range []struct {
		name string
		do   func()
		args []string
		says string
		ok   bool
	}{
		{"nothing is proven", func() {}, nil, "1 protections: 1 taken away now, 0 proven before", true},
		{"all is proven", func() {}, nil, "1 protections: 0 taken away now, 1 proven before", true},
		{"all are asked for", func() {}, []string{"--all"}, "1 protections: 1 taken away now, 0 proven before", true},
		{"a word asks", func() {}, []string{"door"}, "1 protections: 1 taken away now, 0 proven before", true},
		{"a word that none holds", func() {}, []string{"window"}, "0 protections: 0 taken away now", false},
		{"still proven", func() {}, nil, "1 protections: 0 taken away now, 1 proven before", true},
		{"another package gets a test", func() {
			write("low/low_test.go", "package low\n")
		}, nil, "1 protections: 0 taken away now, 1 proven before", true},
		{"what it is made of changes", func() {
			write("low/low.go", "package low\n\n// One is one.\nfunc One() int { return 1 }\n")
		}, nil, "1 protections: 1 taken away now, 0 proven before", true},
		{"its test asks nothing any more", func() {
			write("door/door_test.go", "package door\n\nimport \"testing\"\n\nfunc TestOpen(t *testing.T) {}\n")
		}, nil, "1 not missed", false},
		{"what failed is not proven", func() {}, nil, "1 taken away now, 0 proven before with the same files; 1 not missed", false},
	} {
		step.do()
		out, err := run(step.args...)
		if (err == nil) != step.ok || !strings.Contains(out, step.says) {
			t.Fatalf("%s: %v\n%s", step.name, err, out)
		}
	}
}
