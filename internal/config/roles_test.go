package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func TestGrantsFor(t *testing.T) {
	web := map[string]string{"team": "web"}
	s := Settings{
		Auth: Auth{
			Tokens: []Token{{Name: "alice", Groups: []string{"sre"}}, {Name: "bob"}, {Name: "eve"}},
			Roles: []RoleGrant{
				{Role: backout.RoleOperator, Groups: []string{"sre"}, Where: Where{Everywhere: true}},
				{Role: backout.RoleApprover, Groups: []string{"dba"}, Users: []string{"alice"}, Where: Where{Labels: web}},
				{Role: backout.RoleAdmin, Groups: []string{""}, Users: []string{""}, Where: Where{Everywhere: true}},
			},
		},
		Groups: map[string][]string{"dba": {"bob"}},
	}
	operator := backout.Grant{Role: backout.RoleOperator, Everywhere: true}
	approver := backout.Grant{Role: backout.RoleApprover, Labels: web}
	for name, tt := range map[string]struct{ got, want []backout.Grant }{
		"by group and by name":            {s.GrantsFor("alice", []string{"sre"}), []backout.Grant{operator, approver}},
		"groups count as they are said":   {s.GrantsFor("alice", nil), []backout.Grant{approver}},
		"groups of a provider":            {s.GrantsFor("zoe", []string{"x", "dba"}), []backout.Grant{approver}},
		"nobody's name":                   {s.GrantsFor("", []string{""}), nil},
		"somebody without a role":         {s.GrantsFor("eve", nil), nil},
		"a holder":                        {s.HolderGrants("alice"), []backout.Grant{operator, approver}},
		"a holder in the groups section":  {s.HolderGrants("bob"), []backout.Grant{approver}},
		"a holder without a role":         {s.HolderGrants("eve"), nil},
		"somebody who holds no token":     {s.HolderGrants("zoe"), nil},
		"a stranger, without any role":    {(&Settings{Auth: Auth{Tokens: s.Auth.Tokens}}).HolderGrants("zoe"), nil},
		"nobody, without tokens or roles": {(&Settings{}).HolderGrants(""), nil},
		"a provider's, without any role":  {(&Settings{Auth: Auth{Tokens: s.Auth.Tokens}}).GrantsFor("alice", []string{"sre"}), nil},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := s.GrantsFor("alice", nil)
	got[0].Labels["team"] = "db"
	if web["team"] != "web" {
		t.Error("whoever has a grant can change the config")
	}
}

// TestWithoutRolesHoldersKeepWhatTheyCouldDo: an upgrade takes nothing away. It gives
// every role that acts, everywhere, and docs/access.md says so.
func TestWithoutRolesHoldersKeepWhatTheyCouldDo(t *testing.T) {
	s := Settings{Auth: Auth{Tokens: []Token{{Name: "alice"}}}}
	var roles []backout.Role
	for _, g := range s.HolderGrants("alice") {
		if !g.Everywhere {
			t.Errorf("%s is not everywhere", g.Role)
		}
		roles = append(roles, g.Role)
	}
	if diff := cmp.Diff([]backout.Role{"operator", "approver", "author", "admin"}, roles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
