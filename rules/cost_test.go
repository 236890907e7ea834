package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// hostile are the texts that searching takes longest over, each of 64 KiB, the
// longest that a label may be.
var hostile = map[string]string{
	"ascii": strings.Repeat("a", 64<<10), "two bytes": strings.Repeat("Ä", 32<<10), "no text": strings.Repeat("\xff", 64<<10),
}

// worst are rules that spend all they may on one thing, or on everything. The name
// says on what.
func worst() map[string]string {
	full := func(pattern string) string {
		// As many as fit, bound by or: none of them matches, so each runs.
		var sides []string
		for steps := stepsOf(pattern); steps <= maxSteps && len(sides) < 20; steps += stepsOf(pattern) {
			sides = append(sides, `alert.name matches "`+pattern+`"`)
		}
		return strings.Join(sides, " or ")
	}
	nested := func(what string, n int) string {
		return "len(" + strings.Repeat(what+"(", n) + "alert.name" + strings.Repeat(")", n*(1+strings.Count(what, "("))) + ") == 1"
	}
	return map[string]string{
		"optional":   full(strings.Repeat("a?", 60) + "b$"),
		"any, often": full("(.*a){15}b"),
		"nested":     full("((a{0,7}){0,7})b$"),
		"classes":    full("[aäÄ\\\\pL]{60}b"),
		"loops":      full("(a|aa|aaa|aaaa|aaaaa|aaaaaa)*b"),
		"contains":   strings.Repeat(`alert.name contains "aaaaaaaaaaaaaab" or `, 30) + `alert.name contains "x"`,
		"lower":      nested("lower", 49),
		"upper":      nested("upper(lower", 24),
		"len":        strings.Repeat(`len(alert.name) == 1 or `, 20) + "false",
		"ids":        strings.Repeat(`alert.name in change.patch.ids or `, 18) + "false",
		"list":       `alert.name in [` + strings.Repeat(`alert.labels.x, `, 34) + `"z"]`,
		"equal":      strings.Repeat(`alert.name == alert.labels.x or `, 18) + "false",
		"chain":      `alert.name < ` + strings.Repeat(`alert.labels.x < alert.name < `, 10) + `"b"`,
		"everything": strings.Repeat(`upper(alert.name) contains "x" or `, 8) + strings.Repeat(`alert.name in change.patch.ids or `, 4) + `alert.name matches "` + strings.Repeat("a?", 60) + `b$"`,
	}
}

// worstWorld has a change with the longest lists that a change may have.
func worstWorld(text string) (world, *backout.Alert) {
	c := change("CHG1", "web-1")
	for i := range 1000 {
		c.Patch.IDs = append(c.Patch.IDs, text[:2000]+itoa(i))
	}
	a := alert("alertname", text, "instance", "web-1", "x", text[:len(text)-1]+"a")
	for i := range 250 {
		a.Labels[fmt.Sprintf("l%d", i)] = text[:1024]
	}
	return worldOf(c), a
}

// without is when something has no end: busy machines under the race detector take a
// hundredth of it. See BenchmarkWorstRule for the figures.
const without = 20 * time.Second

// TestTheWorstRuleIsBounded runs what may be accepted on what may come in, and counts
// what it may cost: instructions, steps of searches, and allocations.
func TestTheWorstRuleIsBounded(t *testing.T) {
	for name, when := range worst() {
		for kind, text := range hostile {
			set := load(t, one(`match: [instance="web-1"]`, "when: |", "  "+when))
			w, a := worstWorld(text)
			r := set.rules[0]
			if steps := r.steps + r.when.steps; steps > maxSteps || len(r.when.program.Bytecode) > 10*maxNodes {
				t.Errorf("%s: %d steps, %d instructions", name, steps, len(r.when.program.Bytecode))
			}
			start := time.Now()
			set.Match(a, w, opened.Add(time.Hour))
			if took := time.Since(start); took > without {
				t.Errorf("%s on %s took %v", name, kind, took)
			}
			allocated := testing.AllocsPerRun(1, func() { set.Match(a, w, opened.Add(time.Hour)) })
			if allocated > 25_000 {
				t.Errorf("%s on %s: %v allocations", name, kind, allocated)
			}
		}
	}
}

func BenchmarkWorstRule(b *testing.B) {
	for name, when := range worst() {
		for kind, text := range hostile {
			b.Run(name+"/"+kind, func(b *testing.B) {
				set := load(b, one(`match: [instance="web-1"]`, "when: |", "  "+when))
				w, a := worstWorld(text)
				b.ReportAllocs()
				for b.Loop() {
					set.Match(a, w, opened.Add(time.Hour))
				}
			})
		}
	}
}

func BenchmarkWorstMatchers(b *testing.B) {
	pattern := strings.Repeat("a?", 60) + "b"
	lines := []string{"match:"}
	each := stepsOf(anchored(".*" + pattern))
	for steps := each; steps <= maxSteps; steps += each {
		lines = append(lines, fmt.Sprintf(`  - alertname!~".*%s"`, pattern))
	}
	for len(lines) <= maxMatchers {
		lines = append(lines, fmt.Sprintf(`  - x!="%d"`, len(lines)))
	}
	for kind, text := range hostile {
		b.Run(kind, func(b *testing.B) {
			set := load(b, one(lines...))
			w, a := worstWorld(text)
			for b.Loop() {
				set.Match(a, w, opened.Add(time.Hour))
			}
		})
	}
}

// TestCostIsRefusedAtItsPlace: what is over the bound names what is too much.
func TestCostIsRefusedAtItsPlace(t *testing.T) {
	heavy, half := strings.Repeat("a?", 100), strings.Repeat("a?", 60)
	for name, test := range map[string]struct{ text, want string }{
		"searches": {
			one("when: len(" + strings.Repeat(`upper(`, 50) + "alert.name" + strings.Repeat(")", 50) + ") == 1"),
			"rules.yaml:5:313: the rule may take 411648 steps to search texts, more than 409600",
		},
		"pattern":      {one(`when: alert.name matches "` + heavy + heavy + `b"`), "rules.yaml:5:34: the rule may take"},
		"two patterns": {one(`when: alert.name matches "` + heavy + `b" or alert.name matches "` + heavy + `a?b"`), "rules.yaml:5:34: the rule"},
		"matcher":      {one(`match: [a="b", x=~"` + heavy + heavy + `.*"]`), "rules.yaml:5:24: the rule may take"},
		"both":         {one(`match: [x=~"`+half+`.*"]`, `when: alert.name matches "`+half+`b"`), "rules.yaml:6:34: the rule may take"},
		"matchers":     {one("match: [" + strings.Repeat("a!=\"b\",", maxMatchers) + "a!=\"c\"]"), "rules.yaml:5:465: more than 64 matchers in one rule"},
		"repeats":      {one(`when: alert.name matches "(a{100}){10}b"`), "the rule may take 2"},
		"bytes":        {one(`when: alert.name == "` + strings.Repeat("a", maxExpression) + `"`), "rules.yaml:5:15: the expression has"},
		"nodes":        {one(`when: true` + strings.Repeat(` and true`, maxNodes)), "exceeds maximum allowed nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Load(map[string][]byte{"rules.yaml": []byte(test.text)})
			if problems.Fatal() == nil || !strings.Contains(problems.Error(), test.want) {
				t.Errorf("problems: %.500v\nwant: %s", problems, test.want)
			}
		})
	}
}

// TestStepsOf: a pattern that ends by itself is cheap however many values it lists.
func TestStepsOf(t *testing.T) {
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprintf("SomeAlertName%d", i*7919)
	}
	for pattern, most := range map[string]int{
		anchored(strings.Join(names, "|")): maxSteps / 3, "^web-[0-9]{1,3}$": 500, "^(a|b)": 50, "": 3 * maxText, "x": 4 * maxText,
		`(?i).*(timeout|refused|reset by peer).*`: maxSteps / 4,
	} {
		if got := stepsOf(pattern); got > most {
			t.Errorf("%.40s: %d steps, want at most %d", pattern, got, most)
		}
	}
	for _, pattern := range []string{"a", "^a*", "(?m)^a", "^a|b", "^(a+|b)", "^a{3,}"} {
		if got := stepsOf(pattern); got < 3*maxText {
			t.Errorf("%s: %d steps", pattern, got)
		}
	}
}

// TestSearchesSeeTheBeginningOfATextOnly: in matchers and expressions alike, and
// whatever rule was tried before.
func TestSearchesSeeTheBeginningOfATextOnly(t *testing.T) {
	long := strings.Repeat("a", maxText) + "needle"
	w := worldOf(change("CHG1", "web-1"))
	a := alert("alertname", "Down", "instance", "web-1", "long", long, "same", long)
	a.Annotations = map[string]string{"text": long}
	for rule, want := range map[string]bool{
		`when: alert.labels.long contains "needle"`:                                       false,
		`when: alert.labels.long endsWith "needle"`:                                       true,
		`when: alert.annotations.text contains "needle" or len(alert.name) == 1`:          false,
		`when: len(alert.labels.long) == 2048`:                                            true,
		`when: alert.labels.long == alert.labels.same`:                                    true,
		`match: ['long=~".*needle"']`:                                                     false,
		`match: ['long!~".*needle"']`:                                                     true,
		`match: ['long="` + long + `"']`:                                                  true,
		`match: ['long=~"` + strings.Repeat("a", 100) + strings.Repeat("a?", 5) + `.*"']`: true,
	} {
		text := one(`match: [instance="web-1"]`, `when: len(alert.labels.long) == 2048`) + "      - rule: S\n        " + rule + "\n"
		res := load(t, text).Match(a, w, opened.Add(time.Hour))
		if got := len(res.Verdicts) == 2; got != want || len(res.Verdicts) == 0 {
			t.Errorf("%.60s: %v, want %v", rule, got, want)
		}
		explained := load(t, text).Explain(a, w, opened.Add(time.Hour))
		if explained[1].Matched != want {
			t.Errorf("%.60s: explained %v, want %v", rule, explained[1].Matched, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("a", maxText), strings.Repeat("a", maxText+1), strings.Repeat("é", maxText), strings.Repeat("a", maxText-1) + "é", strings.Repeat("\x80", 2*maxText)} {
		got := cut(text)
		if !strings.HasPrefix(text, got) || len(got) > maxText || len(got) < min(len(text), maxText-utf8.UTFMax) {
			t.Errorf("cut of %d bytes has %d", len(text), len(got))
		}
		if got != text && !isCut(got) {
			t.Errorf("%d bytes are not seen as cut", len(got))
		}
	}
	whole := map[string]string{"a": "b", "c": strings.Repeat("d", 3*maxText)}
	cutAll(whole)
	if len(whole["c"]) != 3*maxText {
		t.Error("the alert's own labels were cut")
	}
	if diff := cmp.Diff([]string{"a", strings.Repeat("d", maxText)}, cutList([]string{"a", whole["c"]})); diff != "" {
		t.Error(diff)
	}
}

// TestNoCutTextIsMissed: a constant that a cut text equals is not looked up by the
// whole one.
func TestNoCutTextIsMissed(t *testing.T) {
	whole := strings.Repeat("a", maxText)
	a := alert("alertname", "Down", "instance", "web-1", "long", whole+"b")
	for _, lines := range [][]string{
		{`when: alert.labels.long == "` + whole + `" and alert.labels.long contains "a"`},
		{`match: ['long=~"` + strings.Repeat("a{1000}", 2) + strings.Repeat("a", 48) + `"']`},
	} {
		set, problems := Load(map[string][]byte{"rules.yaml": []byte(one(lines...))})
		if problems.Fatal() != nil {
			continue
		}
		if got := len(set.Match(a, worldOf(change("CHG1", "web-1")), opened.Add(time.Hour)).Verdicts); got != 1 {
			t.Errorf("%.60s: %d verdicts", lines[0], got)
		}
	}
}
