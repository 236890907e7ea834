package route

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Silence is a notice that would reach nobody.
type Silence struct {
	// Route is the place in the tree of the route that takes it: its index at the
	// top, then below.
	Route    []int
	Audience string
	Moment   backout.Moment
	// Level is 0 for a notice about no level.
	Level int
	// Interval silences it; At is one time when it does.
	Interval string
	At       time.Time
	// Always says that no time is left at which somebody would be told.
	Always bool
}

// Silences finds, for each route that is muted at times, a notice of a moment that
// needs a person which would reach nobody then, and one of any other moment that
// would reach nobody at any time. The routes' audiences and intervals must be known.
//
// Only the labels that a route asks for need to be tried: further labels can only
// make further routes match, which add channels or take the notice themselves, and
// then theirs are tried.
func (t *Table) Silences() []Silence {
	s := search{t: t, levels: []int{0}}
	s.learn(t.Routes)
	if !s.mutes {
		return nil
	}
	s.moods, _ = t.moods(slices.Sorted(maps.Keys(s.intervals)))
	s.classes()
	s.routes(t.Routes, trail{audiences: slices.Sorted(maps.Keys(t.Audiences)), moments: s.moments})
	return s.found
}

// Never are the intervals that are on at no time.
func (t *Table) Never() []string {
	_, seen := t.moods(slices.Sorted(maps.Keys(t.Intervals)))
	var out []string
	for _, name := range slices.Sorted(maps.Keys(t.Intervals)) {
		if !seen[name] {
			out = append(out, name)
		}
	}
	return out
}

type search struct {
	t         *Table
	mutes     bool
	intervals map[string]bool
	levels    []int
	// sets are the lists of moments that routes name; moments one of each kind that
	// no route tells apart.
	sets    [][]backout.Moment
	moments []backout.Moment
	moods   []mood
	found   []Silence
}

// learn notes what the routes tell apart.
func (s *search) learn(routes []Route) {
	if s.intervals == nil {
		s.intervals = map[string]bool{}
	}
	for i := range routes {
		r := &routes[i]
		s.mutes = s.mutes || len(r.Mute) > 0
		for _, name := range slices.Concat(r.During, r.Mute) {
			s.intervals[name] = true
		}
		if (r.From > 0 || r.To > 0) && len(s.levels) == 1 {
			s.levels = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		}
		if len(r.Moments) > 0 {
			s.sets = append(s.sets, r.Moments)
		}
		s.learn(r.Routes)
	}
}

// classes keeps one moment of each kind.
func (s *search) classes() {
	seen := map[string]bool{}
	for _, m := range backout.Moments() {
		var kind strings.Builder
		for _, bit := range append([]bool{m.NeedsPerson(), aboutNoChange(m)}, s.membership(m)...) {
			kind.WriteByte(map[bool]byte{true: '1', false: '0'}[bit])
		}
		if !seen[kind.String()] {
			seen[kind.String()] = true
			s.moments = append(s.moments, m)
		}
	}
}

func (s *search) membership(m backout.Moment) []bool {
	out := make([]bool, len(s.sets))
	for i, set := range s.sets {
		out[i] = slices.Contains(set, m)
	}
	return out
}

// aboutNoChange tells the moments whose notices have neither a level nor labels.
func aboutNoChange(m backout.Moment) bool {
	return m == backout.MomentMonitoringBlind || m == backout.MomentMonitoringBack
}

// trail is what a notice must be to come to a route.
type trail struct {
	place     []int
	audiences []string
	moments   []backout.Moment
	labels    map[string]string
}

func (s *search) routes(routes []Route, above trail) {
	for i := range routes {
		r := &routes[i]
		at := trail{place: append(slices.Clone(above.place), i), audiences: above.audiences, moments: above.moments, labels: maps.Clone(above.labels)}
		if len(r.Audiences) > 0 {
			at.audiences = common(above.audiences, r.Audiences)
		}
		if len(r.Moments) > 0 {
			at.moments = common(above.moments, r.Moments)
		}
		if !at.with(r.Labels) {
			continue
		}
		if len(r.Mute) > 0 {
			s.route(at)
		}
		s.routes(r.Routes, at)
	}
}

// with adds labels; false when no notice has them all.
func (t *trail) with(labels map[string]string) bool {
	for name, value := range labels {
		if have, given := t.labels[name]; given && have != value {
			return false
		}
		if t.labels == nil {
			t.labels = map[string]string{}
		}
		t.labels[name] = value
	}
	return true
}

func common[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(v T) bool { return !slices.Contains(b, v) })
}

// route tries every notice that may come to one route, and keeps the first of each
// sort that reaches nobody.
func (s *search) route(at trail) {
	sometimes, always := false, false
	for _, audience := range at.audiences {
		for _, moment := range at.moments {
			for _, level := range s.levels {
				if aboutNoChange(moment) && (level > 0 || len(at.labels) > 0) {
					continue
				}
				silence, silent := s.try(at, audience, moment, level)
				switch {
				case !silent || moment.NeedsPerson() && sometimes || !moment.NeedsPerson() && (!silence.Always || always):
					continue
				case moment.NeedsPerson():
					sometimes = true
				default:
					always = true
				}
				s.found = append(s.found, silence)
			}
		}
	}
}

func (s *search) try(at trail, audience string, moment backout.Moment, level int) (Silence, bool) {
	n := backout.Notice{Moment: moment, Audience: audience, Labels: at.labels}
	if level > 0 {
		n.Level = "L" + strconv.Itoa(level)
		n.NextLevel = n.Level
	}
	out := Silence{Route: at.place, Audience: audience, Moment: moment, Level: level, Always: true}
	silent := false
	for _, m := range s.moods {
		w := walk{n: n, levels: levels(n), on: func(interval string) bool { return m.on[interval] }, own: s.t.Audiences[audience]}
		by := ""
		if w.list(s.t.Routes, "", w.own) && len(w.out.Channels) == 0 {
			for _, step := range w.out.Steps {
				if step.Muted != "" && step.Route == placeName(at.place) {
					by = step.Muted
				}
			}
		}
		if by == "" {
			out.Always = false
			continue
		}
		if !silent {
			silent, out.Interval, out.At = true, by, m.at
		}
	}
	return out, silent
}

func placeName(place []int) string {
	words := make([]string, len(place))
	for i, p := range place {
		words[i] = "routes[" + strconv.Itoa(p) + "]"
	}
	return strings.Join(words, ".")
}
