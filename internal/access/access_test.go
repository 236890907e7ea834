package access

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// matrix repeats who may do what, so that a slip in the table shows.
var matrix = map[Action]string{
	ActionRead:       "viewer operator approver author admin",
	ActionLook:       "operator approver author",
	ActionStop:       "operator approver author admin",
	ActionGoOn:       "operator approver",
	ActionApprove:    "approver",
	ActionBreakGlass: "approver",
	ActionChange:     "author",
	ActionRule:       "approver author",
	ActionAdmin:      "admin",
}

func TestEachRoleMayWhatItMay(t *testing.T) {
	if len(matrix) != len(allowed) {
		t.Fatalf("%d actions are known, the matrix has %d", len(allowed), len(matrix))
	}
	for action, roles := range matrix {
		for _, role := range append(backout.Roles(), "root", "") {
			err := Authorize([]backout.Grant{{Role: role, Everywhere: true}}, action, nil)
			want := slices.Contains(strings.Fields(roles), string(role))
			if (err == nil) != want {
				t.Errorf("%s as %q: %v, want allowed %v", action, role, err, want)
			}
			if err != nil && !errors.Is(err, backout.ErrForbidden) {
				t.Errorf("%s as %q: %v is not ErrForbidden", action, role, err)
			}
		}
	}
}

func TestWhatNobodyGrantedIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		grants []backout.Grant
		action Action
		where  map[string]string
	}{
		"no grants":             {nil, ActionRead, nil},
		"a grant of no place":   {[]backout.Grant{{Role: backout.RoleApprover}}, ActionApprove, map[string]string{"team": "web"}},
		"an action not known":   {[]backout.Grant{{Role: backout.RoleAdmin, Everywhere: true}}, "format", nil},
		"no action":             {[]backout.Grant{{Role: backout.RoleAdmin, Everywhere: true}}, "", nil},
		"another value":         {[]backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"team": "web"}}}, ActionApprove, map[string]string{"team": "db"}},
		"a label is missing":    {[]backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"team": "web", "env": "prod"}}}, ActionApprove, map[string]string{"team": "web"}},
		"an empty value":        {[]backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"team": ""}}}, ActionApprove, map[string]string{"env": "prod"}},
		"the server as a whole": {[]backout.Grant{{Role: backout.RoleAdmin, Labels: map[string]string{"team": "web"}}}, ActionAdmin, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Authorize(tt.grants, tt.action, tt.where); !errors.Is(err, backout.ErrForbidden) {
				t.Errorf("got %v, want ErrForbidden", err)
			}
		})
	}
	grants := []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}, {Role: backout.RoleApprover, Labels: map[string]string{"team": "web"}}}
	if err := Authorize(grants, ActionApprove, map[string]string{"team": "web", "env": "prod"}); err != nil {
		t.Errorf("a grant that fits: %v", err)
	}
}

func TestOverSeveralPlaces(t *testing.T) {
	web, db := map[string]string{"team": "web"}, map[string]string{"team": "db"}
	grants := []backout.Grant{{Role: backout.RoleApprover, Labels: web}}
	for name, tt := range map[string]struct {
		action Action
		places []map[string]string
		ok     bool
	}{
		"all of them":          {ActionApprove, []map[string]string{web, web}, true},
		"all but the last":     {ActionApprove, []map[string]string{web, db}, false},
		"all but the first":    {ActionApprove, []map[string]string{db, web}, false},
		"one that is gone":     {ActionApprove, []map[string]string{web, nil}, false},
		"none":                 {ActionApprove, nil, false},
		"to stop, one of them": {ActionStop, []map[string]string{db, web, db}, true},
		"to read, one of them": {ActionRead, []map[string]string{web, db}, true},
		"to stop, none":        {ActionStop, []map[string]string{db, nil}, false},
	} {
		if err := Over(grants, tt.action, tt.places); (err == nil) != tt.ok || err != nil && !errors.Is(err, backout.ErrForbidden) {
			t.Errorf("%s: %v, want ok %v", name, err, tt.ok)
		}
	}
	if err := Over([]backout.Grant{{Role: backout.RoleApprover, Everywhere: true}}, ActionApprove, []map[string]string{web, nil}); err != nil {
		t.Errorf("everywhere: %v", err)
	}
}
