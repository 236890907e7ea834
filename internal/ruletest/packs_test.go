package ruletest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

const packs = "../../deploy/rules"

// packFiles lists the rule packs, without their tests.
func packFiles(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(packs, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, rules.IsTestFile)
	if len(list) < 5 {
		t.Fatalf("rule packs: %v", list)
	}
	return list
}

// TestRulePacksPassTheirTests, which see each condition of each rule hold, and fail.
func TestRulePacksPassTheirTests(t *testing.T) {
	for _, pack := range packFiles(t) {
		t.Run(filepath.Base(pack), func(t *testing.T) {
			passes(t, strings.TrimSuffix(pack, ".yaml")+"_test.yaml")
		})
	}
}

// passes runs a test file and wants all of it: no problem, no failure, everything
// seen from both sides.
func passes(t *testing.T, name string) {
	t.Helper()
	report, err := Run(t.Context(), []string{name}, Options{})
	if err != nil || !report.OK() {
		t.Errorf("%s: OK %v, %d of %d tests failed, error %v", name, report.OK(), report.Failed, report.Tests, err)
	}
	for _, file := range report.Files {
		for _, p := range file.Problems {
			t.Error(p)
		}
		for _, test := range file.Tests {
			for i := range test.Failures {
				f := &test.Failures[i]
				t.Errorf("%s: %s\n%s", test.Name, f.Title(), strings.Join(f.Lines(), "\n"))
			}
		}
	}
	for _, b := range report.Coverage.Missing() {
		t.Errorf("%s:%d:%d: %s of %s: seen to hold %v, to fail %v: %s", b.File, b.Line, b.Column, b.Kind, b.Rule, b.Held, b.Failed, b.Text)
	}
}

// packSet loads all packs together, as somebody may who copies them all.
func packSet(t *testing.T) *rules.Set {
	t.Helper()
	data := map[string][]byte{}
	for _, name := range packFiles(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[name] = text
	}
	set, problems := rules.Load(data)
	for _, p := range problems {
		t.Error(p)
	}
	return set
}

// TestRulePacksDoNothingByThemselves: whoever copies them has had no say yet.
func TestRulePacksDoNothingByThemselves(t *testing.T) {
	for _, r := range packSet(t).Rules() {
		if r.Mode != backout.ModeShadow || r.Annotations["summary"] == "" {
			t.Errorf("%s:%d: rule %s has mode %s and the summary %q", r.File, r.Line, r.Name, r.Mode, r.Annotations["summary"])
		}
	}
}

// TestRulePacksKnowTheirAlerts: a rule for an alert that nobody sends is silent for
// ever. The names are those of public rule sets, and each pack says which.
func TestRulePacksKnowTheirAlerts(t *testing.T) {
	data, err := os.ReadFile("testdata/alertnames.txt")
	if err != nil {
		t.Fatal(err)
	}
	from, source := map[string][]string{}, ""
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "\t"):
			for _, name := range strings.Fields(line) {
				from[name] = append(from[name], source)
			}
		case !strings.HasPrefix(line, "#"):
			source, _, _ = strings.Cut(line, " ")
		}
	}
	matcher := regexp.MustCompile(`^alertname=~?"([A-Za-z0-9|]+)"$`)
	for _, r := range packSet(t).Rules() {
		text, err := os.ReadFile(r.File)
		if err != nil {
			t.Fatal(err)
		}
		names := matcher.FindStringSubmatch(r.Match[0])
		if names == nil {
			t.Errorf("%s:%d: the first matcher is %s, no list of alerts", r.File, r.Line, r.Match[0])
			continue
		}
		for _, name := range strings.Split(names[1], "|") {
			named := func(repository string) bool { return strings.Contains(string(text), repository) }
			if !slices.ContainsFunc(from[name], named) {
				t.Errorf("%s:%d: %s is an alert of %v, and the head of the pack names none of them", r.File, r.Line, name, from[name])
			}
		}
	}
}
