package rules

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// fileSpec is a rule file as it is written.
type fileSpec struct {
	Groups []groupSpec `yaml:"groups" doc:"groups of rules; a name is used once in a file"`
}

type groupSpec struct {
	Pos         strictyaml.Pos
	Name        strictyaml.Text `yaml:"name" doc:"the group's name"`
	TargetLabel strictyaml.Text `yaml:"target_label" doc:"the alert label that names the target; host:port is reduced to host; default instance"`
	Rules       []ruleSpec      `yaml:"rules" doc:"the group's rules"`
}

type ruleSpec struct {
	Pos         strictyaml.Pos
	Rule        strictyaml.Text            `yaml:"rule" doc:"the rule's name, used once in all files"`
	Match       []strictyaml.Text          `yaml:"match" doc:"Alertmanager matchers; all must hold"`
	When        strictyaml.Text            `yaml:"when" doc:"an expression over the facts; must be true"`
	Mode        backout.Mode               `yaml:"mode" enum:"shadow,ask,auto" doc:"what a verdict may do; default shadow: record it"`
	StartAt     strictyaml.Text            `yaml:"start_at" doc:"the level to begin with, L1 to L9; default the plan's first"`
	Scope       backout.Scope              `yaml:"scope" enum:"target,change" doc:"what is taken back: the red target (default) or every target of the change"`
	For         backout.Duration           `yaml:"for" doc:"how long the alert must stay red before anything starts"`
	Throttle    *throttleSpec              `yaml:"throttle" doc:"keeps the rule from acting too soon and too often"`
	Annotations map[string]strictyaml.Text `yaml:"annotations" doc:"texts for people, as Go templates over .Change .Alert .Target .Targets .Evidence"`
}

// Load reads rule files by name and returns their rules as one set, in the order
// of the names. It reports all problems of all files; with any that is not a
// warning the set is nil. No file at all is an empty set, which matches nothing.
func Load(files map[string][]byte) (*Set, backout.Problems) {
	l := &loader{expressions: newExpressions(), seen: map[string]strictyaml.Pos{}, conditions: map[string]*condition{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		l.file(name, files[name])
	}
	l.together()
	l.problems.Sort()
	if l.problems.Fatal() != nil {
		return nil, l.problems
	}
	return newSet(l.rules), l.problems
}

// LoadFS is [Load] on the files of fsys that match a pattern of [fs.Glob], less
// those of tests ([IsTestFile]). A pattern that matches nothing is a problem: an
// empty answer must not pass for a rule set.
func LoadFS(fsys fs.FS, patterns ...string) (*Set, backout.Problems) {
	files := map[string][]byte{}
	var problems backout.Problems
	for _, pattern := range patterns {
		names, err := fs.Glob(fsys, pattern)
		if err != nil || len(names) == 0 {
			problems = append(problems, backout.Problem{File: pattern, What: "no rule file matches this pattern", Fix: "name the files, or remove the pattern"})
		}
		for _, name := range names {
			if name != pattern && IsTestFile(name) {
				continue
			}
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				problems = append(problems, backout.Problem{File: name, What: fmt.Sprintf("cannot be read: %v", err)})
				continue
			}
			files[name] = data
		}
	}
	set, more := Load(files)
	problems = append(problems, more...)
	problems.Sort()
	if problems.Fatal() != nil {
		return nil, problems
	}
	return set, problems
}

type loader struct {
	expressions *expressions
	conditions  map[string]*condition // by their text
	rules       []*rule
	seen        map[string]strictyaml.Pos // rule names
	problems    backout.Problems
	// clean tells that the file at hand was decoded without a problem.
	clean bool
	// sought are the rules that no index finds.
	sought []*rule
}

func (l *loader) problem(at strictyaml.Pos, what, fix string) {
	l.problems = append(l.problems, at.Problem(what, fix))
}

func (l *loader) file(name string, data []byte) {
	var spec fileSpec
	problems := strictyaml.Decode(name, data, &spec)
	l.problems, l.clean = append(l.problems, problems...), len(problems) == 0
	groups := map[string]bool{}
	for _, g := range spec.Groups {
		l.name(g.Pos, g.Name, "a group", "name")
		if groups[g.Name.Value] && g.Name.Value != "" {
			l.problem(g.Name.Pos(), fmt.Sprintf("the group %q stands twice in this file", g.Name.Value), "rename one, or put the rules together")
		}
		groups[g.Name.Value] = true
		l.empty(g.TargetLabel, "target_label")
		for _, r := range g.Rules {
			l.rule(name, g, r)
		}
	}
}

// name checks a name that will stand in file names, notices and metrics.
func (l *loader) name(at strictyaml.Pos, name strictyaml.Text, owner, key string) {
	switch {
	case name.Value == "":
		l.problem(at, owner+" has no name", "add "+key+": …")
	case !isName(name.Value):
		l.problem(name.Pos(), fmt.Sprintf("the name %q", short(name.Value)), "use 1 to 100 of the characters A-Z a-z 0-9 . _ : -")
	}
}

func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != ':' && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

func (l *loader) rule(file string, g groupSpec, spec ruleSpec) {
	before := len(l.problems)
	l.name(spec.Pos, spec.Rule, "a rule", "rule")
	if first, ok := l.seen[spec.Rule.Value]; ok && spec.Rule.Value != "" {
		l.problem(spec.Rule.Pos(), fmt.Sprintf("the rule %q stands twice", short(spec.Rule.Value)),
			fmt.Sprintf("rename one; the first is at %s:%d", first.File, first.Line))
	} else {
		l.seen[spec.Rule.Value] = spec.Rule.Pos()
	}
	r := &rule{Rule: Rule{
		Name: spec.Rule.Value, Group: g.Name.Value, File: file, Line: spec.Pos.Line, TargetLabel: g.TargetLabel.Value,
		When: spec.When.Value, Mode: spec.Mode, StartAt: spec.StartAt.Value, Scope: spec.Scope, For: spec.For,
	}}
	r.defaults()
	if at := spec.StartAt.Value; at != "" && (len(at) != 2 || at[0] != 'L' || at[1] < '1' || at[1] > '9') {
		l.problem(spec.StartAt.Pos(), fmt.Sprintf("unknown level %q", short(at)), "levels are named L1 to L9")
	}
	l.match(r, spec)
	l.when(r, spec)
	l.throttle(r, spec.Throttle)
	l.annotations(r, spec)
	if len(l.problems) > before {
		return
	}
	r.Hash = hashOf(r)
	r.noteUses(spec)
	l.sense(r, spec)
	l.rules = append(l.rules, r)
}

func (r *rule) defaults() {
	if r.TargetLabel == "" {
		r.TargetLabel = DefaultTargetLabel
	}
	if r.Mode == "" {
		r.Mode = backout.ModeShadow
	}
	if r.Scope == "" {
		r.Scope = backout.ScopeTarget
	}
}

// empty reports a key that is there and says nothing.
func (l *loader) empty(text strictyaml.Text, key string) {
	if at := text.Pos(); at.Line > 0 && text.Value == "" {
		l.problem(at, key+" is empty", "give it a value, or remove the key")
	}
}

func (l *loader) annotations(r *rule, spec ruleSpec) {
	for _, name := range slices.Sorted(maps.Keys(spec.Annotations)) {
		text := spec.Annotations[name]
		a, err := newAnnotation(name, text.Value)
		if err != nil {
			l.problem(text.Pos(), fmt.Sprintf("annotation %s: %v", short(name), err), "an annotation shows .Change, .Alert, .Target, .Targets and .Evidence")
			continue
		}
		if r.Annotations == nil {
			r.Annotations = map[string]string{}
		}
		r.Annotations[name] = text.Value
		r.annotations = append(r.annotations, a)
	}
}
