package ruletest

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/rules"
)

// TestSchemaInDocs: the schema that editors use is that of the reader.
func TestSchemaInDocs(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "schema", SchemaFile)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go generate ./internal/ruletest", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale: run go generate ./internal/ruletest (-want +got):\n%s", path, diff)
	}
}

func TestMatchPicksTests(t *testing.T) {
	r, err := Run(t.Context(), []string{"testdata/web_test.yaml"}, Options{Match: regexp.MustCompile("long")})
	if err != nil || r.Tests != 1 || r.Files[0].Tests[0].Name != "red for long enough" || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Run(t.Context(), []string{"testdata/web_test.yaml"}, Options{Match: regexp.MustCompile("nothing")}); err != nil || r.OK() || !r.Readable() {
		t.Errorf("no test ran: %+v, %v", r, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := Run(ctx, []string{"testdata/web_test.yaml"}, Options{}); !errors.Is(err, stop) {
		t.Errorf("err = %v", err)
	}
}

// TestCoverageOfSeveralFilesIsPutTogether: what one file sees hold and another sees
// fail is covered.
func TestCoverageOfSeveralFilesIsPutTogether(t *testing.T) {
	b := func(line int, held, failed bool) rules.Branch {
		return rules.Branch{Rule: "R", Kind: "when", Text: "a", File: "web.yaml", Line: line, Held: held, Failed: failed}
	}
	c := together(Coverage{Branches: []rules.Branch{b(2, true, false), b(1, true, false)}}, Coverage{Branches: []rules.Branch{b(1, false, true), b(3, false, false)}})
	if c.Seen != 3 || c.Outcomes != 6 || math.Abs(c.Percent-50) > 1e-9 {
		t.Errorf("coverage %+v", c)
	}
	if diff := cmp.Diff([]rules.Branch{b(2, true, false), b(3, false, false)}, c.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	r, err := Run(t.Context(), []string{"testdata/web_test.yaml"}, Options{})
	if err != nil || r.Coverage.Percent < 100 || r.Files[0].Percent < 100 || r.Coverage.Outcomes != 6 {
		t.Errorf("coverage %+v, %v", r.Coverage, err)
	}
}

// TestPairFindsOneForEachWhereThereIs: an entry that fits much does not take the
// only one that another fits.
func TestPairFindsOneForEachWhereThereIs(t *testing.T) {
	event := func(rule, target string) (e replay.Event) {
		e.Verdict.Rule, e.Verdict.Target = rule, target
		return e
	}
	got := []replay.Event{event("A", "x"), event("A", "y"), event("A", "z")}
	want := []verdictSpec{{Rule: text{Value: "A"}}, {Rule: text{Value: "A"}, Target: text{Value: "x"}}, {Rule: text{Value: "A"}, Target: text{Value: "y"}}}
	ofWant, ofGot := pair(entries(want), got)
	if slices.Contains(ofWant, -1) || slices.Contains(ofGot, -1) {
		t.Errorf("want %v, got %v", ofWant, ofGot)
	}
}

// TestCoverageOfThrottlesInShadow: what would have stopped the rule counts.
func TestCoverageOfThrottlesInShadow(t *testing.T) {
	rule := "groups: [{name: g, rules: [{rule: R, match: ['alertname=\"A\"'], throttle: {at_least: 2, within: 10m}}]}]\n"
	tests := `rule_files: [web.yaml]
changes: [{id: CHG1, targets: [a, b]}]
tests:
  - name: two
    alerts:
      - {labels: {alertname: A, instance: a}, firing: [1m-]}
      - {labels: {alertname: A, instance: b}, firing: [2m-]}
    expect: [{at: 1m, stopped: [{rule: R, why: at_least}]}]
`
	extract(t, []txtar.File{{Name: "web.yaml", Data: []byte(rule)}, {Name: "web_test.yaml", Data: []byte(tests)}})
	r, err := Run(t.Context(), []string{"web_test.yaml"}, Options{})
	if err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, b := range r.Coverage.Branches {
		if b.Kind == "throttle" && !(b.Text == "at_least" && b.Held && b.Failed) {
			t.Errorf("%+v", b)
		}
	}
}
