package app

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/rules"
)

// Rules are rules with what they are about.
type Rules struct {
	Rules     *rules.Set
	Inventory map[string]backout.Target
	Plans     map[string]backout.Plan
	Watchdog  rules.Matchers
}

// RuleSet loads the rules that a config names, with its inventory, plans and watchdog, or
// those of rule files alone. It reads no secrets and reaches nobody.
func RuleSet(files ...string) (Rules, error) {
	set, problems := readRules(files...)
	return set, problems.Fatal()
}

// CheckRules returns the problems of these rule files and test files. Without any they
// are those of the rule files that the config names, and those that keep it from
// naming them; the config may also be a rule file.
func CheckRules(path string, files ...string) backout.Problems {
	if len(files) == 0 {
		if problems := missing(path, "name rule files, or the config with --config"); problems != nil {
			return problems
		}
		_, problems := readRules(path)
		return problems
	}
	var tests []string
	data := map[string][]byte{}
	var problems backout.Problems
	for _, file := range files {
		if rules.IsTestFile(file) {
			tests = append(tests, file)
			continue
		}
		content, err := config.ReadFile(file)
		if err != nil {
			problems = append(problems, backout.Problem{File: file, What: err.Error()})
			continue
		}
		data[file] = content
	}
	_, found := rules.Load(data)
	return withoutTwins(slices.Concat(problems, found, checkRuleTests(tests)))
}

// readRules loads what [RuleSet] does, with every problem.
func readRules(files ...string) (Rules, backout.Problems) {
	data := make(map[string][]byte, len(files))
	for _, file := range files {
		if problems := missing(file, "name the config, or a rule file, with --config"); problems != nil {
			return Rules{}, problems
		}
		content, err := config.ReadFile(file)
		if err != nil {
			return Rules{}, backout.Problems{{File: file, What: err.Error()}}
		}
		if !isRuleFile(content) && len(files) == 1 {
			return configRules(file)
		}
		data[file] = content
	}
	set, problems := rules.Load(data)
	return Rules{Rules: set}, problems
}

func configRules(file string) (Rules, backout.Problems) {
	l, problems := read(file, true)
	if problems.Fatal() != nil {
		return Rules{}, problems
	}
	out := Rules{Rules: l.rules, Inventory: l.config.Inventory, Plans: l.config.Plans}
	if l.config.Monitoring.On() {
		var err error
		if out.Watchdog, err = rules.ParseMatchers(l.config.Monitoring.Watchdog); err != nil {
			problems = append(problems, backout.Problem{File: file, What: err.Error()})
		}
	}
	return out, problems
}

// missing says of a file that is not there what to name instead.
func missing(file, fix string) backout.Problems {
	_, err := os.Stat(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return backout.Problems{{File: file, What: "cannot be opened: no such file or directory", Fix: fix}}
}

var groups = regexp.MustCompile(`(?m)^["']?groups["']?\s*:`)

// isRuleFile tells by the one key that every rule file has, and no config.
func isRuleFile(content []byte) bool {
	return groups.Match(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
}
