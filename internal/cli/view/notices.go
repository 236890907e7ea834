package view

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/notifier"
)

// TestWords is what became of a test notice: that it was sent, or its words.
func TestWords(w handlers.TestWords, s Style) string {
	switch {
	case w.Error != "":
		return s.show(sign{"✗", "x", "not sent", toneBad}) + " through " + Clean(w.Channel) + ": " + Clean(w.Error) + "\n"
	case w.Sent:
		return "sent through " + Clean(w.Channel) + "\n"
	}
	return "not sent; through " + Clean(w.Channel) + " it would read:\n\n" + Clean(w.Subject) + "\n\n" + CleanLines(w.Text) + "\n"
}

// NoticeRoutes are where the notices of a config go, and what kind of people read
// them.
type NoticeRoutes struct {
	Table route.Table
	Kinds map[string]notifier.AudienceKind
}

// RoutesDescribed are routes as the command prints them.
type RoutesDescribed struct {
	Audiences []AudienceDescribed `json:"audiences"`
	Routes    []RouteDescribed    `json:"routes"`
}

// AudienceDescribed is one audience with its own channels.
type AudienceDescribed struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Channels []string `json:"channels"`
}

// RouteDescribed is one route; what it matches is in words.
type RouteDescribed struct {
	// Route is its place in the config, such as routes[1].routes[0].
	Route    string   `json:"route"`
	Matches  string   `json:"matches"`
	Channels []string `json:"channels,omitempty"`
	Mute     []string `json:"mute,omitempty"`
	Continue bool     `json:"continue,omitempty"`
}

// Described is all there is, in the order in which routes are looked at.
func (r NoticeRoutes) Described() RoutesDescribed {
	out := RoutesDescribed{Audiences: []AudienceDescribed{}, Routes: []RouteDescribed{}}
	for _, name := range slices.Sorted(maps.Keys(r.Table.Audiences)) {
		out.Audiences = append(out.Audiences, AudienceDescribed{name, string(r.Kinds[name]), r.Table.Audiences[name]})
	}
	out.add(r.Table.Routes, "")
	return out
}

func (d *RoutesDescribed) add(routes []route.Route, above string) {
	for i := range routes {
		r := &routes[i]
		place := above + "routes[" + strconv.Itoa(i) + "]"
		d.Routes = append(d.Routes, RouteDescribed{Route: place, Matches: matches(r), Channels: r.Channels, Mute: r.Mute, Continue: r.Continue})
		d.add(r.Routes, place+".")
	}
}

func matches(r *route.Route) string {
	var words []string
	if len(r.Audiences) > 0 {
		words = append(words, strings.Join(r.Audiences, " or "))
	}
	if len(r.Moments) > 0 {
		names := make([]string, len(r.Moments))
		for i, m := range r.Moments {
			names[i] = string(m)
		}
		words = append(words, strings.Join(names, " or "))
	}
	switch {
	case r.From > 0 && r.To > 0:
		words = append(words, fmt.Sprintf("L%d to L%d", r.From, r.To))
	case r.From > 0:
		words = append(words, fmt.Sprintf("from L%d on", r.From))
	case r.To > 0:
		words = append(words, fmt.Sprintf("up to L%d", r.To))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		words = append(words, fmt.Sprintf("%s=%q", name, r.Labels[name]))
	}
	if len(r.During) > 0 {
		words = append(words, "during "+strings.Join(r.During, " or "))
	}
	if words == nil {
		return "every notice"
	}
	return strings.Join(words, ", ")
}

// Routes is the audiences and then the routes, those that refine others below them.
func Routes(d RoutesDescribed, _ Style) string {
	var b strings.Builder
	for _, a := range d.Audiences {
		fmt.Fprintf(&b, "%s (%s): %s\n", Clean(a.Name), Clean(a.Kind), names(a.Channels, 0))
	}
	for _, r := range d.Routes {
		to := "the channels of what it refines"
		if len(r.Channels) > 0 {
			to = names(r.Channels, 0)
		} else if !strings.Contains(r.Route, ".") {
			to = "the audience's own channels"
		}
		fmt.Fprintf(&b, "%s%s: %s: %s", strings.Repeat("  ", strings.Count(r.Route, ".")), Clean(r.Route), Clean(r.Matches), to)
		if len(r.Mute) > 0 {
			b.WriteString("; muted in " + names(r.Mute, 0))
		}
		if r.Continue {
			b.WriteString("; and on")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Routed is where one notice goes, and which routes say so.
func Routed(d route.Decision, s Style) string {
	var b strings.Builder
	if len(d.Channels) == 0 {
		b.WriteString(s.show(sign{"✗", "x", "reaches nobody", toneBad}) + "\n")
	} else {
		b.WriteString(s.show(sign{"✓", "+", "reaches", toneGood}) + " " + names(d.Channels, 0) + "\n")
	}
	for _, step := range d.Steps {
		where := Clean(step.Why)
		if step.Route != "" {
			where = Clean(step.Route) + ", " + where
		}
		fmt.Fprintf(&b, "  %s: %s", where, names(step.Channels, 0))
		if step.Muted != "" {
			b.WriteString(", muted in " + Clean(step.Muted))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
