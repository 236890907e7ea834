package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// serverFile is backout.yaml.
type serverFile struct {
	Settings `yaml:",inline"`
	Channels map[string]strictyaml.Section `yaml:"channels" doc:"Ways to people, by name."`
	// Routes and TimeIntervals refine Audiences.
	Routes        []routeEntry            `yaml:"routes" doc:"Where notices go instead of to their audience's own channels. The first route that matches takes a notice."`
	TimeIntervals map[string][]spellEntry `yaml:"time_intervals" doc:"Times that routes name, by name: one spell of several."`
}

// Load reads the config file at path and everything it names. The problems are
// sorted by place; the config is nil when one of them is more than a warning.
func Load(path string, kinds Kinds) (*Config, backout.Problems) {
	l := newLoader(path, kinds)
	if l.server() {
		l.people()
		l.channels()
		l.routes()
		l.monitoring()
		l.itsm()
		l.inventory()
		l.plans()
		l.templates()
		l.rules()
		l.ruleTests()
		l.crossChecks()
	}
	l.secrets()
	problems := l.finish()
	if problems.Fatal() != nil {
		return nil, problems
	}
	if kinds.Offline {
		return l.cfg, problems
	}
	if err := l.cfg.ResolveSecrets(&l.cfg.Settings); err != nil {
		return nil, append(problems, backout.Problem{File: path, What: err.Error()})
	}
	if problems = append(problems, l.tokens()...); problems.Fatal() != nil {
		return nil, problems
	}
	return l.cfg, problems
}

// loader is one run of [Load].
type loader struct {
	kinds    Kinds
	cfg      *Config
	file     serverFile
	root     strictyaml.Section // of the config file
	clean    bool               // the config file itself has no problem
	whole    bool               // neither has the plan file at hand
	docs     []*strictyaml.Document
	problems backout.Problems
	// targetsAt and plansAt remember where a name was first given.
	targetsAt map[string]strictyaml.Pos
	plansAt   map[string]strictyaml.Pos
	ssh       strictyaml.Pos // a target that is reached by SSH
}

func newLoader(path string, kinds Kinds) *loader {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		dir = filepath.Dir(path)
	}
	return &loader{
		kinds: kinds,
		cfg: &Config{
			Path: path, Dir: dir, Plans: map[string]backout.Plan{}, Inventory: map[string]backout.Target{},
			Channels: map[string]Channel{}, Templates: map[string]string{},
		},
		targetsAt: map[string]strictyaml.Pos{}, plansAt: map[string]strictyaml.Pos{},
	}
}

func (l *loader) add(p ...backout.Problem) { l.problems = append(l.problems, p...) }

// at is the place of a value of the config file.
func (l *loader) at(path ...any) strictyaml.Pos { return l.root.At(path...) }

// keyAt is the place of a key of the config file.
func (l *loader) keyAt(path ...any) strictyaml.Pos { return l.root.KeyAt(path...) }

// names tells whether the names under this key of the config file can be relied
// on: it is there, or it is truly not there, rather than misspelt.
func (l *loader) names(key string) bool { return l.clean || l.root.Has(key) }

// server reads the config file and tells whether there is any use in going on.
func (l *loader) server() bool {
	doc, ok := l.parse(l.cfg.Path)
	if !ok {
		return false
	}
	l.file.Settings = defaults()
	l.root = doc.Root()
	problems := doc.Decode(&l.file)
	l.add(problems...)
	l.clean = len(problems) == 0
	l.cfg.Settings = l.file.Settings
	l.settings()
	return true
}

// parse reads one YAML file; false means that nothing of it can be used.
func (l *loader) parse(name string) (*strictyaml.Document, bool) {
	data, ok := l.read(name)
	if !ok {
		return nil, false
	}
	doc, problems := strictyaml.Parse(name, data)
	if problems != nil {
		l.add(problems...)
		return nil, false
	}
	l.docs = append(l.docs, doc)
	return doc, true
}

// read reads a whole regular file, named as problems name it.
func (l *loader) read(name string) ([]byte, bool) {
	l.cfg.Files = append(l.cfg.Files, name)
	data, err := ReadFile(name)
	if err != nil {
		l.add(backout.Problem{File: name, What: err.Error()})
		return nil, false
	}
	return data, true
}

// ReadFile reads a whole regular file that is not too large. The error does not name
// it.
func ReadFile(name string) ([]byte, error) {
	// Without O_NONBLOCK opening a FIFO would wait for its writer.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	if len(data) > strictyaml.MaxBytes {
		return nil, fmt.Errorf("larger than %d MiB: split it", strictyaml.MaxBytes>>20)
	}
	return data, nil
}

// bare takes the path off, which the problem names already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// glob returns the files that the patterns under the key name, sorted, each once.
func (l *loader) glob(key string, patterns []string) []string {
	shown := filepath.Dir(l.cfg.Path)
	found := map[string]bool{}
	for i, pattern := range patterns {
		path := pattern
		if !filepath.IsAbs(path) {
			path = filepath.Join(shown, path)
		}
		matches, err := filepath.Glob(path)
		switch {
		case pattern == "":
			l.add(l.at(key, i).Problem("an empty pattern", "name a file, or remove the line"))
			continue
		case err != nil:
			l.add(l.at(key, i).Problem(fmt.Sprintf("%q is not a pattern: %v", pattern, err), "brackets must close"))
			continue
		}
		matches = slices.DeleteFunc(matches, func(m string) bool {
			info, err := os.Stat(m)
			return err == nil && info.IsDir()
		})
		if len(matches) == 0 {
			l.add(l.at(key, i).Problem(fmt.Sprintf("no file matches %q", pattern), "patterns are relative to the config file; a directory needs a *"))
		}
		for _, m := range matches {
			found[m] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// abs makes a path of the config file absolute.
func (l *loader) abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.cfg.Dir, path)
}

func (l *loader) templates() {
	from := map[string]string{}
	for _, name := range l.glob("templates", l.cfg.TemplateGlobs) {
		data, ok := l.read(name)
		if !ok {
			continue
		}
		base := filepath.Base(name)
		if other, taken := from[base]; taken {
			l.add(backout.Problem{File: name, What: "a template of this file name is there already", Fix: "rename it; the other is " + other})
			continue
		}
		from[base] = name
		l.cfg.Templates[base] = string(data)
	}
	if l.kinds.Templates != nil {
		l.add(l.kinds.Templates(l.cfg.Templates, append([]string{}, slices.Sorted(maps.Keys(l.cfg.Audiences))...))...)
	}
}

func (l *loader) rules() {
	names := l.glob("rules", l.cfg.RuleGlobs)
	tests := len(names)
	names = slices.DeleteFunc(names, rules.IsTestFile)
	if tests > 0 && len(names) == 0 {
		l.add(l.at("rules").Problem("rules names files of tests only", "name rule files; tests belong under rule_tests"))
	}
	for _, name := range names {
		if data, ok := l.read(name); ok {
			l.cfg.RuleFiles = append(l.cfg.RuleFiles, File{name, data})
		}
	}
	if l.kinds.Rules != nil {
		l.add(l.kinds.Rules(l.cfg.RuleFiles)...)
	}
}

// ruleTests finds the files of rule_tests. The server does without them, so one that
// is not there does not stop it.
func (l *loader) ruleTests() {
	before := len(l.problems)
	l.cfg.RuleTests = l.glob("rule_tests", l.cfg.RuleTestGlobs)
	for i := range l.problems[before:] {
		l.problems[before+i].Warning = true
	}
}

// secrets reports every secret of every file, plug-in sections included, that
// cannot be read now. Offline it only says which could not be looked at.
func (l *loader) secrets() {
	reader := secret.Reader{Dir: l.cfg.Dir}
	for _, doc := range l.docs {
		for _, use := range doc.Secrets() {
			if l.kinds.Offline {
				if use.Ref.Credential != "" && os.Getenv("CREDENTIALS_DIRECTORY") == "" {
					l.add(use.Pos.Warning(fmt.Sprintf("credential %q cannot be looked at here: no systemd credentials in this environment", use.Ref.Credential), ""))
				}
				continue
			}
			if _, err := reader.Read(use.Ref); err != nil {
				l.add(use.Pos.Problem(err.Error(), ""))
			}
		}
	}
}

// finish sorts the problems and keeps the first of those that stand at the same
// place: the others follow from it.
func (l *loader) finish() backout.Problems {
	type place struct {
		file         string
		line, column int
		warning      bool
	}
	seen := map[place]bool{}
	var out backout.Problems
	for _, p := range l.problems {
		at := place{p.File, p.Line, p.Column, p.Warning}
		if p.Line > 0 && seen[at] {
			continue
		}
		seen[at] = true
		out = append(out, p)
	}
	out.Sort()
	slices.Sort(l.cfg.Files)
	l.cfg.Files = slices.Compact(l.cfg.Files)
	return out
}

// quoteAll lists names for people.
func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}
