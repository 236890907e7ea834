package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/ruletest"
)

// testFlags are the flags of rules test.
type testFlags struct {
	config, run, junit string
	verbose, coverage  bool
	least              float64
}

func (p *program) rulesTest() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use: "test [FILE...]", Short: "Run the tests of rules", Args: cobra.ArbitraryArgs,
		Long: `Run tests of rules: YAML files with alerts over time, changes, and the verdicts and
rollbacks that are expected of the rule files they name. Without files those run that
the config names under rule_tests. No server is needed, and nothing can be changed.

What fails is shown as a comparison, with the reasons of what was not expected and the
nearest miss of what is missing. Coverage is the share of the rules' conditions that
tests saw hold, and fail. Ends with 1 when a test fails, a file has a problem, no test
runs, or the coverage is below --min-coverage.`,
		Example: "  backout rules test rules/web_test.yaml\n  backout rules test -c /etc/backout/backout.yaml --junit report.xml --min-coverage 90\n" +
			"  backout rules test rules/*_test.yaml --run 'after the patch' -v",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.RulesTest == nil {
				return errMissing
			}
			return p.testRules(cmd.Context(), f, args)
		},
	}
	p.configFlag(cmd, &f.config)
	fs := cmd.Flags()
	fs.StringVar(&f.run, "run", "", "run only the tests whose names match this pattern")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show every test with what happened in it, and when")
	fs.StringVar(&f.junit, "junit", "", "write a report as JUnit XML into this file")
	fs.BoolVar(&f.coverage, "coverage", false, "list the conditions that tests did not see both hold and fail")
	fs.Float64Var(&f.least, "min-coverage", 0, "fail when less than this percentage is covered")
	return cmd
}

func (p *program) testRules(ctx context.Context, f testFlags, files []string) error {
	match, err := regexp.Compile(f.run)
	if err != nil {
		return usagef("--run: %v", err)
	}
	if f.least < 0 || f.least > 100 {
		return usagef("--min-coverage: want a percentage from 0 to 100")
	}
	report, err := p.RulesTest(ctx, f.config, files, ruletest.Options{Match: match})
	if problems := (backout.Problems{}); errors.As(err, &problems) {
		return p.failOn(problems)
	}
	if err != nil {
		return err
	}
	if f.junit != "" {
		if err := writeJUnit(f.junit, &report); err != nil {
			return err
		}
	}
	few := report.Coverage.Percent < f.least
	err = p.print(report, func(s view.Style) string {
		text := view.RuleTests(&report, s, f.verbose)
		if f.coverage || few {
			text += view.RuleCoverage(&report.Coverage, s)
		}
		return text
	})
	switch {
	case err != nil:
		return err
	case !report.OK() && report.Tests == 0 && f.run != "" && report.Readable():
		return fmt.Errorf("no test matches --run %q: %w", f.run, backout.ErrNotFound)
	case !report.OK():
		return statusError{ExitFailed}
	case few:
		return fmt.Errorf("coverage %s is below --min-coverage %v: see which conditions were never seen to hold or to fail", view.Percent(report.Coverage.Percent), f.least)
	}
	return nil
}

func writeJUnit(name string, r *ruletest.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	if err := errors.Join(r.JUnit(file), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
