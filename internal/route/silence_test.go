package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// said writes silences shortly: route, audience, need, interval, always.
func said(found []Silence) []string {
	out := []string{}
	for _, s := range found {
		need, when := "any", "at times"
		if s.Moment.NeedsPerson() {
			need = "person"
		}
		if s.Always {
			when = "always"
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %s", placeName(s.Route), s.Audience, need, s.Interval, when))
	}
	slices.Sort(out)
	return out
}

func TestSilenceIsFoundBeforeItHappens(t *testing.T) {
	quiet := []backout.Moment{backout.MomentLevelStarted, backout.MomentRecovered}
	for name, tc := range map[string]struct {
		routes []Route
		want   []string
	}{
		"no routes":                            {},
		"nothing is muted":                     {routes: []Route{{Audiences: []string{"ops"}, Channels: []string{"a"}, During: []string{"days"}}}},
		"a moment that needs a person":         {routes: []Route{{Audiences: []string{"ops"}, Mute: []string{"nights"}}}, want: []string{"routes[0] ops person nights at times"}},
		"for every audience, one is said":      {routes: []Route{{Mute: []string{"nights"}}}, want: []string{"routes[0] boss person nights at times"}},
		"moments that need nobody":             {routes: []Route{{Moments: quiet, Mute: []string{"nights"}}}},
		"moments that need nobody, always":     {routes: []Route{{Moments: quiet, Mute: []string{"nights", "days"}}}, want: []string{"routes[0] boss any nights always"}},
		"another channel takes it":             {routes: []Route{{Audiences: []string{"ops"}, Mute: []string{"nights"}, Continue: true}}},
		"another channel that is muted too":    {routes: []Route{{Audiences: []string{"ops"}, Mute: []string{"nights"}, Continue: true}, {Channels: []string{"b"}, Mute: []string{"nights"}}}, want: []string{"routes[0] ops person nights at times", "routes[1] boss person nights at times"}},
		"two that take turns":                  {routes: []Route{{Mute: []string{"nights"}, Continue: true}, {Mute: []string{"days"}}}},
		"an earlier one takes it by night":     {routes: []Route{{During: []string{"nights"}, Channels: []string{"pager"}}, {Mute: []string{"nights"}}}},
		"an earlier one of some takes it":      {routes: []Route{{During: []string{"nights"}, Audiences: []string{"boss"}, Channels: []string{"pager"}}, {Mute: []string{"nights"}}}, want: []string{"routes[1] ops person nights at times"}},
		"some labels only":                     {routes: []Route{{Labels: map[string]string{"env": "test"}, Mute: []string{"nights"}}}, want: []string{"routes[0] boss person nights at times"}},
		"labels that no change has":            {routes: []Route{{Labels: map[string]string{"env": "test"}, Routes: []Route{{Labels: map[string]string{"env": "live"}, Mute: []string{"nights"}}}}}},
		"a deeper one":                         {routes: []Route{{Audiences: []string{"ops"}, Routes: []Route{{From: 2, Mute: []string{"nights"}}}}}, want: []string{"routes[0].routes[0] ops person nights at times"}},
		"monitoring has no levels":             {routes: []Route{{Moments: []backout.Moment{backout.MomentMonitoringBlind}, From: 1, Mute: []string{"nights"}}}},
		"a level that an earlier route covers": {routes: []Route{{From: 2, Channels: []string{"a"}}, {From: 1, Mute: []string{"nights"}, Moments: []backout.Moment{backout.MomentHeld}}}, want: []string{"routes[1] boss person nights at times"}},
		"levels that an earlier route covers":  {routes: []Route{{From: 1, Channels: []string{"a"}}, {From: 2, Mute: []string{"nights"}}}},
	} {
		if tc.want == nil {
			tc.want = []string{}
		}
		if got := said(table(t, tc.routes...).Silences()); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tc.want)
		}
	}
}

func TestSilenceSaysWhen(t *testing.T) {
	tb := table(t, Route{Audiences: []string{"ops"}, Mute: []string{"friday"}})
	tb.Intervals["friday"] = mustInterval(t, Spell{Times: []Clock{{"22:00", "06:00"}}, Weekdays: []string{"friday"}, DaysOfMonth: []string{"13"}, Location: "Europe/Berlin"})
	found := tb.Silences()
	if len(found) != 1 || !tb.Intervals["friday"].Contains(found[0].At) || found[0].At.Weekday() != time.Friday || found[0].At.Day() != 13 {
		t.Errorf("found %+v", found)
	}
}

func TestIntervalThatIsNeverOn(t *testing.T) {
	tb := table(t)
	tb.Intervals["leap"] = mustInterval(t, Spell{Months: []string{"february"}, DaysOfMonth: []string{"29"}, Weekdays: []string{"sunday"}})
	tb.Intervals["never"] = mustInterval(t, Spell{Months: []string{"february"}, DaysOfMonth: []string{"30"}})
	tb.Intervals["empty"] = Interval{}
	tb.Intervals["past"] = mustInterval(t, Spell{Years: []string{"1999"}})
	if got := tb.Never(); !slices.Equal(got, []string{"empty", "never"}) {
		t.Errorf("never on: %v", got)
	}
}

// TestNothingIsSilentThatTheCheckLetPass: trees, notices and times by chance.
func TestNothingIsSilentThatTheCheckLetPass(t *testing.T) {
	base := table(t)
	base.Intervals["friday"] = mustInterval(t, Spell{Times: []Clock{{"20:00", "08:00"}}, Weekdays: []string{"friday"}})
	rapid.Check(t, func(rt *rapid.T) {
		tb := &Table{Audiences: base.Audiences, Intervals: base.Intervals, Routes: drawRoutes(rt, 2)}
		refused := len(tb.Silences()) > 0
		for range 20 {
			n := backout.Notice{
				Moment:   rapid.SampledFrom(backout.Moments()).Draw(rt, "moment"),
				Audience: rapid.SampledFrom([]string{"ops", "boss"}).Draw(rt, "audience"),
			}
			if !aboutNoChange(n.Moment) {
				n.Level = rapid.SampledFrom([]string{"", "L1", "L2", "L3"}).Draw(rt, "level")
				n.Labels = drawLabels(rt)
			}
			when := noon.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(rt, "minutes")) * time.Minute)
			d := tb.Decide(n, when)
			fell := slices.ContainsFunc(d.Steps, func(s Step) bool { return strings.HasPrefix(s.Why, "a person is needed") })
			if fell && !refused {
				rt.Fatalf("the check let pass what silences %+v at %s: %+v\n%+v", n, when, tb.Routes, d)
			}
			if len(d.Channels) == 0 && n.Moment.NeedsPerson() {
				rt.Fatalf("%+v reaches nobody: %+v", n, d)
			}
			for _, channel := range d.Channels {
				if !fell && !tb.Reaches(channel) {
					rt.Fatalf("%s is reached by %+v at %s, which Reaches denies: %+v", channel, n, when, tb.Routes)
				}
			}
		}
	})
}

func drawLabels(rt *rapid.T) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"team", "env"} {
		if value := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, name); value != "" {
			out[name] = value
		}
	}
	return out
}

func drawRoutes(rt *rapid.T, depth int) []Route {
	some := func(what string, of ...string) []string {
		if rapid.IntRange(0, 2).Draw(rt, "with "+what) > 0 {
			return nil
		}
		return []string{rapid.SampledFrom(of).Draw(rt, what)}
	}
	out := make([]Route, rapid.IntRange(0, 3).Draw(rt, "routes"))
	for i := range out {
		out[i] = Route{
			Audiences: some("audience", "ops", "boss"), Channels: some("channel", "a", "b", "c"),
			During: some("during", "days", "nights", "friday"), Mute: some("mute", "days", "nights", "friday"),
			From: rapid.IntRange(0, 2).Draw(rt, "from"), Continue: rapid.Bool().Draw(rt, "continue"),
		}
		if rapid.IntRange(0, 2).Draw(rt, "with labels") == 0 {
			out[i].Labels = drawLabels(rt)
		}
		if rapid.IntRange(0, 3).Draw(rt, "with moments") == 0 {
			out[i].Moments = []backout.Moment{rapid.SampledFrom(backout.Moments()).Draw(rt, "moment")}
		}
		if depth > 0 {
			out[i].Routes = drawRoutes(rt, depth-1)
		}
	}
	return out
}
