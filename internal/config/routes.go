package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/notifier"
)

// routeEntry is one route, and those that refine it.
type routeEntry struct {
	Pos      strictyaml.Pos
	Audience []text            `yaml:"audience" doc:"For these audiences only."`
	Moments  []text            `yaml:"moments" doc:"For these moments only, such as level_started."`
	From     text              `yaml:"from" enum:"L1,L2,L3,L4,L5,L6,L7,L8,L9" doc:"From this level on; a notice about no level is left out."`
	To       text              `yaml:"to" enum:"L1,L2,L3,L4,L5,L6,L7,L8,L9" doc:"Up to this level; a notice about no level is left out."`
	Labels   map[string]string `yaml:"labels" doc:"For changes with all these labels only."`
	During   []text            `yaml:"during" doc:"In one of these time_intervals only."`
	Channels []text            `yaml:"channels" doc:"Which channels get the notice. Default: those of the route above; at the top the audience's own."`
	Mute     []text            `yaml:"mute" doc:"In these time_intervals the route takes the notice and nobody is told."`
	Continue bool              `yaml:"continue" doc:"Look at what follows too, as though this route had not matched."`
	Routes   []routeEntry      `yaml:"routes" doc:"Routes that refine this one: the first of them that matches takes the notice instead."`
}

// routeSchema names the moments, and says of routes in routes that they are routes.
func routeSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[routeEntry]())
	moments, _ := properties(schema)["moments"].(map[string]any)
	if moments == nil {
		return map[string]any{"$ref": "#/properties/routes/items"} // this one is in another
	}
	moments["items"] = map[string]any{"enum": momentNames()}
	return schema
}

// spellEntry is one spell of a time interval.
type spellEntry struct {
	Pos         strictyaml.Pos
	Times       []clockEntry `yaml:"times" doc:"Times of a day. One over midnight belongs to the day on which it begins."`
	Weekdays    []text       `yaml:"weekdays" doc:"Days or ranges, such as monday:friday."`
	DaysOfMonth []text       `yaml:"days_of_month" doc:"Days or ranges; negative ones count from the month's end, such as -3:-1."`
	Months      []text       `yaml:"months" doc:"Names or numbers or ranges, such as november:february."`
	Years       []text       `yaml:"years" doc:"Years or ranges, such as 2026:2028."`
	Location    text         `yaml:"location" doc:"Time zone, such as Europe/Berlin. Default UTC."`
}

type clockEntry struct {
	Start text `yaml:"start_time" required:"true" doc:"00:00 to 23:59."`
	End   text `yaml:"end_time" required:"true" doc:"00:00 to 24:00, not itself in it; before start_time it is the next day's."`
}

// KindOf is what kind of people an audience is.
func (s *Settings) KindOf(audience string) notifier.AudienceKind {
	return cmp.Or(notifier.AudienceKind(s.AudienceKinds[audience]), notifier.KindOf(audience))
}

// routes checks and compiles routes and intervals. It comes after the audiences.
func (l *loader) routes() {
	before := len(l.problems)
	l.audienceKinds()
	l.cfg.Routes = route.Table{Audiences: l.cfg.Audiences, Intervals: map[string]route.Interval{}}
	for _, name := range slices.Sorted(maps.Keys(l.file.TimeIntervals)) {
		l.name("a time interval", name, plainName, plainNameFix, l.keyAt("time_intervals", name))
		l.interval(name, l.file.TimeIntervals[name])
	}
	used := map[string]bool{}
	l.cfg.Routes.Routes = l.routeList(l.file.Routes, nil, used)
	if l.root.Has("routes") && len(l.file.Routes) == 0 && l.clean {
		l.add(l.keyAt("routes").Problem("routes has no route", "add one, or remove the key"))
	}
	for _, name := range slices.Sorted(maps.Keys(l.file.TimeIntervals)) {
		if !used[name] && l.clean {
			l.add(l.keyAt("time_intervals", name).Warning(fmt.Sprintf("no route uses the time interval %q", name), "name it in during or mute of a route, or remove it"))
		}
	}
	if l.clean && !slices.ContainsFunc(l.problems[before:], func(p backout.Problem) bool { return !p.Warning }) {
		l.silences()
	}
}

func (l *loader) audienceKinds() {
	for _, name := range slices.Sorted(maps.Keys(l.cfg.AudienceKinds)) {
		at := l.at("audience_kinds", name)
		if _, ok := l.cfg.Audiences[name]; !ok && l.names("audiences") {
			l.add(l.keyAt("audience_kinds", name).Problem(fmt.Sprintf("no audience %q", name), strictyaml.DidYouMean(name, slices.Collect(maps.Keys(l.cfg.Audiences)), "")))
		}
		// Its name is a kind's in the names of templates, so it cannot be of another.
		if called := notifier.AudienceKind(name); notifier.KindOf(name) == called && l.cfg.AudienceKinds[name] != name {
			l.add(at.Problem(fmt.Sprintf("the audience %q is of the kind that it is called by", name), "rename the audience, or remove the line"))
		}
	}
}

func (l *loader) interval(name string, entries []spellEntry) {
	if len(entries) == 0 {
		if l.clean {
			l.add(l.keyAt("time_intervals", name).Problem(fmt.Sprintf("the time interval %q is never on: it says no time", name), "give times, weekdays, days_of_month, months or years"))
		}
		return
	}
	spells := make([]route.Spell, len(entries))
	for i, e := range entries {
		if l.clean && len(e.Times)+len(e.Weekdays)+len(e.DaysOfMonth)+len(e.Months)+len(e.Years) == 0 {
			l.add(e.Pos.Problem(fmt.Sprintf("the time interval %q says no time", name), "give times, weekdays, days_of_month, months or years; none never means always"))
		}
		s := route.Spell{Weekdays: values(e.Weekdays), DaysOfMonth: values(e.DaysOfMonth), Months: values(e.Months), Years: values(e.Years), Location: e.Location.Value}
		for _, c := range e.Times {
			s.Times = append(s.Times, route.Clock{Start: c.Start.Value, End: c.End.Value})
		}
		spells[i] = s
		if _, err := route.NewInterval(s); err != nil {
			l.add(l.spellAt(name, i, err).Problem(err.Error(), ""))
			return
		}
	}
	compiled, err := route.NewInterval(spells...)
	if err != nil {
		return // told above
	}
	l.cfg.Routes.Intervals[name] = compiled
}

func (l *loader) spellAt(name string, index int, err error) strictyaml.Pos {
	var field *route.FieldError
	switch {
	case !errors.As(err, &field):
		return l.at("time_intervals", name, index)
	case field.Index < 0:
		return l.at("time_intervals", name, index, field.Key)
	}
	return l.at("time_intervals", name, index, field.Key, field.Index)
}

func values(entries []text) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Value)
	}
	return out
}

// routeList compiles routes that stand at a place; used notes the intervals.
func (l *loader) routeList(entries []routeEntry, above []any, used map[string]bool) []route.Route {
	var out []route.Route
	for i, e := range entries {
		place := append(slices.Clone(above), "routes", i)
		r := l.route(e, place, used)
		if i < len(entries)-1 && !r.Continue && !conditional(e) {
			l.add(e.Pos.Problem("what follows this route is never looked at: it takes every notice", "give it a condition, such as audience, or continue: true, or put it last"))
		}
		out = append(out, r)
	}
	return out
}

// conditional tells that a route leaves some notice out.
func conditional(e routeEntry) bool {
	return len(e.Audience)+len(e.Moments)+len(e.Labels)+len(e.During) > 0 || e.From.Value != "" || e.To.Value != ""
}

func (l *loader) route(e routeEntry, place []any, used map[string]bool) route.Route {
	for key, n := range map[string]int{
		"audience": len(e.Audience), "moments": len(e.Moments), "labels": len(e.Labels), "during": len(e.During), "channels": len(e.Channels), "mute": len(e.Mute), "routes": len(e.Routes),
	} {
		if path := append(slices.Clone(place), key); n == 0 && l.clean && l.root.Has(path...) {
			l.add(l.keyAt(path...).Problem(key+" is empty, which never means all of them", "name some, or remove the key"))
		}
	}
	r := route.Route{
		Audiences: known(l, e.Audience, "audience", "audiences", l.cfg.Audiences), Labels: e.Labels, Continue: e.Continue,
		During: known(l, e.During, "time interval", "time_intervals", l.file.TimeIntervals), Mute: known(l, e.Mute, "time interval", "time_intervals", l.file.TimeIntervals),
	}
	r.Channels = known(l, e.Channels, "channel", "channels", l.file.Channels)
	for _, name := range slices.Concat(r.During, r.Mute) {
		used[name] = true
	}
	for _, m := range e.Moments {
		if !slices.Contains(backout.Moments(), backout.Moment(m.Value)) {
			l.add(m.Pos.Problem(fmt.Sprintf("no moment %q", m.Value), strictyaml.DidYouMean(m.Value, momentNames(), "")))
		}
		r.Moments = append(r.Moments, backout.Moment(m.Value))
	}
	r.From, _ = route.Level(e.From.Value)
	r.To, _ = route.Level(e.To.Value)
	if r.To > 0 && r.From > r.To {
		l.add(e.From.Pos.Problem(fmt.Sprintf("no level is from %s to %s", e.From.Value, e.To.Value), "swap them, or remove one"))
	}
	r.Routes = l.routeList(e.Routes, place, used)
	return r
}

func momentNames() []string {
	var out []string
	for _, m := range backout.Moments() {
		out = append(out, string(m))
	}
	return out
}

// known returns the names, and finds those that are not among what the key holds.
func known[V any](l *loader, entries []text, what, key string, there map[string]V) []string {
	for _, e := range entries {
		if _, ok := there[e.Value]; !ok && l.names(key) {
			l.add(e.Pos.Problem(fmt.Sprintf("no %s %q", what, e.Value), strictyaml.DidYouMean(e.Value, slices.Collect(maps.Keys(there)), "add it to "+key)))
		}
	}
	return values(entries)
}

// silences refuses what would reach nobody.
func (l *loader) silences() {
	table := &l.cfg.Routes
	for _, name := range table.Never() {
		l.add(l.keyAt("time_intervals", name).Problem(fmt.Sprintf("the time interval %q is never on: no day is like that", name), "mend it, or remove it"))
	}
	for _, s := range table.Silences() {
		var place []any
		for _, i := range s.Route {
			place = append(place, "routes", i)
		}
		at := l.at(append(place, "mute")...)
		about := fmt.Sprintf("%s to %s", s.Moment, s.Audience)
		if s.Level > 0 {
			about += " about L" + strconv.Itoa(s.Level)
		}
		if s.Moment.NeedsPerson() {
			l.add(at.Problem(
				fmt.Sprintf("%s would reach nobody, which needs a person: in %q this route is silent and no other channel takes it, such as %s", about, s.Interval, s.At.UTC().Format("Monday 15:04 UTC, 2006-01-02")),
				"give the route moments that need nobody, or continue: true, or let another route take it then"))
			continue
		}
		l.add(at.Problem(about+" would reach nobody at any time", "leave some time at which the route is not muted, or take the audience out of the plans"))
	}
}
