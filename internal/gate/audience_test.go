package gate

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestNobodyToldIsANo: a held rollback must have told somebody, so a plan whose
// notices reach no channel opens no window.
func TestNobodyToldIsANo(t *testing.T) {
	channels := map[string][]string{"ops": {"slack"}, "empty": nil}
	plan := func(audience ...string) *backout.Plan {
		return &backout.Plan{Audience: audience, Levels: []backout.Level{{Name: "L1"}}}
	}
	for name, c := range map[string]struct {
		plan         *backout.Plan
		stakeholders []string
		audiences    map[string][]string
		want         string
	}{
		"told":                {plan("ops"), []string{"ops"}, channels, ""},
		"no audience":         {plan(), nil, channels, "tells nobody"},
		"unknown":             {plan("opps"), nil, channels, `"opps" has no channel`},
		"without channel":     {plan("empty"), nil, channels, `"empty" has no channel`},
		"unknown stakeholder": {plan("ops"), []string{"board"}, channels, `"board" has no channel`},
		"not looked at":       {plan(), nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var v verdict
			v.checkAudiences(Facts{Plan: c.plan, Change: backout.Change{ChangeSpec: backout.ChangeSpec{Stakeholders: c.stakeholders}}, Audiences: c.audiences})
			switch {
			case c.want == "" && len(v.violations) > 0:
				t.Errorf("got %v", v.violations)
			case c.want != "" && (len(v.violations) != 1 || !strings.Contains(v.violations[0].Reason, c.want)):
				t.Errorf("got %v, want %q", v.violations, c.want)
			}
		})
	}
}
