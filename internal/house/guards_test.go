package house

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryKeyThatGuardsHasATestInWhichItBites: testdata/guards.txt has every key of
// every file that people write, with the test in which it bites, or "-" for a key that
// guards nothing. The schemas in docs are those of the types that decode the files.
func TestEveryKeyThatGuardsHasATestInWhichItBites(t *testing.T) {
	want, have := schemaKeys(t), guards(t)
	tests := namedTests(t)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		bites, given := have[key]
		switch {
		case !given:
			t.Errorf("testdata/guards.txt says nothing of the key %s: name the test in which it bites, or - when it guards nothing", key)
		case bites != "-" && !tests.has(bites):
			t.Errorf("the test %s, in which %s bites, is not there", bites, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if !want[key] {
			t.Errorf("testdata/guards.txt speaks of %s, which is no key", key)
		}
	}
}

// testNames are the tests of each package, and the texts in its test files, among
// which are the names of cases.
type testNames map[string]map[string]bool

func namedTests(t *testing.T) testNames {
	t.Helper()
	out := testNames{}
	for _, f := range readTree(t).goFiles {
		if !f.test {
			continue
		}
		if out[f.pkg] == nil {
			out[f.pkg] = map[string]bool{}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				out[f.pkg][n.Name.Name] = n.Recv == nil && strings.HasPrefix(n.Name.Name, "Test")
			case *ast.BasicLit:
				out[f.pkg][n.Value] = true
			}
			return true
		})
	}
	return out
}

// has tells whether there is a test PACKAGE:TEST, or its case PACKAGE:TEST/CASE, which
// is a text in the test files or a file in testdata.
func (n testNames) has(name string) bool {
	pkg, test, _ := strings.Cut(name, ":")
	test, part, cased := strings.Cut(test, "/")
	if !n[pkg][test] || !cased || n[pkg][strconv.Quote(part)] {
		return n[pkg][test]
	}
	for _, pattern := range []string{part + ".*", "*/" + part + ".*"} {
		if files, err := filepath.Glob(filepath.Join(root, pkg, "testdata", pattern)); err == nil && len(files) > 0 {
			return true
		}
	}
	return false
}

// guards reads testdata/guards.txt: a key and the test after it, or -.
func guards(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open("testdata/guards.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		key, bites, _ := strings.Cut(lines.Text(), " ")
		if _, twice := out[key]; twice || bites == "" {
			t.Errorf("testdata/guards.txt: want a key, once, and its test or -: %q", lines.Text())
			continue
		}
		out[key] = bites
	}
	return out
}

// schemaKeys are the keys of all files but those of rule tests, which the server does
// not read: FILE:KEY.KEY, those of a section TYPE/KEY.
func schemaKeys(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../docs/schema/*.schema.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	keys := map[string]bool{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(data, &schema); err != nil {
			t.Fatal(err)
		}
		if file := strings.TrimSuffix(filepath.Base(name), ".schema.json"); file != "rule-tests" {
			w := keyWalk{file: file, keys: keys}
			w.schema(schema, "")
		}
	}
	return keys
}

type keyWalk struct {
	file string
	keys map[string]bool
}

// schema notes the keys of one schema and of those within it.
func (w keyWalk) schema(v any, at string) {
	s, _ := v.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	if isSecret(properties) {
		return
	}
	for key, inner := range properties {
		name := strings.TrimPrefix(at+"."+key, ".")
		if strings.HasSuffix(at, "/") {
			name = at + key
		}
		w.keys[w.file+":"+name] = true
		w.schema(inner, name)
	}
	w.within(s, at)
}

// within goes on to lists, mappings and the sections of the types.
func (w keyWalk) within(s map[string]any, at string) {
	for _, inner := range []string{"items", "additionalProperties"} {
		if _, ok := s[inner].(map[string]any); ok {
			w.schema(s[inner], at)
		}
	}
	for _, of := range []string{"allOf", "anyOf", "oneOf"} {
		branches, _ := s[of].([]any)
		for _, v := range branches {
			branch, _ := v.(map[string]any)
			if kind := constOf(branch["if"]); kind != "" {
				w.schema(section(branch["then"]), kind+"/")
				continue
			}
			w.schema(branch, at)
		}
	}
}

// section is the section of a step, which stands under with, or the whole of others.
func section(then any) any {
	s, _ := then.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	if with := properties["with"]; with != nil && len(properties) == 1 {
		return with
	}
	return then
}

// constOf is the type that a condition asks for.
func constOf(v any) string {
	condition, _ := v.(map[string]any)
	properties, _ := condition["properties"].(map[string]any)
	for _, p := range properties {
		if is, _ := p.(map[string]any); is != nil {
			kind, _ := is["const"].(string)
			return kind
		}
	}
	return ""
}

// isSecret tells the places of secrets, which are no keys.
func isSecret(properties map[string]any) bool {
	return len(properties) == 3 && properties["file"] != nil && properties["env"] != nil && properties["credential"] != nil
}
