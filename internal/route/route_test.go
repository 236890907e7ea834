package route

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// noon is a Friday's.
var noon = time.Date(2026, 3, 13, 12, 0, 0, 0, time.UTC)

func table(t *testing.T, routes ...Route) *Table {
	t.Helper()
	return &Table{
		Audiences: map[string][]string{"ops": {"chat", "mail"}, "boss": {"mail"}},
		Intervals: map[string]Interval{
			"nights": mustInterval(t, Spell{Times: []Clock{{"22:00", "06:00"}}}),
			"days":   mustInterval(t, Spell{Times: []Clock{{"06:00", "22:00"}}}),
		},
		Routes: routes,
	}
}

func about(moment backout.Moment, audience, level string) backout.Notice {
	return backout.Notice{Moment: moment, Audience: audience, Level: level, Labels: map[string]string{"team": "web"}}
}

func TestWithoutRoutesAnAudienceHasItsOwnChannels(t *testing.T) {
	d := table(t).Decide(about(backout.MomentRed, "ops", "L1"), noon)
	want := Decision{Channels: []string{"chat", "mail"}, Steps: []Step{{Why: "no route takes it: the own channels of ops", Channels: []string{"chat", "mail"}}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if d := table(t).Decide(about(backout.MomentHeld, "nobody", "L1"), noon); d.Channels != nil || d.Steps != nil {
		t.Errorf("an unknown audience is told by %+v", d)
	}
}

func TestRoutesRefineAudiences(t *testing.T) {
	web := map[string]string{"team": "web"}
	for name, tc := range map[string]struct {
		routes []Route
		n      backout.Notice
		at     time.Time
		want   []string
	}{
		"the first that matches":          {routes: []Route{{Audiences: []string{"boss"}, Channels: []string{"a"}}, {Audiences: []string{"ops"}, Channels: []string{"b"}}, {Channels: []string{"c"}}}, want: []string{"b"}},
		"continue goes on":                {routes: []Route{{Channels: []string{"a"}, Continue: true}, {Channels: []string{"b"}}, {Channels: []string{"c"}}}, want: []string{"a", "b"}},
		"continue to the end":             {routes: []Route{{Channels: []string{"a"}, Continue: true}}, want: []string{"a", "chat", "mail"}},
		"a channel is told once":          {routes: []Route{{Channels: []string{"mail"}, Continue: true}}, want: []string{"mail", "chat"}},
		"none of them":                    {routes: []Route{{Audiences: []string{"boss"}, Channels: []string{"a"}}}, want: []string{"chat", "mail"}},
		"below the lower bound":           {routes: []Route{{From: 2, Channels: []string{"a"}}}, n: about(backout.MomentRed, "ops", "L1"), want: []string{"chat", "mail"}},
		"at the lower bound":              {routes: []Route{{From: 2, Channels: []string{"a"}}}, n: about(backout.MomentRed, "ops", "L2"), want: []string{"a"}},
		"above the upper bound":           {routes: []Route{{To: 2, Channels: []string{"a"}}}, n: about(backout.MomentRed, "ops", "L3"), want: []string{"chat", "mail"}},
		"about no level":                  {routes: []Route{{To: 9, Channels: []string{"a"}}}, n: about(backout.MomentWindowOpened, "ops", ""), want: []string{"chat", "mail"}},
		"the level that is asked for":     {routes: []Route{{From: 2, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentApproval, Audience: "ops", Level: "L1", NextLevel: "L2"}, want: []string{"a"}},
		"a running level's successor not": {routes: []Route{{From: 2, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentLevelStarted, Audience: "ops", Level: "L1", NextLevel: "L2"}, want: []string{"chat", "mail"}},
		"the level escalated to":          {routes: []Route{{From: 2, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentEscalated, Audience: "ops", Level: "L1", NextLevel: "L2"}, want: []string{"a"}},
		"the level escalated from":        {routes: []Route{{To: 1, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentEscalated, Audience: "ops", Level: "L1", NextLevel: "L2"}, want: []string{"a"}},
		"before the first level":          {routes: []Route{{To: 1, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentRed, Audience: "ops", NextLevel: "L1"}, want: []string{"a"}},
		"a moment":                        {routes: []Route{{Moments: []backout.Moment{backout.MomentRed}, Channels: []string{"a"}}}, want: []string{"a"}},
		"another moment":                  {routes: []Route{{Moments: []backout.Moment{backout.MomentHeld}, Channels: []string{"a"}}}, want: []string{"chat", "mail"}},
		"a label":                         {routes: []Route{{Labels: web, Channels: []string{"a"}}}, want: []string{"a"}},
		"a label that it lacks":           {routes: []Route{{Labels: web, Channels: []string{"a"}}}, n: backout.Notice{Moment: backout.MomentRed, Audience: "ops"}, want: []string{"chat", "mail"}},
		"an empty label is not a lack":    {routes: []Route{{Labels: map[string]string{"zone": ""}, Channels: []string{"a"}}}, want: []string{"chat", "mail"}},
		"by day":                          {routes: []Route{{During: []string{"nights"}, Channels: []string{"pager"}}, {During: []string{"days"}, Channels: []string{"a"}}}, want: []string{"a"}},
		"by night":                        {routes: []Route{{During: []string{"nights"}, Channels: []string{"pager"}}}, at: noon.Add(12 * time.Hour), want: []string{"pager"}},
		"muted by night":                  {routes: []Route{{Mute: []string{"nights"}}}, at: noon.Add(12 * time.Hour), want: nil},
		"not muted by day":                {routes: []Route{{Mute: []string{"nights"}}}, want: []string{"chat", "mail"}},
		"muted, and another takes it":     {routes: []Route{{Mute: []string{"nights"}, Channels: []string{"a"}, Continue: true}, {Channels: []string{"b"}}}, at: noon.Add(12 * time.Hour), want: []string{"b"}},
		"deeper goes first":               {routes: []Route{{Channels: []string{"a"}, Routes: []Route{{Labels: web, Channels: []string{"b"}}}}}, want: []string{"b"}},
		"no deeper one":                   {routes: []Route{{Channels: []string{"a"}, Routes: []Route{{From: 2, Channels: []string{"b"}}}}}, want: []string{"a"}},
		"deeper, and its parent":          {routes: []Route{{Channels: []string{"a"}, Routes: []Route{{Labels: web, Channels: []string{"b"}, Continue: true}}}}, want: []string{"b", "a"}},
		"channels of the route above":     {routes: []Route{{Channels: []string{"a"}, Routes: []Route{{Labels: web}}}}, want: []string{"a"}},
	} {
		if tc.n.Moment == "" {
			tc.n = about(backout.MomentRed, "ops", "L1")
		}
		if tc.at.IsZero() {
			tc.at = noon
		}
		if diff := cmp.Diff(tc.want, table(t, tc.routes...).Decide(tc.n, tc.at).Channels); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDecisionSaysWhy(t *testing.T) {
	d := table(t, Route{
		Audiences: []string{"ops"}, Mute: []string{"nights"}, Continue: true,
	}, Route{
		Audiences: []string{"ops"}, Channels: []string{"a"}, Routes: []Route{{
			From: 1, Labels: map[string]string{"team": "web"}, Moments: []backout.Moment{backout.MomentRed}, During: []string{"days", "nights"}, Channels: []string{"b"},
		}},
	}).Decide(about(backout.MomentRed, "ops", "L1"), noon.Add(12*time.Hour))
	want := Decision{Channels: []string{"b"}, Steps: []Step{
		{Route: "routes[0]", Why: "audience ops", Channels: []string{"chat", "mail"}, Muted: "nights"},
		{Route: "routes[1].routes[0]", Why: `moment red, level L1, label team="web", during nights`, Channels: []string{"b"}},
	}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

// TestMomentThatNeedsAPersonIsNeverSilenced: whatever the routes say, and though the
// check refuses such routes before.
func TestMomentThatNeedsAPersonIsNeverSilenced(t *testing.T) {
	needed := 0
	for _, moment := range backout.Moments() {
		d := table(t, Route{Mute: []string{"nights", "days"}}).Decide(about(moment, "ops", "L1"), noon)
		if got, want := len(d.Channels) > 0, moment.NeedsPerson(); got != want {
			t.Errorf("%s: told %v, want %v: %+v", moment, got, want, d)
		}
		if moment.NeedsPerson() {
			needed++
		}
	}
	if needed != 9 {
		t.Errorf("%d moments need a person, want 9", needed)
	}
}

func TestLevelNames(t *testing.T) {
	for name, want := range map[string]int{"L1": 1, "L9": 9, "L10": 0, "L0": 0, "L01": 0, "1": 0, "": 0, "l1": 0, "L-1": 0, "L+1": 0} {
		if got, ok := Level(name); ok != (want > 0) || ok && got != want {
			t.Errorf("%q: %d, %v", name, got, ok)
		}
	}
}
