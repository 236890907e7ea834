package chart

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBarsAreAsLongAsTheirTime, and the limit cuts them.
func TestBarsAreAsLongAsTheirTime(t *testing.T) {
	p := Durations{Rollbacks: []Timed{{"CHG1", "", night(2, 0), []TimedLevel{
		{"L1", 40 * time.Minute, 30 * time.Minute, false, "failed"}, {"L2", 20 * time.Minute, 40 * time.Minute, false, "recovered"},
	}}}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	within, over, limit := find(all, "rect", "CHG1: L1 took 40m, 10m over its 30m, failed"), find(all, "rect", "CHG1: L2"), find(all, "path", "L1: escalate_after 30m")
	if len(within) != 2 || len(over) != 1 || len(limit) != 1 {
		t.Fatalf("%d and %d bars, %d limits", len(within), len(over), len(limit))
	}
	if !within[0].is("c-took") || !strings.HasSuffix(within[1].attr["fill"], "-red)") {
		t.Error("what is over the limit looks like what is within")
	}
	if a, b, c := within[0].num(t, "width"), within[1].num(t, "width"), over[0].num(t, "width"); math.Abs(a-3*b) > 0.05 || math.Abs(c-2*b) > 0.05 {
		t.Errorf("30m, 10m and 20m are %v, %v and %v wide", a, b, c)
	}
	if x := within[1].attr["x"]; !strings.Contains(limit[0].attr["d"], "M"+x+" ") {
		t.Errorf("the limit %s is not at %s", limit[0].attr["d"], x)
	}
	if len(texts(all, "40m, over by 10m · failed")) != 1 || len(texts(all, "20m of 40m · recovered")) != 1 {
		t.Error("the words behind the bars are missing")
	}
}

// TestNewestFirst: the order is that of time, and what is too old is counted.
func TestNewestFirst(t *testing.T) {
	p := Durations{}
	for i := range 60 {
		p.Rollbacks = append(p.Rollbacks, Timed{Name: "CHG" + num(float64(i)), At: march(1, i), Levels: []TimedLevel{{Name: "L1", Took: time.Minute}}})
	}
	p.Rollbacks = append(p.Rollbacks, Timed{Name: "none of its levels ran", At: march(9, 0)})
	words := p.Words()
	if !strings.HasPrefix(words[1], "CHG59, 3 Mar 2026 11:00 UTC: L1 took 1m without a limit.") || words[len(words)-1] != "10 older rollbacks are not drawn." || len(words) != 52 {
		t.Errorf("%d words: %q … %q", len(words), words[1], words[len(words)-1])
	}
	all := whole(t, string(p.SVG()))
	if len(texts(all, "CHG59")) != 1 || len(texts(all, "CHG9")) != 0 {
		t.Error("not the newest are drawn")
	}
}

// TestOneThatTookForEver is broken off, and the others can be seen.
func TestOneThatTookForEver(t *testing.T) {
	p := Durations{Rollbacks: []Timed{{Name: "CHG1", Levels: []TimedLevel{
		{Name: "L1", Took: math.MaxInt64, Limit: time.Minute}, {Name: "L2", Took: time.Minute, Limit: time.Minute}, {Name: "L3", Took: -5, Limit: -5}, {Name: "L4", Running: true},
	}}}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	if w := find(all, "rect", "L2 took 1m of 1m")[0].num(t, "width"); w < 100 {
		t.Errorf("a minute is %v wide", w)
	}
	broken := slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return !e.is("c-break") })
	if len(broken) != 4 { // two in the bar, two in the key
		t.Errorf("%d strokes where it is broken off", len(broken))
	}
}

func TestNumbersAreNumbers(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 1: "1", 100: "100", 0.5: "0.5", 1.005: "1", 1.999: "2", -0.001: "0", -2.5: "-2.5", math.Inf(1): "0", math.Inf(-1): "0", math.NaN(): "0"} {
		if got := num(f); got != want {
			t.Errorf("%v is written %q, want %q", f, got, want)
		}
	}
}

func TestLengthsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1: "under 1s", time.Second: "1s", 90 * time.Second: "1m30s", 30 * time.Minute: "30m", time.Hour + 59*time.Second: "1h", 90 * time.Minute: "1h30m",
		47 * time.Hour: "47h", 49 * time.Hour: "2d1h", 72 * time.Hour: "3d", -time.Minute: "-1m", math.MinInt64: "-106751d23h",
	} {
		if got := length(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}
