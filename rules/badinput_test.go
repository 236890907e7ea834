package rules

import (
	"fmt"
	"strings"
	"testing"
)

// TestBadInputIsReportedAtItsPlace: each mistake with its exact file:line:column.
func TestBadInputIsReportedAtItsPlace(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown fact":            {one(`when: target.pached`), `rules.yaml:5:22: unknown fact target.pached: did you mean "target.patched"?`},
		"unknown function":        {one(`when: sinc(now) > duration("1m")`), `rules.yaml:5:15: sinc is not a function that a rule may call: did you mean "since"?`},
		"function of no kin":      {one(`when: foo(now) == 1`), `rules.yaml:5:15: foo is not a function that a rule may call: use duration, since, in_window,`},
		"the language's own":      {one(`when: trim(alert.name) == "a"`), `rules.yaml:5:15: trim is not a function that a rule may call`},
		"type mismatch":           {one(`when: alert.flaps == "3"`), `rules.yaml:5:27: invalid operation: == (mismatched types int and string)`},
		"number for a time":       {one(`when: since(alert.flaps) > duration("1m")`), `rules.yaml:5:27: since takes a time, got int: write since(time)`},
		"text for a number":       {one(`when: share(1, alert.name) > 0.5`), `rules.yaml:5:30: share takes a number, got string: write share(part, whole)`},
		"time for a text":         {one(`when: matches(now, "a")`), `rules.yaml:5:23: matches takes a text, got time: write matches(text, pattern)`},
		"error inside a function": {one(`when: share(1, alert.name + 1) > 0.5`), `rules.yaml:5:35: invalid operation: + (mismatched types string and int)`},
		"too few arguments":       {one(`when: share(1) > 0.5`), `rules.yaml:5:15: share takes 2 arguments: write share(part, whole)`},
		"too many arguments":      {one(`when: same_label("a", "b")`), `rules.yaml:5:15: same_label takes one argument: write same_label(name)`},
		"label from a fact":       {one(`when: label(alert.name) == "a"`), `rules.yaml:5:27: the text of label must be constant: write it in quotes: label("…")`},
		"function in itself":      {one(`when: since(now - since(now)) > duration("1m")`), `rules.yaml:5:27: since cannot stand inside since`},
		"function in another":     {one(`when: share(share(1, 2), 3) > 0.5`), `rules.yaml:5:21: share cannot stand inside share`},
		"pattern":                 {one(`when: 'matches(alert.name, "a(b")'`), `rules.yaml:5:37: the pattern: missing closing ): a(b`},
		"pattern, inside":         {one(`when: alert.name matches "ab[z-a]"`), `rules.yaml:5:38: the pattern: invalid character class range: z-a`},
		"pattern behind escapes":  {one(`when: 'alert.name matches "\\d\u0041*+[z-a]"'`), `rules.yaml:5:45: the pattern: invalid nested repetition operator: *+`},
		"pattern in a block":      {one(`when: |`, `  alert.name matches "x" and`, `  alert.name matches "a**"`), `rules.yaml:7:32: the pattern: invalid nested repetition operator: **`},
		"pattern of a matcher":    {one(`match: ['team=~"we(b"']`), `rules.yaml:5:25: the pattern: missing closing )`},
		"class of a matcher":      {one(`match: [a="b", 'team=~"web[z-a]x"']`), `rules.yaml:5:36: the pattern: invalid character class range: z-a`},
		"rule twice":              {one("mode: auto") + "      - rule: R\n", `rules.yaml:6:15: the rule "R" stands twice: rename one; the first is at rules.yaml:4`},
		"matchers":                {one(`match: [team="a", team="b"]`), `rules.yaml:5:17: the rule can never match: no value of label team satisfies all that is asked of it`},
		"matcher and when":        {one(`match: [severity="page"]`, `when: label("severity") == "info"`), `rules.yaml:5:17: the rule can never match: no value of label severity`},
		"two equalities":          {one(`when: alert.labels.team == "a" and alert.age > duration("1m") and "b" == label("team")`), `rules.yaml:5:79: the rule can never match: alert.labels.team is to be "a", and here "b": correct one of them, or join them with or`},
		"equality and list":       {one(`when: change.patch.kind in ["kb", "image"] and change.patch.kind == "packages"`), `rules.yaml:5:74: the rule can never match: change.patch.kind is to be "kb" or "image", and here "packages"`},
		"equality and not":        {one(`when: change.plan == "web" and change.plan != "web"`), `rules.yaml:5:52: the rule can never match: change.plan is to be "web", and here not "web"`},
		"equality and not in":     {one(`when: change.plan not in ["a", "web"] and change.plan == "web"`), `rules.yaml:5:63: the rule can never match: change.plan is to be not "a" or "web", and here "web"`},
		"true and false":          {one(`when: target.patched and alert.silenced == false and not target.patched`), `rules.yaml:5:62: the rule can never match: target.patched is to be true, and here not true`},
		"two numbers":             {one(`when: alert.flaps == 1 and alert.flaps == 2`), `rules.yaml:5:48: the rule can never match: alert.flaps is to be 1, and here 2`},
		"never":                   {one(`when: 1 > 2`), `rules.yaml:5:15: the rule can never match: when is always false`},
		"itself":                  {one(`when: alert.labels.team == alert.labels["team"]`), `rules.yaml:5:33: alert.labels.team is compared with itself: name what it is to be compared with`},
		"two queries":             {one(`when: prom("a") > 1 and prom("b") > 1`), `rules.yaml:5:33: a second prom() in one rule: ask for both in one query, or write two rules`},
		"query in or":             {one(`when: alert.flaps > 1 or prom("a") > 1`), `rules.yaml:5:34: prom() can only stand in a comparison that is a side of the top-level and: write … and prom("…") > 0.5`},
		"query in not":            {one(`when: not (prom("a") > 1)`), `rules.yaml:5:20: prom() can only stand`},
		"query beside a list":     {one(`when: 'alert.flaps in [1] or prom("a") > 1'`), `rules.yaml:5:38: prom() can only stand`},
		"query in a function":     {one(`when: share(prom("a"), 2) > 1`), `rules.yaml:5:21: prom() can only stand`},
		"query in a list":         {one(`when: 'alert.flaps in [prom("a")]'`), `rules.yaml:5:32: prom() can only stand`},
		"query from a fact":       {one(`when: prom(alert.name) > 1`), `rules.yaml:5:26: the text of prom must be constant`},
		"empty query":             {one(`when: prom(" ") > 1`), `rules.yaml:5:20: the query is empty`},
		"placeholder, unsafe":     {one("when: prom('up{a=`{target}`}') > 1"), `rules.yaml:5:20: the query: a placeholder cannot stand in a string in backquotes: use double quotes`},
		"query, open string":      {one(`when: "prom('up{a=\"b}') > 1"`), `rules.yaml:5:21: the query: the string that begins with " does not end`},
		"query for a text":        {one(`when: prom("up") == "1"`), `rules.yaml:5:26: invalid operation: == (mismatched types float64 and string)`},
		"throttle, unknown key":   {one(`throttle: {once: 5m}`), `rules.yaml:5:20: unknown key "once": did you mean "once_within"?`},
		"throttle, no within":     {one(`throttle: {at_least: 3}`), `rules.yaml:5:30: at_least needs within: say in which time, such as within: 10m`},
		"throttle, no at_least":   {one(`throttle: {within: 3m}`), `rules.yaml:5:28: within says nothing without at_least`},
		"throttle, none":          {one(`throttle: {at_least: 0, within: 3m}`), `rules.yaml:5:30: at_least must be 1 or more`},
		"throttle, zero":          {one(`throttle: {once_within: 0s}`), `rules.yaml:5:33: once_within must be longer than 0`},
		"throttle, zero within":   {one(`throttle: {at_least: 2, within: 0s}`), `rules.yaml:5:41: within must be longer than 0`},
		"throttle, negative":      {one(`throttle: {once_within: -3m}`), `rules.yaml:5:33: once_within: duration "-3m"`},
		"throttle, per what":      {one(`throttle: {once_within: 3m, per: target}`), `rules.yaml:5:42: per: unknown value "target": write one of change, rule`},
		"throttle, only per":      {one(`throttle: {per: rule, latch: true}`), `rules.yaml:5:25: per says nothing without once_within or at_least`},
		"throttle, nothing":       {one(`throttle: {}`), `rules.yaml:5:19: the throttle says nothing`},
		"throttle, no mapping":    {one(`throttle: 5m`), `rules.yaml:5:19: throttle: want a mapping`},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Load(map[string][]byte{"rules.yaml": []byte(test.text)})
			if problems.Fatal() == nil || !strings.Contains("\n"+problems.Error(), "\n"+test.want) {
				t.Errorf("%s\nproblems: %v\nwant:     %s", test.text, problems, test.want)
			}
		})
	}
}

// TestWhatIsSoundIsTaken: what looks like a mistake above and is none.
func TestWhatIsSoundIsTaken(t *testing.T) {
	for _, when := range []string{
		`alert.labels.team in ["a", "b"] and alert.labels.team in ["b", "c"]`,
		`alert.labels.team == "a" or alert.labels.team == "b"`,
		`alert.labels.team != "a" and alert.labels.team != "b" and alert.labels.team not in ["c"]`,
		`alert.labels.team != "a" and alert.labels.team == "b"`,
		`change.patched != target.patched and not change.patched`,
		`evidence.red_share_patched == 1 and evidence.red_share_patched == 1.0`,
		`1 < prom("up") < 3`,
		`prom("up") > 1 and alert.flaps < 3 or false == true and false`,
		`-prom("up") * 100 < alert.flaps - 1`,
		`alert.flaps < 3 and (prom("rate(x[5m])") > 0.5) and target.patched`,
	} {
		_, problems := Load(map[string][]byte{"rules.yaml": []byte(one("when: |", "  "+when))})
		if err := problems.Fatal(); (err != nil) != strings.Contains(when, " or false == true") {
			t.Errorf("%s: %v", when, err)
		}
	}
	for _, throttle := range []string{
		`{once_within: 30m}`, `{at_least: 1000, within: 1s}`, `{at_least: 1, within: 30d, per: rule}`, `{latch: true}`, `{latch: false}`,
		`{once_within: 30m, at_least: 3, within: 10m, per: change, latch: true}`,
	} {
		if _, problems := Load(map[string][]byte{"rules.yaml": []byte(one("match: [a=\"b\"]", "throttle: "+throttle))}); problems != nil {
			t.Errorf("%s: %v", throttle, problems)
		}
	}
}

// TestRulesWithoutAnEqualityAreNamedWithTheirCost: each at its place, and what many
// of them cost together.
func TestRulesWithoutAnEqualityAreNamedWithTheirCost(t *testing.T) {
	file := func(n int) string {
		var b strings.Builder
		b.WriteString("groups:\n  - name: g\n    rules:\n      - {rule: Found, match: [team=\"web\"], when: alert.flaps > 1}\n")
		for i := range n {
			fmt.Fprintf(&b, "      - {rule: Sought%d, match: [team=~\"web.+\"], when: %s}\n", i, strings.Repeat("alert.flaps > 1 and ", i)+"alert.flaps < 9")
		}
		return b.String()
	}
	_, problems := Load(map[string][]byte{"rules.yaml": []byte(file(manySought - 1))})
	if len(problems) != manySought-1 {
		t.Fatalf("problems: %v", problems)
	}
	for i, p := range problems {
		want := fmt.Sprintf("rules.yaml:%d:16: warning: the rule Sought%d has no equality to be found by, so it is tried for every alert on a changed target, at about ", 5+i, i)
		if !strings.HasPrefix(p.String(), want) || !strings.Contains(p.String(), " µs each: add an equality") {
			t.Errorf("%v\nwant %s", p, want)
		}
	}
	_, problems = Load(map[string][]byte{"rules.yaml": []byte(file(manySought))})
	sum := problems[0].String()
	if len(problems) != manySought+1 || !strings.HasPrefix(sum, "rules.yaml: warning: 10 rules have no equality to be found by: each alert costs about ") ||
		!strings.Contains(sum, " for each change on its target, the dearest are Sought9 (") || !strings.Contains(sum, "Sought5 (") || strings.Contains(sum, "Sought4 (") {
		t.Errorf("problems: %v", problems)
	}
}

func TestPatternsThatTurnNothingAwayAreNone(t *testing.T) {
	for match, always := range map[string]bool{
		`team=~".*"`: true, `team=~"(.*)"`: true, `team=~".*|web"`: true, `team=~"(?s).*"`: true, `instance=~".+"`: true, `instance!=""`: true,
		`team=~".+"`: false, `team!=""`: false, `team!~"x"`: false, `team=~".*x"`: false, `instance=~"web.+"`: false, `instance!="web-1"`: false,
	} {
		_, problems := Load(map[string][]byte{"rules.yaml": []byte(one("match: ['" + match + "']"))})
		if got := strings.Contains(problems.Error(), "always matches"); got != always {
			t.Errorf("%s: %v", match, problems)
		}
	}
}

// TestThrottlesThatNothingCanKeep: what is counted and remembered has an end, and a
// number above it would quietly be a smaller one.
func TestThrottlesThatNothingCanKeep(t *testing.T) {
	for throttle, want := range map[string]string{
		"at_least: 1000, within: 1h":  "",
		"at_least: 1001, within: 1h":  "rules.yaml:5:30: at_least must be 1000 or less",
		"once_within: 90d, per: rule": "",
		"once_within: 91d, per: rule": "rules.yaml:5:33: once_within must be 90d or less",
		"once_within: 91d":            "rules.yaml:5:33: once_within must be 90d or less",
	} {
		_, problems := Load(map[string][]byte{"rules.yaml": []byte(one("throttle: {" + throttle + "}"))})
		got := ""
		if problems.Fatal() != nil {
			got = problems.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", throttle, got, want)
		}
	}
}
