package house

import (
	"bytes"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProtectionsStand: each entry of .ci/protections.d still finds what it takes away, and
// names a test that is there. Whether the test notices is what the script itself asks,
// which takes much longer.
func TestProtectionsStand(t *testing.T) {
	perl := need(t, "perl", "perl")
	p := readTree(t)
	areas, err := filepath.Glob("../../.ci/protections.d/*")
	if err != nil || len(areas) == 0 {
		t.Fatalf(".ci/protections.d has no files (%v)", err)
	}
	var entries []byte
	for _, area := range areas {
		text, err := os.ReadFile(area)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, text...)
	}
	// A simulated one names the seeds of its worlds; package and test are the same for all.
	entry := regexp.MustCompile(`(?m)^(without|simulated) "([^"]+)" (\S+) \\\n\t'([^']*)' (?:(\S+) '([^']+)'|[\d,-]+$)`)
	found := entry.FindAllSubmatch(entries, -1)
	begun := bytes.Count(entries, []byte("\nwithout \"")) + bytes.Count(entries, []byte("\nsimulated \""))
	if len(found) != begun {
		t.Errorf("%d of %d entries are of the form NAME FILE \\ 'SUBSTITUTION' and PACKAGE 'TEST', or SEEDS", len(found), begun)
	}
	seen := map[string]bool{}
	for _, m := range found {
		name, file, substitution, pkg, test := string(m[2]), string(m[3]), string(m[4]), string(m[5]), string(m[6])
		if string(m[1]) == "simulated" {
			name, pkg, test = "simulation, "+name, "internal/simtest", "^TestSimulation$"
		}
		if seen[name] {
			t.Errorf("%s: there are two of that name", name)
		}
		seen[name] = true
		before, ok := p.text(file)
		if !ok {
			t.Errorf("%s: there is no %s", name, file)
			continue
		}
		cmd := exec.CommandContext(t.Context(), perl, "-0pe", substitution)
		cmd.Stdin = bytes.NewReader(before)
		after, err := cmd.Output()
		if err != nil || bytes.Equal(before, after) {
			t.Errorf("%s: %s has changed, write the substitution anew (%v)", name, file, err)
		}
		test, _, _ = strings.Cut(test, "/") // of a subtest its test
		if wanted, err := regexp.Compile(test); err != nil || !hasTest(p, pkg, wanted) {
			t.Errorf("%s: package %s has no test %s (%v)", name, pkg, test, err)
		}
	}
}

// hasTest tells whether a test of the package has such a name: a run of none passes.
func hasTest(p project, pkg string, wanted *regexp.Regexp) bool {
	for _, f := range p.goFiles {
		if !f.test || f.pkg != pkg {
			continue
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) && wanted.MatchString(fn.Name.Name) {
				return true
			}
		}
	}
	return false
}
