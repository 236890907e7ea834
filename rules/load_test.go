package rules

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

const whole = `groups:
  - name: web-tier
    target_label: node
    rules:
      - rule: WebErrorsAfterPatch
        match: [severity=~"critical|page", team="web"]
        when: evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration("2m")
        mode: auto
        start_at: L2
        scope: change
        for: 5m
        annotations: {summary: "{{ .Change.ID }} turned {{ .Alert.Name }} red on {{ .Targets }}"}
  - name: rest
    rules:
      - rule: Down
        match: [alertname="Down"]
`

func TestLoad(t *testing.T) {
	set, problems := Load(map[string][]byte{"web.yaml": []byte(whole)})
	if problems != nil {
		t.Fatalf("problems: %v", problems)
	}
	want := []Rule{
		{
			Name: "WebErrorsAfterPatch", Group: "web-tier", File: "web.yaml", Line: 5, TargetLabel: "node",
			Match: []string{`severity=~"critical|page"`, `team="web"`},
			When:  `evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration("2m")`,
			Mode:  backout.ModeAuto, StartAt: "L2", Scope: backout.ScopeChange, For: backout.Duration(5 * 60e9),
			Annotations: map[string]string{"summary": "{{ .Change.ID }} turned {{ .Alert.Name }} red on {{ .Targets }}"}, Hash: "d0d61b1bc5612f1f",
		},
		{
			Name: "Down", Group: "rest", File: "web.yaml", Line: 15, TargetLabel: "instance", Match: []string{`alertname="Down"`},
			Mode: backout.ModeShadow, Scope: backout.ScopeTarget, Hash: "c46574e963f6bf4d",
		},
	}
	if diff := cmp.Diff(want, set.Rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"node", "instance"}, set.TargetLabels()); diff != "" {
		t.Errorf("target labels (-want +got):\n%s", diff)
	}
}

// TestLoadProblems names, for each mistake, the place and the words that must
// stand in its problem.
func TestLoadProblems(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":                  {one("wen: true"), `rules.yaml:5:9: unknown key "wen": did you mean "when"?`},
		"unknown mode":                 {one("mode: shdow"), `rules.yaml:5:15: mode: unknown value "shdow": did you mean "shadow"?`},
		"unknown scope":                {one("scope: host"), `rules.yaml:5:16: scope: unknown value "host"`},
		"bad start_at":                 {one("start_at: L0"), `rules.yaml:5:19: unknown level "L0": levels are named L1 to L9`},
		"bad for":                      {one("for: soon"), `rules.yaml:5:14: for: duration "soon"`},
		"negative for":                 {one("for: -2m"), `must not be negative`},
		"bad matcher":                  {one("match: [team]"), `rules.yaml:5:17: the matcher "team" cannot be read`},
		"two matchers in one":          {one("match: ['{a=\"1\",b=\"2\"}']"), `rules.yaml:5:17: the matcher`},
		"empty matcher":                {one("match: ['']"), `rules.yaml:5:17: the matcher "" cannot be read`},
		"bad regex":                    {one(`match: ['team=~"["']`), `missing closing ]`},
		"empty when":                   {one(`when: ""`), `rules.yaml:5:15: when is empty`},
		"not a bool":                   {one("when: evidence.red_targets"), "rules.yaml:5:15: expected bool, but got int"},
		"type mismatch":                {one("when: true and alert.name == 1"), "rules.yaml:5:35: invalid operation: == (mismatched types string and int)"},
		"syntax":                       {one("when: alert.name =="), "rules.yaml:5:27: unexpected token EOF"},
		"unknown fact":                 {one("when: alert.aeg > duration(\"2m\")"), `rules.yaml:5:21: unknown fact alert.aeg: did you mean "alert.age"?`},
		"unknown group":                {one("when: alrt.name == \"x\""), `unknown fact alrt.name: did you mean "alert.name"?`},
		"unknown evidence":             {one("when: evidence.red_target > 1"), `did you mean "evidence.red_targets"?`},
		"quoted when":                  {one(`when: "true and alert.nme == \"x\""`), "rules.yaml:5:31: unknown fact alert.nme"},
		"single quoted when":           {one(`when: 'true and alert.nme == ''x'''`), "rules.yaml:5:31: unknown fact alert.nme"},
		"block when":                   {one("when: |", "  true and", "    alert.nme == 1"), "rules.yaml:7:19: unknown fact alert.nme"},
		"folded when":                  {one("when: >-", "  true and", "  alert.nme == 1"), "rules.yaml:7:17: unknown fact alert.nme"},
		"bad duration":                 {one(`when: alert.age > duration("soon")`), `rules.yaml:5:36: duration "soon"`},
		"duration of a fact":           {one(`when: alert.age > duration(alert.labels.x)`), "the text of duration must be constant"},
		"bad constant pattern":         {one(`when: alert.name matches "["`), "rules.yaml:5:35: the pattern: missing closing ]"},
		"pattern from a label":         {one(`when: alert.name matches alert.labels.p`), "the pattern of matches must be a constant text"},
		"never, two values":            {one(`match: [team="a", team="b"]`), "rules.yaml:5:17: the rule can never match: no value of label team"},
		"never, empty and not":         {one(`match: [team="", team!=""]`), "can never match"},
		"never, value out of pattern":  {one(`match: [team=~"a|b", team!~"a|b|c"]`), "can never match"},
		"never, match and when":        {one(`match: [team="a"]`, `when: alert.labels.team in ["b", "c"]`), "can never match"},
		"never, own alert":             {one(`match: [alertname="BackoutDown"]`), "about backout itself"},
		"never, no target":             {one(`match: [instance=""]`), "names the target"},
		"never, when":                  {one(`when: 1 > 2`), "when is always false"},
		"always fails":                 {one(`when: 1 % len("") == 1`), "rules.yaml:5:15: when fails whatever the alert"},
		"no rule name":                 {"groups: [{name: g, rules: [{mode: auto}]}]", "a rule has no name"},
		"no group name":                {"groups: [{rules: []}]", "a group has no name"},
		"hostile name":                 {one("annotations: {}") + "      - rule: \"a\\nb\"\n", `rules.yaml:6:15: the name "a\nb"`},
		"group twice":                  {"groups: [{name: g, rules: []}, {name: g, rules: []}]", `rules.yaml:1:39: the group "g" stands twice`},
		"rule twice":                   {one("mode: auto") + "      - rule: R\n", `rules.yaml:6:15: the rule "R" stands twice: rename one; the first is at rules.yaml:4`},
		"empty target label":           {"groups: [{name: g, target_label: '', rules: []}]", "target_label is empty"},
		"annotation syntax":            {one(`annotations: {summary: "{{ .Change.ID"}`), "rules.yaml:5:32: annotation summary: "},
		"annotation unknown":           {one(`annotations: {summary: "{{ .Change.Idd }}"}`), "can't evaluate field Idd"},
		"annotation unknown in else":   {one(`annotations: {summary: "{{ if .Targets }}x{{ else }}{{ .Nope }}{{ end }}"}`), "can't evaluate field Nope"},
		"annotation loop":              {one(`annotations: {summary: "{{ range 1000000000 }}{{ end }}"}`), "range is not allowed"},
		"annotation loop in with":      {one(`annotations: {summary: "{{ with .Change }}{{ range .Targets }}x{{ end }}{{ end }}"}`), "range is not allowed"},
		"annotation calls itself":      {one(`annotations: {summary: "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}"}`), "not allowed"},
		"annotation unknown function":  {one(`annotations: {summary: "{{ env \"HOME\" }}"}`), `function "env" not defined`},
		"list that is no list":         {one(`match: team="web"`), "rules.yaml:5:16: match: want a list"},
		"second document":              {one("mode: auto") + "---\ngroups: []\n", "second document"},
		"group of facts":               {one(`when: alert == alert`), "alert is a group of facts: name one of them, such as alert.name"},
		"whole labels compared":        {one(`when: alert.labels == change.labels`), "alert.labels is a map of strings"},
		"label by another fact":        {one(`when: alert.labels[alert.name] == "x"`), "is not a fact"},
		"text sought in a struct":      {one(`when: '"name" in alert'`), "alert is a group of facts"},
		"unknown function":             {one(`when: foo(alert.name)`), "foo is not a function that a rule may call"},
		"a method of a fact":           {one(`when: now.Hour() > 3`), "is not a function that a rule may call"},
		"a method without a call":      {one(`when: now.Hour == 3`), "unknown fact now.Hour"},
		"the environment":              {one(`when: $env["alert"] == nil`), "unknown fact $env.alert"},
		"a deeper fact than there are": {one(`when: alert.labels.a.b == "x"`), "unknown fact alert.labels.a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := Load(map[string][]byte{"rules.yaml": []byte(test.text)})
			if problems.Fatal() == nil || !strings.Contains(problems.Error(), test.want) {
				t.Errorf("%s\nproblems: %v\nwant: %s", test.text, problems, test.want)
			}
			if set != nil {
				t.Error("a set in spite of problems")
			}
		})
	}
}

// TestExpressionsOutsideTheAllowListAreRefused holds what could cost more than
// its length, or reach outside the facts, away from the machine.
func TestExpressionsOutsideTheAllowListAreRefused(t *testing.T) {
	for _, when := range []string{
		`len(filter(1..2000000, # > 1)) > 0`,
		`all(change.patch.ids, # != "x")`,
		`any(change.patch.ids, {# == "x"})`,
		`reduce(1..26, #acc + #acc, "x") == ""`,
		`count(change.patch.cves) > 0`,
		`len(repeat("x", 1000)) > 0`,
		`1 in 1..1000000000`,
		`now() > now`,
		`alert.name + "x" == "y"`,
		`"a" + "b" == "ab"`,
		`let x = 1; x == 1`,
		`true; false`,
		`if true { true } else { false }`,
		`alert.name == "x" ? true : false`,
		`alert?.name == "x"`,
		`(alert.labels.x ?? "y") == "y"`,
		`change.patch.ids[0] == "x"`,
		`alert.name[0:1] == "x"`,
		`2 ** 1000 > 1`,
		`2 ^ 2 > 1`,
		`{"a": 1}["a"] == 1`,
		`[1, 2] == [1, 2]`,
		`[true][0]`,
		`toJSON(alert.labels) == ""`,
		`alert.labels.x matches alert.labels.y`,
		`nil == nil`,
		`change.patch.ids | map(# + "x") | len() > 0`,
		`get(alert.labels, "x") == ""`,
		`date("2026-01-01") < now`,
		`true` + strings.Repeat(` and true`, 200),
		strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000) + strings.Repeat(" ", 200),
		strings.Repeat("!", 400) + "true",
	} {
		if e, err := newExpressions().compile(when); err == nil {
			t.Errorf("accepted: %.100s as %+v", when, e.parts)
		}
	}
}

func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"always":               {one("mode: auto"), "rules.yaml:4:15: warning: the rule R always matches"},
		"always, said so":      {one("when: 1 < 2"), "always matches"},
		"always, open pattern": {one(`match: [team=~".*"]`), "always matches"},
		"nothing to index":     {one(`match: [team=~"web.*"]`), "rules.yaml:4:15: warning: the rule R has no equality to be found by"},
		"only a when":          {one(`when: evidence.red_targets > 1`), "no equality to be found by"},
		"an equality":          {one(`match: [team="web"]`), ""},
		"an equality in when":  {one(`when: alert.name == "Down" and evidence.red_targets > 1`), ""},
		"a list of texts":      {one(`match: [team=~"web|db"]`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := Load(map[string][]byte{"rules.yaml": []byte(test.text)})
			if set == nil || set.Len() != 1 {
				t.Fatalf("no set: %v", problems)
			}
			if test.want == "" && problems != nil || test.want != "" && (len(problems) != 1 || !strings.Contains(problems.Error(), test.want)) {
				t.Errorf("problems: %v\nwant: %s", problems, test.want)
			}
		})
	}
}

func TestLoadReportsAllProblemsOfAllFiles(t *testing.T) {
	_, problems := Load(map[string][]byte{
		"b.yaml": []byte(one("mode: never", "start_at: L10", "when: foo")),
		"a.yaml": []byte(one("match: [x, y]")),
	})
	var places []string
	for _, p := range problems {
		places = append(places, strings.SplitN(p.String(), ": ", 2)[0])
	}
	if diff := cmp.Diff([]string{"a.yaml:5:17", "a.yaml:5:20", "b.yaml:4:15", "b.yaml:5:15", "b.yaml:6:19", "b.yaml:7:15"}, places); diff != "" {
		t.Errorf("places (-want +got):\n%s\n%v", diff, problems)
	}
}

func TestLoadNothingMatchesNothing(t *testing.T) {
	for _, files := range []map[string][]byte{nil, {"empty.yaml": nil}, {"none.yaml": []byte("groups: []")}} {
		set, problems := Load(files)
		if set == nil || problems != nil || set.Len() != 0 {
			t.Fatalf("Load(%v) = %v, %v", files, set, problems)
		}
		res := set.Match(alert("alertname", "A", "instance", "web-1"), worldOf(change("CHG1", "web-1")), opened)
		if len(res.Verdicts) != 0 {
			t.Errorf("verdicts of no rules: %v", res.Verdicts)
		}
	}
	var none *Set
	if none.Match(alert("alertname", "A"), worldOf(), opened).Verdicts != nil || none.Explain(alert(), worldOf(), opened) != nil || none.Rules() != nil {
		t.Error("the nil set says something")
	}
}

func TestLoadFS(t *testing.T) {
	fsys := fstest.MapFS{
		"rules/web.yaml": {Data: []byte(whole)},
		"rules/db.yaml":  {Data: []byte(one(`match: [alertname="Db"]`))},
		"other.yaml":     {Data: []byte("not: rules")},
	}
	set, problems := LoadFS(fsys, "rules/*.yaml")
	if problems != nil || set.Len() != 3 || set.Rules()[0].File != "rules/db.yaml" {
		t.Fatalf("set %+v, problems %v", set.Rules(), problems)
	}
	for _, pattern := range []string{"none/*.yaml", "[", "other.yaml"} {
		if set, problems := LoadFS(fsys, "rules/*.yaml", pattern); set != nil || len(problems) == 0 {
			t.Errorf("LoadFS(%q) = %v, %v", pattern, set, problems)
		}
	}
}

// TestHashIsOfWhatTheRuleSays: what people have promoted stands under it, so the
// same content has the same hash in every release.
func TestHashIsOfWhatTheRuleSays(t *testing.T) {
	hash := func(lines ...string) string { return load(t, one(lines...)).Rules()[0].Hash }
	match, when := `match: [severity="page", team="web"]`, `when: alert.flaps > 1 and target.patched`
	same := hash(match, when)
	if want := "574eb390a9e30cd0"; same != want {
		t.Errorf("hash %s, want %s", same, want)
	}
	for _, lines := range [][]string{
		{`match: [team="web", severity="page"]`, when},
		{match, "when: |", "  (alert.flaps   >  1)", "  and target.patched"},
		{match, when, "mode: auto", "annotations: {a: b}"},
		{match, when, "scope: target", "for: 0s"},
	} {
		if got := hash(lines...); got != same {
			t.Errorf("%q has hash %s, want %s", lines, got, same)
		}
	}
	seen := map[string]bool{same: true}
	for _, lines := range [][]string{
		{match},
		{when},
		{match, `when: target.patched and alert.flaps > 1`},
		{match, `when: alert.flaps > 2 and target.patched`},
		{`match: [severity="page"]`, when},
		{match, when, "scope: change"},
		{match, when, "start_at: L2"},
		{match, when, "for: 1m"},
		{match, when, "throttle: {once_within: 1m}"},
		{match, when, "throttle: {once_within: 2m}"},
		{match, when, "throttle: {once_within: 2m, per: rule}"},
		{match, when, "throttle: {latch: true}"},
		{match, when, "throttle: {at_least: 2, within: 1m}"},
		{match, when, "throttle: {at_least: 3, within: 1m}"},
	} {
		got := hash(lines...)
		if seen[got] {
			t.Errorf("%q has the hash of another", lines)
		}
		seen[got] = true
	}
	node := load(t, "groups:\n  - name: other\n    target_label: node\n    rules:\n      - rule: Other\n        "+match+"\n        "+when+"\n").Rules()[0].Hash
	if seen[node] {
		t.Error("another target label has the same hash")
	}
}
