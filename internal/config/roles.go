package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/strictyaml"
)

// RoleGrant gives people a role in a place.
type RoleGrant struct {
	Role   backout.Role `yaml:"role" required:"true" enum:"viewer,operator,approver,author,admin" doc:"What may be done: viewer, operator, approver, author or admin."`
	Groups []string     `yaml:"groups" doc:"Groups whose members have it. With users, at least one; empty means nobody."`
	Users  []string     `yaml:"users" doc:"Single people who have it."`
	Where  Where        `yaml:"where" required:"true" doc:"everywhere, or labels that a target must have, all of them."`
}

// Where is the place of a grant; its zero value is nowhere.
type Where struct {
	Everywhere bool
	Labels     map[string]string
}

// everywhere is the word for all targets and the server itself.
const everywhere = "everywhere"

// UnmarshalYAML reads the word or the labels.
func (w *Where) UnmarshalYAML(decode func(any) error) error {
	var s strictyaml.Section
	if err := decode(&s); err != nil {
		return err
	}
	if word, ok := s.Scalar(); ok {
		if word != everywhere {
			return backout.Problems{s.Pos().Problem(fmt.Sprintf("where: %q is no place", word), "write everywhere, or labels such as {team: web}")}
		}
		w.Everywhere = true
		return nil
	}
	if err := s.Decode(&w.Labels); err != nil {
		return err
	}
	if len(w.Labels) == 0 {
		return backout.Problems{s.Pos().Problem("where: no label means nowhere", "write everywhere, or labels such as {team: web}")}
	}
	return nil
}

func whereSchema(*strictyaml.Generator) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"const": everywhere},
		map[string]any{"type": "object", "minProperties": 1, "additionalProperties": map[string]any{"type": []any{"string", "number", "boolean"}}},
	}}
}

// grant is what the entry gives each of its people.
func (r *RoleGrant) grant() backout.Grant {
	return backout.Grant{Role: r.Role, Everywhere: r.Where.Everywhere, Labels: maps.Clone(r.Where.Labels)}
}

// GrantsFor lists what auth.roles gives to somebody of this name who is in these
// groups. It gives nothing to a name that it does not know, and nothing at all
// without auth.roles.
func (s *Settings) GrantsFor(name string, groups []string) []backout.Grant {
	var out []backout.Grant
	for i := range s.Auth.Roles {
		r := &s.Auth.Roles[i]
		if name != "" && slices.Contains(r.Users, name) || slices.ContainsFunc(groups, func(g string) bool { return g != "" && slices.Contains(r.Groups, g) }) {
			out = append(out, r.grant())
		}
	}
	return out
}

// HolderGrants lists what the holder of a token of auth.tokens, or a local user, may
// do. Without auth.roles that is everything for a token: that is what it could do before
// there were roles.
func (s *Settings) HolderGrants(name string) []backout.Grant {
	holds := slices.ContainsFunc(s.Auth.Tokens, func(t Token) bool { return t.Name == name })
	user := slices.ContainsFunc(s.Auth.Users, func(u LocalUser) bool { return u.Name == name })
	switch {
	case !holds && !user:
		return nil
	case user || len(s.Auth.Roles) > 0:
		return s.GrantsFor(name, s.GroupsOf(name))
	}
	return []backout.Grant{
		{Role: backout.RoleOperator, Everywhere: true},
		{Role: backout.RoleApprover, Everywhere: true},
		{Role: backout.RoleAuthor, Everywhere: true},
		{Role: backout.RoleAdmin, Everywhere: true},
	}
}

// roles checks auth.roles, and says what it leaves open or shut.
func (l *loader) roles() {
	if len(l.cfg.Auth.Roles) == 0 {
		if l.clean && l.root.Has("auth", "roles") {
			l.add(l.keyAt("auth", "roles").Problem("auth.roles has no entry: it would give nobody anything", "give somebody a role, or remove the key"))
		} else if l.clean && l.cfg.Auth.SignIn() {
			l.add(l.keyAt("auth").Problem("people sign in (auth.oidc, auth.users) and there is no auth.roles: they could do nothing", "give roles: see docs/access.md"))
		} else if len(l.cfg.Auth.Tokens) > 0 {
			l.add(l.keyAt("auth").Warning("no auth.roles: everybody in auth.tokens may do everything, approve and administer included", "give roles: see docs/access.md"))
		}
		return
	}
	if l.clean && len(l.cfg.Auth.Tokens) == 0 && !l.cfg.Auth.SignIn() {
		l.add(l.keyAt("auth", "roles").Problem("auth.roles without auth.tokens: nobody has to say who they are, so roles hold for nobody and this machine may do everything", "add auth.tokens, or let people sign in (auth.oidc, auth.users)"))
		return
	}
	for i := range l.cfg.Auth.Roles {
		l.role(i, &l.cfg.Auth.Roles[i])
	}
	if l.clean {
		l.leftOut()
	}
}

func (l *loader) role(i int, r *RoleGrant) {
	at := l.at("auth", "roles", i)
	if len(r.Groups) == 0 && len(r.Users) == 0 {
		l.add(at.Problem(fmt.Sprintf("nobody has the role %s: it names no group and no user", r.Role), "add groups or users, at least one name"))
	}
	for j, g := range r.Groups {
		at := l.at("auth", "roles", i, "groups", j)
		if l.name("a group", g, userName, userNameFix, at) && l.clean && !l.cfg.Auth.OIDC.On() && len(l.cfg.Members(g)) == 0 {
			l.add(at.Warning(fmt.Sprintf("the group %q has no member in this file", g), strictyaml.DidYouMean(g, l.cfg.groupNames(), "add one to groups or auth.tokens")))
		}
	}
	users := l.cfg.holders()
	for _, u := range l.cfg.Auth.Users {
		users = append(users, u.Name)
	}
	for j, u := range r.Users {
		at := l.at("auth", "roles", i, "users", j)
		if l.name("a user", u, userName, userNameFix, at) && l.clean && !l.cfg.Auth.OIDC.On() && !slices.Contains(users, u) {
			l.add(at.Warning(fmt.Sprintf("the user %q has no token in auth.tokens", u), strictyaml.DidYouMean(u, users, "add one, or remove the user")))
		}
	}
}

// leftOut warns of people who may do nothing, and of what nobody may do.
func (l *loader) leftOut() {
	admin := false
	for i, t := range l.cfg.Auth.Tokens {
		grants := l.cfg.HolderGrants(t.Name)
		if len(grants) == 0 {
			l.add(l.at("auth", "tokens", i, "name").Warning(fmt.Sprintf("%s has a token and no role, and may do nothing", t.Name), "give a role in auth.roles, or take the token away"))
		}
		admin = admin || access.Somewhere(grants, access.ActionAdmin) == nil
	}
	for i, u := range l.cfg.Auth.Users {
		if len(l.cfg.HolderGrants(u.Name)) == 0 {
			l.add(l.at("auth", "users", i, "name").Warning(fmt.Sprintf("%s can sign in, has no role, and may do nothing", u.Name), "give a role in auth.roles, or take the user away"))
		}
	}
	admin = admin || slices.ContainsFunc(l.cfg.Auth.Roles, func(r RoleGrant) bool { return r.Role == backout.RoleAdmin })
	if !admin {
		l.add(l.keyAt("auth", "roles").Warning("nobody has the role admin: reload, backup and the end of other people's tokens are refused to all", "give it to somebody who does not approve"))
	}
}

// holders are those who have a token in auth.tokens.
func (s *Settings) holders() []string {
	out := make([]string, len(s.Auth.Tokens))
	for i, t := range s.Auth.Tokens {
		out[i] = t.Name
	}
	return out
}
