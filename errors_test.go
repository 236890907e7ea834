package backout_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func sentinels() []error {
	return []error{
		backout.ErrNotFound, backout.ErrConflict, backout.ErrExists, backout.ErrRefused, backout.ErrFinal, backout.ErrStale, backout.ErrPaused,
		backout.ErrUnavailable, backout.ErrInvalid, backout.ErrInDoubt,
	}
}

func TestSentinelsAreTold(t *testing.T) {
	said := map[string]bool{}
	for i, a := range sentinels() {
		if said[a.Error()] {
			t.Errorf("two sentinels say %q", a)
		}
		said[a.Error()] = true
		for j, b := range sentinels() {
			if errors.Is(fmt.Errorf("open change: %w", a), b) != (i == j) {
				t.Errorf("is %q also %q?", a, b)
			}
		}
	}
}

func TestPermanentMarksAndKeeps(t *testing.T) {
	if backout.Permanent(nil) != nil || backout.IsPermanent(nil) {
		t.Error("no error became one")
	}
	cause := fmt.Errorf("read section: %w", backout.ErrInvalid)
	err := backout.Permanent(cause)
	for name, e := range map[string]error{
		"marked": err, "wrapped": fmt.Errorf("run step: %w", err), "joined": errors.Join(io.EOF, err), "marked twice": backout.Permanent(err),
	} {
		if !backout.IsPermanent(e) || !errors.Is(e, backout.ErrInvalid) {
			t.Errorf("%s: permanent %v, invalid %v", name, backout.IsPermanent(e), errors.Is(e, backout.ErrInvalid))
		}
	}
	if err.Error() != cause.Error() {
		t.Errorf("the mark is visible: %q", err)
	}
	// A mark goes with its error, and not with what is said of it.
	for _, e := range []error{cause, fmt.Errorf("run step: %v", err), &backout.RefusedError{}} {
		if backout.IsPermanent(e) {
			t.Errorf("%v is not marked", e)
		}
	}
}

func TestProblemSaysWhere(t *testing.T) {
	for want, p := range map[string]backout.Problem{
		"plan.yaml: is empty":                          {File: "plan.yaml", What: "is empty"},
		"plan.yaml:3: wrong":                           {File: "plan.yaml", Line: 3, What: "wrong"},
		"plan.yaml:3:7: wrong: do this":                {File: "plan.yaml", Line: 3, Column: 7, What: "wrong", Fix: "do this"},
		"plan.yaml:3:7: warning: odd: do this":         {File: "plan.yaml", Line: 3, Column: 7, What: "odd", Fix: "do this", Warning: true},
		"plan.yaml: a column needs a line":             {File: "plan.yaml", Column: 7, What: "a column needs a line"},
		"50%d.yaml:1: what people write is not format": {File: "50%d.yaml", Line: 1, What: "what people write is not format"},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestProblemsAreOrderedByPlace(t *testing.T) {
	ps := backout.Problems{
		{File: "b.yaml", Line: 1, What: "5"},
		{File: "a.yaml", Line: 9, Column: 30, What: "2"},
		{File: "a.yaml", Line: 10, Column: 11, What: "4, found first"},
		{File: "a.yaml", Line: 10, Column: 11, What: "4, found second"},
		{File: "a.yaml", Line: 10, Column: 2, What: "3"},
		{File: "a.yaml", What: "1, the whole file", Warning: true},
	}
	ps.Sort()
	const want = `a.yaml: warning: 1, the whole file
a.yaml:9:30: 2
a.yaml:10:2: 3
a.yaml:10:11: 4, found first
a.yaml:10:11: 4, found second
b.yaml:1: 5`
	if diff := cmp.Diff(want, ps.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestFatalLeavesWarningsOut(t *testing.T) {
	warning, mistake := backout.Problem{File: "a", What: "odd", Warning: true}, backout.Problem{File: "b", What: "wrong"}
	for _, ps := range []backout.Problems{nil, {}, {warning}, {warning, warning}} {
		if err := ps.Fatal(); err != nil {
			t.Errorf("%v stops with %v", ps, err)
		}
	}
	all := backout.Problems{warning, mistake, warning, mistake}
	err := all.Fatal()
	var fatal backout.Problems
	if !errors.As(err, &fatal) {
		t.Fatalf("a %T: %v", err, err)
	}
	if diff := cmp.Diff(backout.Problems{mistake, mistake}, fatal); diff != "" {
		t.Error(diff)
	}
	if len(all) != 4 || !all[0].Warning {
		t.Error("asking changed the problems")
	}
}

func TestProblemsKeepTheirPlaceInJSON(t *testing.T) {
	want := backout.Problems{{File: "a", Line: 1, Column: 2, What: "w", Fix: "f", Warning: true}, {File: "b", What: "x"}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`[{"file":"a","line":1,"column":2,"what":"w","fix":"f","warning":true},{"file":"b","what":"x"}]`, string(data)); diff != "" {
		t.Error(diff)
	}
	var got backout.Problems
	if err := json.Unmarshal(data, &got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("%v %v", got, err)
	}
}

func TestRefusedErrorCarriesEveryReason(t *testing.T) {
	violations := []backout.Violation{
		{Check: "plan", Reason: "no plan is named", Fix: "name the plan"},
		{Check: "overlap", Reason: "CHG2 has the target too"},
	}
	err := fmt.Errorf("open window: %w", &backout.RefusedError{Violations: violations})
	if !errors.Is(err, backout.ErrRefused) || errors.Is(err, backout.ErrInvalid) {
		t.Errorf("%v is not told from others", err)
	}
	var refused *backout.RefusedError
	if !errors.As(err, &refused) {
		t.Fatal("the reasons are gone")
	}
	if diff := cmp.Diff(violations, refused.Violations); diff != "" {
		t.Error(diff)
	}
	const want = "open window: refused: plan: no plan is named: name the plan\noverlap: CHG2 has the target too"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}
