package view

import (
	"fmt"
	"math"
	"strings"

	"github.com/backout-io/backout/internal/ruletest"
	"github.com/backout-io/backout/rules"
)

// RuleTests shows what came of tests of rules: one line for a file that passed, and
// what went wrong of one that did not. With all it shows every test with what
// happened in it, and warnings.
func RuleTests(r *ruletest.Report, s Style, all bool) string {
	var b strings.Builder
	for i := range r.Files {
		f := &r.Files[i]
		failed := 0
		for _, p := range f.Problems {
			if all || !p.Warning {
				b.WriteString(s.problem(p))
			}
		}
		for j := range f.Tests {
			t := &f.Tests[j]
			if len(t.Failures) > 0 {
				failed++
			}
			b.WriteString(s.ruleTest(f.File, t, all))
		}
		b.WriteString(s.testFile(f, failed))
	}
	return b.String()
}

func (s Style) testFile(f *ruletest.FileResult, failed int) string {
	ok, bad := s.paint(toneGood, "ok  "), s.paint(toneBad, "FAIL")
	switch {
	case f.Problems.Fatal() != nil:
		return fmt.Sprintf("%s  %s  not run\n", bad, text(f.File))
	case len(f.Tests) == 0:
		return fmt.Sprintf("%s  %s  no test was picked\n", s.paint(toneDim, "-   "), text(f.File))
	case failed > 0:
		return fmt.Sprintf("%s  %s  %d of %s failed, coverage %s\n", bad, text(f.File), failed, count(len(f.Tests), "test", "tests"), Percent(f.Percent))
	}
	return fmt.Sprintf("%s  %s  %s, coverage %s\n", ok, text(f.File), count(len(f.Tests), "test", "tests"), Percent(f.Percent))
}

func (s Style) ruleTest(file string, t *ruletest.TestResult, all bool) string {
	var b strings.Builder
	switch {
	case len(t.Failures) > 0:
		fmt.Fprintf(&b, "%s %s (%s:%d)\n", s.paint(toneBad, "--- FAIL:"), text(t.Name), text(file), t.Line)
	case !all:
		return ""
	default:
		fmt.Fprintf(&b, "%s %s\n", s.paint(toneGood, "--- ok:"), text(t.Name))
	}
	if all {
		for _, e := range t.Events {
			b.WriteString("    " + s.paint(toneDim, text(e.Followed())) + "\n")
		}
	}
	for i := range t.Failures {
		for _, line := range t.Failures[i].Lines() {
			tone := toneNone
			switch {
			case strings.HasPrefix(line, "  - "):
				tone = toneBad
			case strings.HasPrefix(line, "  + "):
				tone = toneGood
			}
			b.WriteString("    " + s.paint(tone, Cut(Clean(line), 400)) + "\n")
		}
	}
	return b.String()
}

// Percent never rounds up to all of it.
func Percent(p float64) string { return fmt.Sprintf("%.0f%%", math.Floor(p)) }

// RuleCoverage lists the conditions that tests did not see both hold and fail.
func RuleCoverage(c *ruletest.Coverage, s Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "coverage %s: %d of %d outcomes were seen\n", Percent(c.Percent), c.Seen, c.Outcomes)
	missing := c.Missing()
	if len(missing) == 0 {
		return b.String()
	}
	rows := make([][]string, len(missing))
	for i, m := range missing {
		rows[i] = []string{fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column), m.Kind, m.Text, unseen(m)}
	}
	b.WriteString(Rows([]string{"PLACE", "KIND", "CONDITION", "WAS NEVER SEEN"}, rows, s))
	return b.String()
}

func unseen(b rules.Branch) string {
	held, failed := "to hold", "to fail"
	switch b.Kind {
	case "rule":
		held, failed = "to match", "not to match"
	case "throttle":
		held, failed = "to let the rule act", "to stop the rule"
	}
	switch {
	case b.Held:
		return failed
	case b.Failed:
		return held
	}
	return held + ", " + failed
}
