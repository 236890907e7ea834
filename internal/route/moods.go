package route

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// mood is a set of intervals that are on at the same time, and one such time.
type mood struct {
	on map[string]bool
	at time.Time
}

// A calendar repeats itself after 28 years.
const (
	firstYear = 2026
	cycle     = 28
)

// moods are all sets of the intervals that are on together at any time, and which are
// on at all. Intervals change at the boundaries of their times only, and at midnight
// in their zones, so these are the times that are looked at: of one year where no
// interval asks for more than weekdays, of a whole cycle of the calendar otherwise.
func (t *Table) moods(names []string) (moods []mood, seen map[string]bool) {
	years, edges := t.calendar(names)
	known := map[string]bool{}
	seen = map[string]bool{}
	for _, year := range years {
		for day := time.Date(year, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
			for _, e := range edges {
				at := time.Date(day.Year(), day.Month(), day.Day(), 0, e.minute, 0, 0, e.location)
				bits := make([]byte, len(names))
				for i, name := range names {
					bits[i] = '0'
					if t.Intervals[name].Contains(at) {
						bits[i] = '1'
						seen[name] = true
					}
				}
				if known[string(bits)] {
					continue
				}
				known[string(bits)] = true
				m := mood{on: map[string]bool{}, at: at}
				for i, name := range names {
					m.on[name] = bits[i] == '1'
				}
				moods = append(moods, m)
			}
		}
	}
	return moods, seen
}

// edge is a time of the day in a zone.
type edge struct {
	minute   int
	location *time.Location
}

// calendar is which years and times of the day must be looked at.
func (t *Table) calendar(names []string) (years []int, edges []edge) {
	have := map[string]bool{}
	add := func(minute int, location *time.Location) {
		if key := fmt.Sprint(minute, location); !have[key] {
			have[key] = true
			edges = append(edges, edge{minute, location})
		}
	}
	add(0, time.UTC)
	long, named := false, map[int]bool{}
	for _, name := range names {
		for _, s := range t.Intervals[name].spells {
			long = long || s.day.DaysOfMonth != nil || s.day.Months != nil || s.day.Years != nil
			for _, r := range s.day.Years {
				named[r.Begin-1], named[r.Begin], named[r.End], named[r.End+1] = true, true, true, true
			}
			add(0, s.location)
			for _, ranges := range [][]timeinterval.TimeRange{s.today.Times, s.yesterday.Times} {
				for _, r := range ranges {
					add(r.StartMinute, s.location)
					add(r.EndMinute%midnight, s.location)
				}
			}
		}
	}
	count := 1
	if long {
		count = cycle
	}
	for year := firstYear; year < firstYear+count; year++ {
		years = append(years, year)
		delete(named, year)
	}
	for _, year := range slices.Sorted(maps.Keys(named)) {
		if year > 0 && year < 10000 {
			years = append(years, year)
		}
	}
	return years, edges
}
