package access

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func TestSomewhereTakesARoleWithAPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		grants []backout.Grant
		action Action
		ok     bool
	}{
		"nobody":            {nil, ActionRead, false},
		"no place":          {[]backout.Grant{{Role: backout.RoleViewer}}, ActionRead, false},
		"by labels":         {[]backout.Grant{{Role: backout.RoleViewer, Labels: map[string]string{"team": "web"}}}, ActionRead, true},
		"everywhere":        {[]backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}, ActionRead, true},
		"another role":      {[]backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}, ActionStop, false},
		"an unknown role":   {[]backout.Grant{{Role: "root", Everywhere: true}}, ActionRead, false},
		"an unknown action": {[]backout.Grant{{Role: backout.RoleAdmin, Everywhere: true}}, "format", false},
	} {
		if err := Somewhere(tt.grants, tt.action); (err == nil) != tt.ok || err != nil && !errors.Is(err, backout.ErrForbidden) {
			t.Errorf("%s: %v, want ok %v", name, err, tt.ok)
		}
	}
}

func TestWithin(t *testing.T) {
	grant := func(role backout.Role, labels ...string) backout.Grant {
		g := backout.Grant{Role: role, Everywhere: len(labels) == 0}
		for i := 0; i+1 < len(labels); i += 2 {
			if g.Labels == nil {
				g.Labels = map[string]string{}
			}
			g.Labels[labels[i]] = labels[i+1]
		}
		return g
	}
	for name, tt := range map[string]struct{ grants, limit, want []backout.Grant }{
		"more than there is":    {[]backout.Grant{grant("author")}, []backout.Grant{grant("author", "team", "web")}, []backout.Grant{grant("author", "team", "web")}},
		"less than there is":    {[]backout.Grant{grant("author", "team", "web")}, []backout.Grant{grant("author")}, []backout.Grant{grant("author", "team", "web")}},
		"both want something":   {[]backout.Grant{grant("author", "team", "web")}, []backout.Grant{grant("author", "env", "prod")}, []backout.Grant{grant("author", "team", "web", "env", "prod")}},
		"they contradict":       {[]backout.Grant{grant("author", "team", "web")}, []backout.Grant{grant("author", "team", "db")}, nil},
		"another role":          {[]backout.Grant{grant("approver")}, []backout.Grant{grant("author")}, nil},
		"a grant of no place":   {[]backout.Grant{{Role: "author"}}, []backout.Grant{grant("author")}, nil},
		"a limit of no place":   {[]backout.Grant{grant("author")}, []backout.Grant{{Role: "author"}}, nil},
		"nothing may be lent":   {[]backout.Grant{grant("author")}, nil, nil},
		"nothing is asked":      {nil, []backout.Grant{grant("author")}, nil},
		"in two places of many": {[]backout.Grant{grant("author")}, []backout.Grant{grant("author", "team", "a"), grant("author", "team", "b")}, []backout.Grant{grant("author", "team", "a"), grant("author", "team", "b")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Within(tt.grants, tt.limit)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWithinAllowsWhatBothAllow holds for any grants and any place: what is lent is
// never more than either side has, and never less than both.
func TestWithinAllowsWhatBothAllow(t *testing.T) {
	labels := rapid.MapOfN(rapid.SampledFrom([]string{"team", "env"}), rapid.SampledFrom([]string{"a", "b"}), 0, 2)
	grant := rapid.Custom(func(t *rapid.T) backout.Grant {
		return backout.Grant{Role: rapid.SampledFrom(backout.Roles()).Draw(t, "role"), Everywhere: rapid.Bool().Draw(t, "everywhere"), Labels: labels.Draw(t, "labels")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(grant, 1, 1).Draw(t, "grants")
		limit := rapid.SliceOfN(grant, 0, 3).Draw(t, "limit")
		where := labels.Draw(t, "where")
		for action := range allowed {
			lent := Authorize(Within(a, limit), action, where) == nil
			same := Authorize(a, action, where) == nil
			both := false
			for _, l := range limit {
				both = both || same && l.Role == a[0].Role && l.Covers(where)
			}
			if lent != both {
				t.Fatalf("%s where %v: lent %v, want %v", action, where, lent, both)
			}
		}
	})
}
