package chart

import (
	"strings"
	"testing"
	"time"
)

// TestTicks: from seconds to centuries, an axis has a few ticks, at whole parts of
// time in UTC, that say where they are.
func TestTicks(t *testing.T) {
	begin := time.Date(2026, 3, 14, 1, 47, 13, 0, time.UTC)
	for _, tt := range []struct {
		length time.Duration
		ticks  string
		around string
		begins string
	}{
		{10 * time.Second, "01:47:13 01:47:14 01:47:15 01:47:16 01:47:17 01:47:18 01:47:19 01:47:20 01:47:21 01:47:22 01:47:23", "Sat 14 March 2026", ""},
		{time.Minute, "01:47:20 01:47:30 01:47:40 01:47:50 01:48:00 01:48:10", "Sat 14 March 2026", ""},
		{30 * time.Minute, "01:50 01:55 02:00 02:05 02:10 02:15", "Sat 14 March 2026", ""},
		{4 * time.Hour, "02:00 02:30 03:00 03:30 04:00 04:30 05:00 05:30", "Sat 14 March 2026", ""},
		{30 * time.Hour, "03:00 06:00 09:00 12:00 15:00 18:00 21:00 00:00 03:00 06:00", "Sat 14 March 2026", "Sun 15 March 2026"},
		{7 * oneDay, "Sun 15 Mon 16 Tue 17 Wed 18 Thu 19 Fri 20 Sat 21", "March 2026", ""},
		{20 * oneDay, "15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 1 2 3", "Sat 14 March 2026", "Mon 16 March 2026, Mon 23 March 2026, Mon 30 March 2026"},
		{60 * oneDay, "16 Mar 23 Mar 30 Mar 6 Apr 13 Apr 20 Apr 27 Apr 4 May 11 May", "2026", ""},
		{365 * oneDay, "Apr May Jun Jul Aug Sep Oct Nov Dec Jan Feb Mar", "2026", "2027"},
		{3 * 365 * oneDay, "Apr Jul Oct Jan Apr Jul Oct Jan Apr Jul Oct Jan", "2026", "2027, 2028, 2029"},
		{20 * 365 * oneDay, "2028 2030 2032 2034 2036 2038 2040 2042 2044 2046", "", ""},
		{290 * 365 * oneDay, "2040 2060 2080 2100 2120 2140 2160 2180 2200 2220 2240 2260 2280 2300", "", ""},
	} {
		g := gridOf(scale{begin, begin.Add(tt.length), 150, 790})
		var ticks, begins []string
		for _, k := range g.ticks {
			ticks = append(ticks, k.label)
			if k.begins != "" {
				begins = append(begins, k.begins)
			}
		}
		if got := strings.Join(ticks, " "); got != tt.ticks {
			t.Errorf("%v: ticks %s\nwant %s", tt.length, got, tt.ticks)
		}
		if got := strings.Join(begins, ", "); g.around != tt.around || got != tt.begins {
			t.Errorf("%v: in %q, then %q; want %q, then %q", tt.length, g.around, got, tt.around, tt.begins)
		}
	}
}

// TestClocksSayWhatTellsTimesApart: seconds where minutes would not, days and years
// where there is more than one.
func TestClocksSayWhatTellsTimesApart(t *testing.T) {
	begin := time.Date(2026, 3, 14, 1, 47, 13, 0, time.UTC)
	for length, want := range map[time.Duration]string{
		time.Hour: "01:47:13 to 01:52:13", 5 * time.Hour: "01:47 to 01:52", 30 * time.Hour: "14 Mar 01:47 to 01:52", 365 * oneDay: "14 Mar 2026 01:47 to 01:52",
	} {
		s := scale{from: begin, until: begin.Add(length)}
		if got := s.between(begin, begin.Add(5*time.Minute)); got != want {
			t.Errorf("%v: %q, want %q", length, got, want)
		}
	}
}
