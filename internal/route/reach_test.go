package route

import (
	"testing"

	"github.com/backout-io/backout"
)

// TestReachesAsksTheRoutes: a channel is reached by what routes do with notices, not by
// what audiences list.
func TestReachesAsksTheRoutes(t *testing.T) {
	everything := Route{Channels: []string{"mail"}}
	for name, tc := range map[string]struct {
		routes []Route
		want   bool
	}{
		"no routes":                        {want: true},
		"every notice goes elsewhere":      {routes: []Route{everything}},
		"elsewhere, and further":           {routes: []Route{{Channels: []string{"mail"}, Continue: true}}, want: true},
		"elsewhere with a label":           {routes: []Route{{Labels: map[string]string{"team": "web"}, Channels: []string{"mail"}}}, want: true},
		"only with a label":                {routes: []Route{{Labels: map[string]string{"team": "web"}}, everything}, want: true},
		"only with labels that exclude":    {routes: []Route{{Labels: map[string]string{"team": "web"}, Channels: []string{"mail"}, Routes: []Route{{Labels: map[string]string{"team": "db"}, Channels: []string{"desk"}}}}, everything}},
		"only from a level":                {routes: []Route{{From: 3, Channels: []string{"desk"}}, everything}, want: true},
		"only one moment":                  {routes: []Route{{Moments: []backout.Moment{backout.MomentRed}, Channels: []string{"desk"}}, everything}, want: true},
		"only in an interval":              {routes: []Route{{During: []string{"nights"}, Channels: []string{"desk"}}, everything}, want: true},
		"never: muted whenever it matches": {routes: []Route{{During: []string{"nights"}, Mute: []string{"nights"}, Moments: []backout.Moment{backout.MomentRed}, Channels: []string{"desk"}}, everything}},
		"another audience's route":         {routes: []Route{{Audiences: []string{"others"}, Channels: []string{"desk"}}, everything}},
	} {
		table := Table{Audiences: map[string][]string{"record": {"desk"}}, Intervals: map[string]Interval{"nights": mustInterval(t, Spell{Times: []Clock{{"22:00", "06:00"}}})}, Routes: tc.routes}
		if got := table.Reaches("desk"); got != tc.want {
			t.Errorf("%s: reached %v", name, got)
		}
	}
}
