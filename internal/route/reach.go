package route

import (
	"maps"
	"slices"
	"strconv"

	"github.com/backout-io/backout"
)

// Reaches tells whether a channel gets any notice at any time. Audiences that list it
// are not enough: routes may send all of theirs elsewhere.
//
// As for [Table.Silences], the labels that routes ask for are enough to try.
func (t *Table) Reaches(channel string) bool {
	s := search{t: t, levels: []int{0}}
	s.learn(t.Routes)
	s.moods, _ = t.moods(slices.Sorted(maps.Keys(s.intervals)))
	s.classes()
	for _, labels := range labelsOf(t.Routes, nil) {
		for audience := range t.Audiences {
			for _, moment := range s.moments {
				if s.reaches(channel, backout.Notice{Audience: audience, Moment: moment, Labels: labels}) {
					return true
				}
			}
		}
	}
	return false
}

func (s *search) reaches(channel string, n backout.Notice) bool {
	for _, level := range s.levels {
		if aboutNoChange(n.Moment) && (level > 0 || len(n.Labels) > 0) {
			continue
		}
		if level > 0 {
			n.Level = "L" + strconv.Itoa(level)
			n.NextLevel = n.Level
		}
		for _, m := range s.moods {
			if slices.Contains(s.t.decide(n, func(interval string) bool { return m.on[interval] }).Channels, channel) {
				return true
			}
		}
	}
	return false
}

// labelsOf are the labels that lead to each route, and those above.
func labelsOf(routes []Route, above map[string]string) []map[string]string {
	out := []map[string]string{above}
	for i := range routes {
		at := trail{labels: maps.Clone(above)}
		if at.with(routes[i].Labels) {
			out = append(out, labelsOf(routes[i].Routes, at.labels)...)
		}
	}
	return out
}
