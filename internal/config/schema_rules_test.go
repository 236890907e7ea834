package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout/rules"
)

// oneRule wraps keys of a rule into a file.
func oneRule(keys string) string { return "groups: [{name: g, rules: [{rule: R, " + keys + "}]}]" }

// TestTheRuleSchemaAgreesWithTheLoader: what loads fits, and what a schema can tell
// is refused by both.
func TestTheRuleSchemaAgreesWithTheLoader(t *testing.T) {
	schema := schemas(t, fakeKinds(t))[SchemaRules]
	judge := func(t *testing.T, text string, good bool) {
		t.Helper()
		_, problems := rules.Load(map[string][]byte{"r.yaml": []byte(text)})
		if loads := problems.Fatal() == nil; loads != good {
			t.Errorf("%s\nloads %v: %v", text, loads, problems)
		}
		if why := refuse(schema, parse(t, "r.yaml", []byte(text)), ""); (why == "") != good {
			t.Errorf("%s\nthe schema says: %q", text, why)
		}
	}
	for _, keys := range []string{
		`match: ['a="b"']`, `mode: auto, scope: change, start_at: L3, for: 5m`, `when: true`, `annotations: {a: b, c: 1}`,
		`throttle: {once_within: 30m, at_least: 3, within: 10m, per: rule, latch: true}`, `throttle: {latch: false}`, `match: []`,
	} {
		judge(t, oneRule(keys), true)
	}
	for _, keys := range []string{
		`wen: true`, `mode: shdow`, `scope: host`, `start_at: L0`, `for: soon`, `match: team`, `annotations: [a]`, `throttle: 5m`, `throttle: {}`,
		`throttle: {at_least: 3}`, `throttle: {within: 3m}`, `throttle: {at_least: 0, within: 3m}`, `throttle: {once_within: 30}`,
		`throttle: {latch: 1}`, `throttle: {once_within: 3m, per: target}`, `throttle: {once: 3m}`, `when: "` + strings.Repeat("a", 4097) + `"`,
		`match: [` + strings.Repeat(`'a="b"', `, 65) + `]`,
	} {
		judge(t, oneRule(keys), false)
	}
	for _, text := range []string{"group: []", "groups: [{rules: []}]", "groups: [{name: g, rules: [{mode: auto}]}]", "groups: [{name: a b, rules: []}]", "groups: [{name: g, rules: [{rule: a/b}]}]"} {
		judge(t, text, false)
	}
	guide, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(guide), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		if strings.HasPrefix(text, "groups:") {
			judge(t, text, true)
		}
	}
	files, err := filepath.Glob("../../deploy/rules/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.yaml") {
			judge(t, string(data), true)
		}
	}
}

// TestTheRuleSchemaNamesFactsAndFunctions: an editor shows them.
func TestTheRuleSchemaNamesFactsAndFunctions(t *testing.T) {
	data, err := rules.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(rules.Facts(), rules.Functions()...) {
		if !strings.Contains(string(data), f.Name+" ("+f.Type+")") {
			t.Errorf("the schema does not name %s", f.Name)
		}
	}
}
