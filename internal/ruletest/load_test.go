package ruletest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

const rulesFile = `groups:
  - name: web
    rules:
      - {rule: Errors, match: ['alertname="HighErrorRate"'], mode: auto}
`

// head is what every file of TestProblems begins with: nine lines.
const head = `rule_files: [web.yaml]
inventory:
  - {name: db-1}
changes:
  - {id: CHG1, targets: [web-1, web-2], opens: 5m, patched: 8m}
tests:
  - name: first
    alerts: [{labels: {alertname: HighErrorRate, instance: web-1}, firing: [10m-]}]
    expect: [{at: 1h, verdicts: []}]
`

// more is a second test with these lines in it, from line 11 on.
func more(lines ...string) string {
	return head + "  - name: second\n    " + strings.Join(lines, "\n    ") + "\n"
}

func expecting(what string) string { return more("expect: [" + what + "]") }

func firing(alert string) string {
	return more("alerts: ["+alert+"]", "expect: [{at: 1h, verdicts: []}]")
}

func planning(change string) string {
	return more("changes: ["+change+"]", "expect: [{at: 1h, verdicts: []}]")
}

// TestProblems names, for each mistake, the place and the words that must stand in
// its problem.
func TestProblems(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":                 {head + "tets: []\n", `web_test.yaml:10:1: unknown key "tets": did you mean "tests"?`},
		"unknown key of an alert":     {firing("{labels: {alertname: A}, fireing: [1m-]}"), `:11:39: unknown key "fireing": did you mean "firing"?`},
		"no tests key":                {"rule_files: [web.yaml]\n", `the key "tests" is missing`},
		"no tests":                    {"rule_files: [web.yaml]\ntests: []\n", "web_test.yaml:2:8: the file has no test"},
		"no rule_files key":           {"tests: [{name: a, expect: [{at: 1m, verdicts: []}]}]\n", `the key "rule_files" is missing`},
		"no rule files":               {strings.Replace(head, "[web.yaml]", "[]", 1), "web_test.yaml:1:13: rule_files names no file"},
		"no such rule file":           {strings.Replace(head, "web.yaml", "wbe.yaml", 1), `web_test.yaml:1:14: no rule file matches "wbe.yaml"`},
		"only test files":             {strings.Replace(head, "web.yaml", "'*_test.yaml'", 1), `no rule file matches "*_test.yaml"`},
		"a folder":                    {strings.Replace(head, "web.yaml", "dir", 1), "rule file dir: not a regular file"},
		"rule files without a rule":   {strings.Replace(head, "web.yaml", "empty.yaml", 1), "the rule files have no rule"},
		"a rule file with a problem":  {strings.Replace(head, "web.yaml", "bad.yaml", 1), `bad.yaml:3:36: the matcher "team" cannot be read`},
		"no name":                     {strings.Replace(head, "first", "''", 1), "web_test.yaml:7:11: the test has no name"},
		"no name key":                 {strings.Replace(head, "  - name: first\n    alerts", "  - alerts", 1), `the key "name" is missing`},
		"a name twice":                {strings.Replace(expecting("{at: 1h, verdicts: []}"), "second", "first", 1), `:10:11: a second test "first": rename one; the first is in line 7`},
		"no expect":                   {more("alerts: []"), `:10:5: the key "expect" is missing`},
		"empty expect":                {expecting(""), `the test "second" expects nothing: add an expectation`},
		"an empty expectation":        {expecting("{at: 1h}"), "web_test.yaml:11:14: the expectation expects nothing"},
		"a list without a value":      {more("expect:", "  - at: 1h", "    rollbacks:"), ":13:9: rollbacks has no value: write [] for none"},
		"no at":                       {expecting("{verdicts: []}"), `the key "at" is missing`},
		"bad at":                      {expecting("{at: soon, verdicts: []}"), `:11:19: at: duration "soon"`},
		"negative at":                 {expecting("{at: -5m, verdicts: []}"), "must not be negative"},
		"at goes backwards":           {expecting("{at: 2h, verdicts: []}, {at: 1h, verdicts: []}"), ":11:43: at: 1h is before the expectation in front of it, at 2h"},
		"at is far away":              {expecting("{at: 1000d, verdicts: []}"), "longer than a test may take"},
		"unknown rule":                {expecting("{at: 1h, verdicts: [{rule: Erors}]}"), `:11:41: unknown rule "Erors": did you mean "Errors"?`},
		"unknown rule of a rollback":  {expecting("{at: 1h, rollbacks: [{change: CHG1, rule: Nope}]}"), `unknown rule "Nope"`},
		"mode of an unknown rule":     {more("modes: {Erors: auto}", "expect: [{at: 1h, verdicts: []}]"), `unknown rule "Erors": did you mean "Errors"?`},
		"unknown mode of a rule":      {more("modes: {Errors: atuo}", "expect: [{at: 1h, verdicts: []}]"), `unknown value "atuo": did you mean "auto"?`},
		"unknown rule of a stop":      {expecting("{at: 1h, stopped: [{rule: Nope}]}"), `unknown rule "Nope"`},
		"no rule":                     {expecting("{at: 1h, verdicts: [{change: CHG1}]}"), `the key "rule" is missing`},
		"unknown change":              {expecting("{at: 1h, verdicts: [{rule: Errors, change: CHG2}]}"), `:11:57: unknown change "CHG2": did you mean "CHG1"?`},
		"unknown target":              {expecting("{at: 1h, verdicts: [{rule: Errors, target: web1}]}"), `:11:57: unknown target "web1": did you mean "web-1"?`},
		"a target of no change":       {expecting("{at: 1h, verdicts: [{rule: Errors, target: db-1}]}"), `unknown target "db-1"`},
		"unknown target of many":      {expecting("{at: 1h, rollbacks: [{change: CHG1, targets: [web-1, web-3]}]}"), `unknown target "web-3"`},
		"unknown mode":                {expecting("{at: 1h, verdicts: [{rule: Errors, mode: atuo}]}"), `mode: unknown value "atuo": did you mean "auto"?`},
		"unknown level":               {expecting("{at: 1h, rollbacks: [{change: CHG1, start_at: L4}]}"), `:11:60: unknown level "L4": the plan of CHG1 has L1 to L3`},
		"no labels key":               {firing("{firing: [1m-]}"), `the key "labels" is missing`},
		"no labels":                   {firing("{labels: {}, firing: [1m-]}"), ":11:14: an alert has no labels"},
		"no alertname":                {firing("{labels: {instance: web-1}, firing: [1m-]}"), ":11:14: an alert has no label alertname"},
		"the same labels":             {firing("{labels: {alertname: A}, firing: [1m-]}, {labels: {alertname: A}, firing: [1m-]}"), "a second alert with the same labels"},
		"no firing key":               {firing("{labels: {alertname: A}}"), `the key "firing" is missing`},
		"never fires":                 {firing("{labels: {alertname: A}, firing: []}"), "the alert never fires"},
		"no stretch of time":          {firing("{labels: {alertname: A}, firing: [10m]}"), `:11:48: firing[0]: "10m" is no stretch of time: write 10m-40m`},
		"bad beginning":               {firing("{labels: {alertname: A}, firing: [x-10m]}"), `duration "x"`},
		"bad end":                     {firing("{labels: {alertname: A}, firing: [10m-x]}"), `duration "x"`},
		"firing goes backwards":       {firing("{labels: {alertname: A}, firing: [40m-10m]}"), `"40m-10m" goes backwards`},
		"firing out of order":         {firing("{labels: {alertname: A}, firing: [40m-50m, 10m-20m]}"), ":11:57: firing: begins before the one in front of it has ended"},
		"firing overlaps":             {firing("{labels: {alertname: A}, firing: [10m-20m, 15m-30m]}"), "begins before the one in front of it has ended"},
		"firing after an open end":    {firing("{labels: {alertname: A}, firing: [10m-, 15m-30m]}"), "begins before the one in front of it has ended"},
		"silenced out of order":       {firing("{labels: {alertname: A}, firing: [10m-], silenced: [2m-3m, 1m-2m]}"), "silenced: begins before"},
		"every is too small":          {firing("{labels: {alertname: A}, firing: [10m-], every: 10ms}"), "every is too small"},
		"too many deliveries":         {firing("{labels: {alertname: A}, firing: [0m-300d], every: 1s}"), "come in 25920002 times"},
		"no id":                       {planning("{targets: [a]}"), `the key "id" is missing`},
		"an id twice":                 {planning("{id: A, targets: [a]}, {id: A, targets: [b]}"), `a change "A" stands twice`},
		"no target":                   {planning("{id: A, targets: []}"), `the change "A" has no target`},
		"a target twice":              {planning("{id: A, targets: [a, a]}"), `a target "a" stands twice`},
		"levels":                      {planning("{id: A, targets: [a], levels: 10}"), "levels: 10: a plan has 1 to 9 levels"},
		"patched before it opens":     {planning("{id: A, targets: [a], opens: 5m, patched: 1m}"), ":11:57: patched: 1m is before it opens, at 5m"},
		"closes before it opens":      {planning("{id: A, targets: [a], opens: 5m, closes: 1m}"), "closes: 1m is before it opens"},
		"ends before it is patched":   {planning("{id: A, targets: [a], patched: 5m, ends: 1m}"), "ends: 1m is before it opens and is patched"},
		"patched target of another":   {planning("{id: A, targets: [a], patched_targets: {b: 1m}}"), `"b" is no target of the change`},
		"patched target before":       {planning("{id: A, targets: [a], opens: 5m, patched_targets: {a: 1m}}"), "patched_targets: 1m is before it opens"},
		"unknown kind of patch":       {planning("{id: A, targets: [a], patch: {kind: rpm}}"), `kind: unknown value "rpm"`},
		"a target of the list twice":  {more("inventory: [{name: a}, {name: a}]", "expect: [{at: 1h, verdicts: []}]"), `a target "a" stands twice`},
		"a query of no target":        {more("queries: [{query: up, target: web1, value: 1}]", "expect: [{at: 1h, verdicts: []}]"), `unknown target "web1": did you mean "web-1"?`},
		"an empty query":              {more("queries: [{query: '', value: 1}]", "expect: [{at: 1h, verdicts: []}]"), "the query is empty"},
		"a query without a value":     {more("queries: [{query: up}]", "expect: [{at: 1h, verdicts: []}]"), `the key "value" is missing`},
		"not YAML":                    {"tests: [", "not YAML"},
		"a list where a mapping goes": {"[]\n", "want a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			extract(t, []txtar.File{
				{Name: "web.yaml", Data: []byte(rulesFile)},
				{Name: "empty.yaml", Data: []byte("groups: []\n")},
				{Name: "web_test.yaml", Data: []byte(test.text)},
				{Name: "bad.yaml", Data: []byte("groups:\n  - name: g\n    rules: [{rule: Errors, match: [team]}]\n")},
			})
			if err := os.Mkdir("dir", 0o700); err != nil {
				t.Fatal(err)
			}
			f, problems := Open("web_test.yaml")
			if problems.Fatal() == nil || !strings.Contains(problems.Error(), test.want) {
				t.Errorf("%s\nproblems: %v\nwant: %s", test.text, problems, test.want)
			}
			if f != nil {
				t.Error("a file in spite of problems")
			}
			r, err := Run(t.Context(), []string{"web_test.yaml"}, Options{})
			if err != nil || r.OK() || r.Readable() || r.Tests > 0 {
				t.Errorf("run: %+v, %v", r, err)
			}
		})
	}
}

func TestNothingToRunIsNotPassed(t *testing.T) {
	for _, names := range [][]string{nil, {"testdata/no-such_test.yaml"}, {"testdata"}} {
		r, err := Run(t.Context(), names, Options{})
		if err != nil || r.OK() {
			t.Errorf("%q: %+v, %v", names, r, err)
		}
	}
}

func TestHeadIsGood(t *testing.T) {
	extract(t, []txtar.File{{Name: "web.yaml", Data: []byte(rulesFile)}, {Name: "web_test.yaml", Data: []byte(head)}})
	f, problems := Open("web_test.yaml")
	if f == nil || problems.Fatal() != nil || !slices.Equal(sortedKeys(f.tests[0].inventory), []string{"db-1", "web-1", "web-2"}) {
		t.Errorf("%+v, %v", f, problems)
	}
}

// FuzzLoad: no file makes the reader panic, and what loads can be run.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{head, more("expect: [{at: 1h, stopped: []}]"), firing("{labels: {alertname: A}, firing: [1m-2m, 3m-], silenced: []}")} {
		f.Add([]byte(strings.Replace(text, "web.yaml", "testdata/web.yaml", 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Load("web_test.yaml", data)
		if (file == nil) != (problems.Fatal() != nil) {
			t.Fatalf("file %v, problems %v", file, problems)
		}
		if file == nil {
			return
		}
		for _, c := range file.tests {
			if c.end() > 24*60*60*1e9 {
				return
			}
		}
		if _, err := file.run(t.Context(), Options{}, &FileResult{}); err != nil {
			t.Fatal(err)
		}
	})
}
