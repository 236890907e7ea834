package ui

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestScoresInWords(t *testing.T) {
	for want, s := range map[string]Score{
		"it has spoken of no change yet": {},
		"3 open":                         {Open: 3},
		"0 of 1 change agreed":           {Disagreed: 1},
		"199 of 200 changes agreed, 2 open, 12 judged by people":  {Agreed: 199, Disagreed: 1, Open: 2, ByPeople: 12},
		"1 of 1 change agreed, 1 judged by people":                {Agreed: 1, ByPeople: 1},
		"1000 of 1001 changes agreed, 1 open, 1 judged by people": {Agreed: 1000, Disagreed: 1, Open: 1, ByPeople: 1},
		"20 of 20 changes agreed, 1000000 open":                   {Agreed: 20, Open: 1000000},
	} {
		if got := s.Words(); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	// One that disagreed is never rounded away.
	for want, s := range map[int]Score{99: {Agreed: 1000, Disagreed: 1}, 100: {Agreed: 3}, 0: {Disagreed: 2}} {
		if got := s.Percent(); got != want {
			t.Errorf("%+v: %d%%, want %d%%", s, got, want)
		}
	}
}

// TestAScoresBarShowsAllOfIt: what is there is seen, however little of the whole it is,
// and nothing lies beyond the edge.
func TestAScoresBarShowsAllOfIt(t *testing.T) {
	shape := regexp.MustCompile(`<rect class="(\w+)" x="(\d+)" y="\d+" width="(\d+)" height="(\d+)"/>`)
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 5), rapid.IntRange(0, 1_000_000))
		s := Score{Agreed: count.Draw(t, "agreed"), Disagreed: count.Draw(t, "disagreed"), Open: count.Draw(t, "open")}
		bar := string(s.Bar())
		at, heights := 0, map[string]bool{}
		for _, m := range shape.FindAllStringSubmatch(bar, -1) {
			x, _ := strconv.Atoi(m[2])
			width, _ := strconv.Atoi(m[3])
			if x < at || width < 1 || x+width > barWidth {
				t.Fatalf("%+v: %s", s, bar)
			}
			at, heights[m[4]] = x+width, true
		}
		for class, n := range map[string]int{"agreed": s.Agreed, "disagreed": s.Disagreed, "open": s.Open} {
			if strings.Contains(bar, `"`+class+`"`) != (n > 0) {
				t.Fatalf("%+v: %s", s, bar)
			}
		}
		// Shapes differ too: nothing is told by colour alone.
		if parts := strings.Count(bar, "<rect"); parts != len(heights) || parts == 0 {
			t.Fatalf("%+v: %s", s, bar)
		}
	})
}

func TestTimesAreNoMoreExactThanAnybodyWants(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"now": 0, "12s ago": -12 * time.Second, "in 4m10s": 4*time.Minute + 10*time.Second, "59m59s ago": -time.Hour + time.Second,
		"1h ago": -time.Hour - 59*time.Second, "in 2h10m": 2*time.Hour + 10*time.Minute + 5*time.Second, "in 1d": 24*time.Hour + 59*time.Minute,
		"40d13h ago": -40*24*time.Hour - 13*time.Hour - time.Second,
	} {
		if got := relative(now, now.Add(d)); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
