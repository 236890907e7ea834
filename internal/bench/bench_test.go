package bench

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `goos: linux
pkg: example.com/mod/rules
cpu: fast
BenchmarkMatch/rules=10/one_match-2         	  486	     2446 ns/op	   1.250 x-ref	    1432 B/op	      24 allocs/op
BenchmarkLoad-2                             	    1	  9000000 ns/op	  4.5e+03 x-ref
BenchmarkPlain-2                            	    1	  9000000 ns/op
some test's own words 3 x-ref
PASS
pkg: example.com/mod/rules
BenchmarkLoad                               	    1	  7000000 ns/op	  3.5e+03 x-ref
pkg: example.com/mod
BenchmarkWhole-16                           	    1	  7000000 ns/op	  2.000 x-growth	  1.000 x-ref
`

func TestMeasured(t *testing.T) {
	got, err := Measured(strings.NewReader(printed), "example.com/mod")
	if err != nil {
		t.Fatal(err)
	}
	want := map[Name]float64{
		{"rules", "BenchmarkMatch/rules=10/one_match", "x-ref"}: 1.25,
		{"rules", "BenchmarkLoad", "x-ref"}:                     3500,
		{"", "BenchmarkWhole", "x-growth"}:                      2,
		{"", "BenchmarkWhole", "x-ref"}:                         1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
}

func TestRecorded(t *testing.T) {
	got, err := Recorded(strings.NewReader("# words\n\nrules BenchmarkLoad x-ref 3.5e3\n rules  BenchmarkMatch/a x-growth 1.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[Name]float64{{"rules", "BenchmarkLoad", "x-ref"}: 3500, {"rules", "BenchmarkMatch/a", "x-growth"}: 1.1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	for text, word := range map[string]string{
		"rules BenchmarkLoad 3":                                  "line 1: write package",
		"rules BenchmarkLoad ns/op 3":                            "write package",
		"# a\nrules BenchmarkLoad x-ref much":                    "line 2: the ratio much",
		"rules BenchmarkLoad x-ref 0":                            "above 0",
		"rules BenchmarkLoad x-ref NaN":                          "above 0",
		"rules BenchmarkL x-ref 1\nrules BenchmarkL x-ref 2\n\n": "line 2: rules BenchmarkL x-ref stands twice",
	} {
		if _, err := Recorded(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: error %v, want %q", text, err, word)
		}
	}
}

// TestCheck spoils one thing at a time.
func TestCheck(t *testing.T) {
	load, match := Name{"rules", "BenchmarkLoad", "x-ref"}, Name{"rules", "BenchmarkMatch/a", "x-growth"}
	recorded := map[Name]float64{load: 100, match: 1.1}
	for name, test := range map[string]struct {
		spoil func(measured map[Name]float64)
		want  []string
	}{
		"as recorded":      {func(map[Name]float64) {}, nil},
		"better":           {func(m map[Name]float64) { m[load] = 1 }, nil},
		"a little worse":   {func(m map[Name]float64) { m[load] = 199 }, nil},
		"worse":            {func(m map[Name]float64) { m[load] = 201 }, []string{"rules BenchmarkLoad x-ref: 201, recorded 100, at most 200"}},
		"no number at all": {func(m map[Name]float64) { m[load] = math.NaN() }, []string{"rules BenchmarkLoad x-ref: NaN"}},
		"missing":          {func(m map[Name]float64) { delete(m, match) }, []string{"rules BenchmarkMatch/a x-growth: not measured"}},
		"all missing": {func(m map[Name]float64) { clear(m) }, []string{
			"rules BenchmarkLoad x-ref: not measured", "rules BenchmarkMatch/a x-growth: not measured",
		}},
		"not recorded": {func(m map[Name]float64) { m[Name{"rules", "BenchmarkNew", "x-ref"}] = 3 }, []string{
			`rules BenchmarkNew x-ref: measured and not recorded: add the line "rules BenchmarkNew x-ref 3"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			measured := maps.Clone(recorded)
			test.spoil(measured)
			got := Check(recorded, measured)
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// TestRatio measures work that is the unit eight times over. What the machine does
// beside it touches both, so a wide band is enough.
func TestRatio(t *testing.T) {
	unit := newReference()
	got := ratio(unit, func() { repeat(8, unit) })
	if got < 6 || got > 10 {
		t.Errorf("ratio %v, want about 8", got)
	}
}

func TestWithoutProcs(t *testing.T) {
	for name, want := range map[string]string{
		"BenchmarkA": "BenchmarkA", "BenchmarkA-2": "BenchmarkA", "BenchmarkA/x-y": "BenchmarkA/x-y", "BenchmarkA/x-y-128": "BenchmarkA/x-y",
	} {
		if got := withoutProcs(name); got != want {
			t.Errorf("withoutProcs(%s) = %s, want %s", name, got, want)
		}
	}
}

func BenchmarkReference(b *testing.B) {
	work := newReference()
	for b.Loop() {
		work()
	}
}
