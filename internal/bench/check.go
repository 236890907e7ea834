package bench

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tolerance is how many times the recorded ratio a measured one may be.
const tolerance = 2.0

// Name is one ratio of one benchmark.
type Name struct {
	// Package is the import path without the module.
	Package   string
	Benchmark string
	// Metric begins with "x-".
	Metric string
}

// String is the name as it stands in .ci/benchmarks.
func (n Name) String() string { return n.Package + " " + n.Benchmark + " " + n.Metric }

// Recorded reads ratios as .ci/benchmarks has them: a line each of package,
// benchmark, metric and ratio; lines that begin with # are for people.
func Recorded(r io.Reader) (map[Name]float64, error) {
	recorded := map[Name]float64{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 4 || !strings.HasPrefix(fields[2], "x-") {
			return nil, fmt.Errorf("line %d: write package, benchmark, metric (x-…) and ratio", n)
		}
		ratio, err := strconv.ParseFloat(fields[3], 64)
		if err != nil || !(ratio > 0) {
			return nil, fmt.Errorf("line %d: the ratio %s is no number above 0", n, fields[3])
		}
		name := Name{fields[0], fields[1], fields[2]}
		if _, twice := recorded[name]; twice {
			return nil, fmt.Errorf("line %d: %s stands twice", n, name)
		}
		recorded[name] = ratio
	}
	return recorded, lines.Err()
}

// Measured reads the ratios out of what go test -bench printed for packages of
// the module. Of one that was measured several times it returns the best: a busy
// neighbour makes work slower, never faster.
func Measured(r io.Reader, module string) (map[Name]float64, error) {
	measured := map[Name]float64{}
	pkg := ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = strings.TrimPrefix(strings.TrimPrefix(fields[1], module), "/")
		case len(fields) > 3 && strings.HasPrefix(fields[0], "Benchmark"):
			for i := 2; i+1 < len(fields); i += 2 {
				ratio, err := strconv.ParseFloat(fields[i], 64)
				if err != nil || !strings.HasPrefix(fields[i+1], "x-") {
					continue
				}
				name := Name{pkg, withoutProcs(fields[0]), fields[i+1]}
				if best, again := measured[name]; !again || ratio < best {
					measured[name] = ratio
				}
			}
		}
	}
	return measured, lines.Err()
}

// withoutProcs drops the number of processors that go test puts after a name when
// it is not 1.
func withoutProcs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.ParseUint(name[i+1:], 10, 16); err != nil {
		return name
	}
	return name[:i]
}

// Check says what is wrong, a line each, in a fixed order: a ratio that is worse
// than its record allows, one that is recorded and was not measured, and one that
// was measured and has no record.
func Check(recorded, measured map[Name]float64) []string {
	var wrong []string
	for name, ratio := range recorded {
		switch got, ok := measured[name]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s: not measured: bring the benchmark back, or remove its line", name))
		case !(got <= ratio*tolerance):
			wrong = append(wrong, fmt.Sprintf("%s: %.4g, recorded %.4g, at most %.4g: find what made it slower, or record the new ratio and say why", name, got, ratio, ratio*tolerance))
		}
	}
	for name, got := range maps.All(measured) {
		if _, ok := recorded[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: measured and not recorded: add the line %q", name, fmt.Sprintf("%s %.3g", name, got)))
		}
	}
	slices.Sort(wrong)
	return wrong
}
