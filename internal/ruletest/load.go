package ruletest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// File is a test file with the rules that it tests, ready to run.
type File struct {
	// Name is the file as problems name it.
	Name string

	start time.Time
	tests []*test
	set   *rules.Set
	rules map[string][]byte
}

// test is one test, checked and complete.
type test struct {
	spec      testSpec
	inventory map[string]targetSpec
	changes   []changeSpec
	alerts    []series
}

// Open reads a test file and the rule files that it names.
func Open(name string) (*File, backout.Problems) {
	data, err := config.ReadFile(name)
	if err != nil {
		return nil, backout.Problems{{File: name, What: err.Error()}}
	}
	return Load(name, data)
}

// Load reads a test file of this name, and from disk the rule files that it names.
// It returns the problems of all of them; the file is nil when one is more than a
// warning.
func Load(name string, data []byte) (*File, backout.Problems) {
	l := &loader{file: &File{Name: name, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), rules: map[string][]byte{}}}
	doc, problems := strictyaml.Parse(name, data)
	if problems != nil {
		return nil, problems
	}
	l.root = doc.Root()
	if l.root.Has("groups") && !l.root.Has("tests") {
		return nil, backout.Problems{l.root.At().Problem("this is a rule file, not one of tests", "name its tests, such as "+testsOf(name))}
	}
	spec := fileSpec{Start: l.file.start}
	l.problems = doc.Decode(&spec)
	l.file.start = spec.Start.UTC()
	l.ruleFiles(spec.RuleFiles)
	l.tests(&spec)
	l.problems.Sort()
	if l.problems.Fatal() != nil {
		return nil, l.problems
	}
	return l.file, l.problems
}

// testsOf is how the tests of a rule file are mostly named.
func testsOf(name string) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "_test" + ext
}

type loader struct {
	file     *File
	root     strictyaml.Section
	problems backout.Problems
}

func (l *loader) problem(at strictyaml.Pos, what, fix string) {
	l.problems = append(l.problems, at.Problem(what, fix))
}

// ruleFiles loads the rules. The set stays nil when they have problems: then names
// of rules are not judged.
func (l *loader) ruleFiles(patterns []text) {
	if l.root.Has("rule_files") && len(patterns) == 0 {
		l.problem(l.root.At("rule_files"), "rule_files names no file", "name the rule files under test")
	}
	for _, p := range patterns {
		path := p.Value
		if path != "" && !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(l.file.Name), path)
		}
		found, err := filepath.Glob(path)
		found = slices.DeleteFunc(found, func(name string) bool { return name != path && rules.IsTestFile(name) })
		if err != nil || len(found) == 0 {
			l.problem(p.Pos, fmt.Sprintf("no rule file matches %q", p.Value), "it is looked for relative to this file")
			continue
		}
		for _, name := range found {
			data, err := config.ReadFile(name)
			if err != nil {
				l.problem(p.Pos, fmt.Sprintf("rule file %s: %v", name, err), "")
				continue
			}
			l.file.rules[name] = data
		}
	}
	set, problems := rules.Load(l.file.rules)
	l.problems = append(l.problems, problems...)
	if l.file.set = set; set != nil && set.Len() == 0 && len(l.file.rules) > 0 {
		l.problem(l.root.At("rule_files"), "the rule files have no rule", "name those under test")
	}
}

func (l *loader) tests(spec *fileSpec) {
	if l.root.Has("tests") && len(spec.Tests) == 0 {
		l.problem(l.root.At("tests"), "the file has no test", "add one: a file without tests would pass whatever the rules say")
	}
	l.targets(spec.Inventory)
	l.changes(spec.Changes)
	seen := map[string]strictyaml.Pos{}
	for i := range spec.Tests {
		s := &spec.Tests[i]
		switch first, twice := seen[s.Name.Value]; {
		case strings.TrimSpace(s.Name.Value) == "":
			if given(s.Name.Pos) {
				l.problem(s.Name.Pos, "the test has no name", "say what it tests")
			}
		case twice:
			l.problem(s.Name.Pos, fmt.Sprintf("a second test %q", short(s.Name.Value)), fmt.Sprintf("rename one; the first is in line %d", first.Line))
		}
		seen[s.Name.Value] = s.Name.Pos
		l.targets(s.Inventory)
		l.changes(s.Changes)
		l.test(i, spec, s)
	}
}

func (l *loader) test(i int, spec *fileSpec, s *testSpec) {
	t := &test{spec: *s, inventory: map[string]targetSpec{}}
	byID := map[string]changeSpec{}
	for _, list := range [][]changeSpec{spec.Changes, s.Changes} {
		for _, c := range list {
			byID[c.ID.Value] = c
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		t.changes = append(t.changes, byID[id])
		for _, name := range byID[id].Targets {
			t.inventory[name.Value] = targetSpec{Name: name}
		}
	}
	for _, list := range [][]targetSpec{spec.Inventory, s.Inventory} {
		for _, target := range list {
			t.inventory[target.Name.Value] = target
		}
	}
	for _, rule := range sortedKeys(s.Modes) {
		l.ruleNamed(rule, s.Modes[rule].Pos)
	}
	l.alerts(t)
	l.queries(t)
	l.expectations(i, t)
	l.file.tests = append(l.file.tests, t)
}

// given tells whether the file has the value.
func given(p strictyaml.Pos) bool { return p != strictyaml.Pos{} }

// short cuts a text of the file for a message.
func short(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
