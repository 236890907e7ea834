package app

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/ruletest"
)

// TestRules runs the tests of rules in these files, or in those that the config
// names. An error that is a [backout.Problems] is about the config.
func TestRules(ctx context.Context, path string, files []string, o ruletest.Options) (ruletest.Report, error) {
	if len(files) == 0 {
		if problems := missing(path, "name test files, or the config with --config"); problems != nil {
			return ruletest.Report{}, problems
		}
		l, problems := read(path, true)
		if err := problems.Fatal(); err != nil {
			return ruletest.Report{}, problems
		}
		if files = l.config.RuleTests; len(files) == 0 {
			return ruletest.Report{}, fmt.Errorf("%s names no tests of rules: name files, or list them under rule_tests: %w", path, backout.ErrNotFound)
		}
	}
	return ruletest.Run(ctx, files, o)
}

// checkRuleTests returns the problems of the test files that the config names. Those
// of the rules are told of the rule files.
func checkRuleTests(files []string) (problems backout.Problems) {
	for _, name := range files {
		_, found := ruletest.Open(name)
		problems = append(problems, found...)
	}
	return problems
}
