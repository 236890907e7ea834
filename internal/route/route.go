package route

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Route is one branch of the tree. What is not given does not matter; what is given
// must all hold.
type Route struct {
	Audiences []string
	Moments   []backout.Moment
	// From and To are numbers of levels, 1 for L1; 0 is no bound. A notice about no
	// level is in no range.
	From, To int
	// Labels are the change's; all must be equal.
	Labels map[string]string
	// During names intervals; outside of all of them the route does not match.
	During []string
	// Channels get the notice; none means those of the route above, and at the top
	// the audience's own.
	Channels []string
	// Mute names intervals; in any of them the route takes the notice and nobody is
	// told.
	Mute []string
	// Continue looks at what follows as though the route had not matched.
	Continue bool
	// Routes refine: when one of them takes the notice, this route's own channels do
	// not get it.
	Routes []Route
}

// Table is all that decides where notices go. It is not changed while it is used.
type Table struct {
	// Audiences are the own channels of each.
	Audiences map[string][]string
	Intervals map[string]Interval
	Routes    []Route
}

// Decision is where a notice goes, and why.
type Decision struct {
	// Channels are all that get it, each once.
	Channels []string `json:"channels"`
	// Steps are the routes that took it, in their order.
	Steps []Step `json:"steps"`
}

// Step is one route that took a notice.
type Step struct {
	// Route is its place in the config, such as routes[1].routes[0]; empty means the
	// audience's own channels.
	Route string `json:"route,omitempty"`
	// Why says what of the notice made it match.
	Why      string   `json:"why"`
	Channels []string `json:"channels"`
	// Muted names the interval for which its channels are not told; empty when they
	// are.
	Muted string `json:"muted,omitempty"`
}

// Decide finds where a notice goes at a time. Nowhere is an answer: then no Channels
// are left, and Steps say why.
func (t *Table) Decide(n backout.Notice, at time.Time) Decision {
	return t.decide(n, func(interval string) bool { return t.Intervals[interval].Contains(at) })
}

func (t *Table) decide(n backout.Notice, on func(interval string) bool) Decision {
	w := walk{n: n, levels: levels(n), on: on, own: t.Audiences[n.Audience]}
	if !w.list(t.Routes, "", w.own) && len(w.own) > 0 {
		w.take(Step{Why: "no route takes it: the own channels of " + n.Audience, Channels: w.own})
	}
	if len(w.out.Channels) == 0 && n.Moment.NeedsPerson() && len(w.own) > 0 {
		w.take(Step{Why: "a person is needed, so no interval silences it: the own channels of " + n.Audience, Channels: w.own})
	}
	return w.out
}

// walk is one notice on its way through the tree.
type walk struct {
	n      backout.Notice
	levels []int
	on     func(interval string) bool
	own    []string
	out    Decision
}

// list walks the routes and tells whether one of them took the notice for good.
func (w *walk) list(routes []Route, above string, inherited []string) bool {
	for i := range routes {
		r := &routes[i]
		why, ok := w.matches(r)
		if !ok {
			continue
		}
		place, channels := above+"routes["+strconv.Itoa(i)+"]", r.Channels
		if len(channels) == 0 {
			channels = inherited
		}
		if !w.list(r.Routes, place+".", channels) {
			w.take(Step{Route: place, Why: why, Channels: channels, Muted: w.first(r.Mute)})
		}
		if !r.Continue {
			return true
		}
	}
	return false
}

func (w *walk) take(s Step) {
	w.out.Steps = append(w.out.Steps, s)
	if s.Muted != "" {
		return
	}
	for _, channel := range s.Channels {
		if !slices.Contains(w.out.Channels, channel) {
			w.out.Channels = append(w.out.Channels, channel)
		}
	}
}

// first is the first of the intervals that is on; empty when none is.
func (w *walk) first(intervals []string) string {
	for _, name := range intervals {
		if w.on(name) {
			return name
		}
	}
	return ""
}

// matches tells whether the route is for the notice, and what of it says so.
func (w *walk) matches(r *Route) (why string, ok bool) {
	var said []string
	if len(r.Audiences) > 0 {
		if !slices.Contains(r.Audiences, w.n.Audience) {
			return "", false
		}
		said = append(said, "audience "+w.n.Audience)
	}
	if len(r.Moments) > 0 {
		if !slices.Contains(r.Moments, w.n.Moment) {
			return "", false
		}
		said = append(said, "moment "+string(w.n.Moment))
	}
	if r.From > 0 || r.To > 0 {
		i := slices.IndexFunc(w.levels, func(level int) bool { return level >= r.From && (r.To == 0 || level <= r.To) })
		if i < 0 {
			return "", false
		}
		said = append(said, "level L"+strconv.Itoa(w.levels[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		value, given := w.n.Labels[name]
		if !given || value != r.Labels[name] {
			return "", false
		}
		said = append(said, fmt.Sprintf("label %s=%q", name, value))
	}
	if len(r.During) > 0 {
		during := w.first(r.During)
		if during == "" {
			return "", false
		}
		said = append(said, "during "+during)
	}
	if said == nil {
		return "it is for every notice", true
	}
	return strings.Join(said, ", "), true
}

// levels are the numbers of the levels that a notice is about: the one asked for, the
// one that did not help and the one that follows it, or the one that runs. Before the
// first level it is the one that would be entered.
func levels(n backout.Notice) []int {
	names := []string{n.Level}
	switch n.Moment { //nolint:exhaustive // the others are about the level that runs
	case backout.MomentApproval, backout.MomentLastCall, backout.MomentVoided, backout.MomentBreakGlass, backout.MomentUnreachable:
		if n.NextLevel != "" {
			names = []string{n.NextLevel}
		}
	case backout.MomentEscalated:
		names = append(names, n.NextLevel)
	default:
		if n.Level == "" {
			names = []string{n.NextLevel}
		}
	}
	var out []int
	for _, name := range names {
		if number, ok := Level(name); ok {
			out = append(out, number)
		}
	}
	return out
}

// Level is the number of a level's name; false where it is none.
func Level(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "L")
	number, err := strconv.Atoi(digits)
	return number, ok && err == nil && number >= 1 && number <= 9 && name == "L"+strconv.Itoa(number)
}
