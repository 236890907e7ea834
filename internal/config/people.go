package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// people checks tokens and groups.
func (l *loader) people() {
	users := map[string]bool{}
	for i, t := range l.cfg.Auth.Tokens {
		at := l.at("auth", "tokens", i, "name")
		if t.Name != "" && l.name("a user", t.Name, userName, userNameFix, at) && users[t.Name] {
			l.add(at.Problem(fmt.Sprintf("the user %q has a token already", t.Name), "give each user one token"))
		}
		users[t.Name] = true
		for j, g := range t.Groups {
			l.name("a group", g, userName, userNameFix, l.at("auth", "tokens", i, "groups", j))
		}
	}
	senders := map[string]bool{}
	for i, t := range l.cfg.Intake.Tokens {
		at := l.at("intake", "tokens", i, "name")
		if t.Name != "" && l.name("a sender", t.Name, userName, userNameFix, at) && senders[t.Name] {
			l.add(at.Problem(fmt.Sprintf("the sender %q has a token already", t.Name), "give each sender one token"))
		}
		senders[t.Name] = true
	}
	l.login()
	for _, u := range l.cfg.Auth.Users {
		users[u.Name] = true
	}
	l.senders()
	l.bothTokens()
	l.roles()
	for _, group := range slices.Sorted(maps.Keys(l.cfg.Groups)) {
		l.name("a group", group, userName, userNameFix, l.keyAt("groups", group))
		for i, user := range l.cfg.Groups[group] {
			at := l.at("groups", group, i)
			if !l.name("a user", user, userName, userNameFix, at) || users[user] || l.cfg.Auth.OIDC.On() {
				continue
			}
			advice := strictyaml.DidYouMean(user, slices.Collect(maps.Keys(users)), "add one to auth.tokens, or remove the member")
			l.add(at.Warning(fmt.Sprintf("%q has no token in auth.tokens and cannot vote", user), advice))
		}
	}
}

// bothTokens refuses one kind of token without the other: with any token set the
// server lets nobody in without one.
func (l *loader) bothTokens() {
	users, senders := len(l.cfg.Auth.Tokens) > 0 || l.cfg.Auth.SignIn(), l.cfg.anySender()
	_, open := l.cfg.openTo() // its error names what is missing already
	switch {
	case !l.clean || open != nil || l.cfg.webUnknown():
	case users && !senders:
		what := "auth.tokens"
		if len(l.cfg.Auth.Tokens) == 0 {
			what = "auth.oidc or auth.users"
		}
		l.add(l.keyAt("auth").Problem(what+" without intake.tokens: every alert would be refused", "add intake.tokens with the token that Alertmanager sends"))
	case senders && !users && len(l.cfg.Intake.Tokens) == 0:
		l.add(l.keyAt().Problem("senders of alerts without auth.tokens: nobody could use the API", "add auth.tokens with a token for each user, or auth.oidc"))
	case senders && !users:
		l.add(l.keyAt("intake").Problem("intake.tokens without auth.tokens: nobody could use the API", "add auth.tokens with a token for each user, or auth.oidc"))
	}
}

// minToken is the shortest token that the server takes, in bytes.
const minToken = 16

// tokens refuses tokens that can be guessed, two users with one token (whose
// vote would it be?), and a sender of alerts with a user's.
func (l *loader) tokens() backout.Problems {
	var out backout.Problems
	holders := map[string]string{}
	check := func(key string, i int, name, value string) {
		at := l.at(key, "tokens", i, "token")
		if len(value) < minToken {
			out = append(out, at.Problem(fmt.Sprintf("the token of %s is shorter than %d characters", name, minToken), "make one with: openssl rand -hex 24"))
		} else if other, taken := holders[value]; taken {
			out = append(out, at.Problem(fmt.Sprintf("%s and %s have the same token", other, name), "give each their own"))
		}
		holders[value] = name
	}
	for i, t := range l.cfg.Auth.Tokens {
		check("auth", i, t.Name, t.Token.Reveal())
	}
	for i, t := range l.cfg.Intake.Tokens {
		check("intake", i, t.Name, t.Token.Reveal())
	}
	return append(out, l.signers(holders)...)
}

// channels decodes every channel by its kind, and checks the audiences.
func (l *loader) channels() {
	for _, name := range slices.Sorted(maps.Keys(l.file.Channels)) {
		l.name("a channel", name, plainName, plainNameFix, l.keyAt("channels", name))
		l.channel(name, l.file.Channels[name])
	}
	for _, name := range slices.Sorted(maps.Keys(l.cfg.Audiences)) {
		l.name("an audience", name, plainName, plainNameFix, l.keyAt("audiences", name))
		if l.clean && len(l.cfg.Audiences[name]) == 0 {
			l.add(l.keyAt("audiences", name).Problem(fmt.Sprintf("nobody would be told: the audience %q has no channel", name), "name at least one of channels"))
		}
		for i, channel := range l.cfg.Audiences[name] {
			if _, ok := l.file.Channels[channel]; !ok && l.names("channels") {
				l.add(l.at("audiences", name, i).Problem(fmt.Sprintf("no channel %q", channel),
					strictyaml.DidYouMean(channel, slices.Collect(maps.Keys(l.file.Channels)), "")))
			}
		}
	}
}

func (l *loader) channel(name string, s strictyaml.Section) {
	at := l.keyAt("channels", name)
	kindName, typeAt := "", at
	for _, e := range s.Entries() {
		if e.Key.Value == "type" {
			kindName, _ = e.Value.Scalar()
			typeAt = e.Value.Pos()
		}
	}
	var known []string
	if l.kinds.Notifiers != nil {
		known = l.kinds.Notifiers.Names()
	}
	if kindName == "" {
		l.add(typeAt.Problem(fmt.Sprintf("the channel %q has no type", name), "add type: one of "+quoteAll(known)))
		return
	}
	if !slices.Contains(known, kindName) {
		l.add(typeAt.Problem(fmt.Sprintf("no channel type %q", kindName), strictyaml.DidYouMean(kindName, known, "")))
		return
	}
	kind, _ := l.kinds.Notifiers.Lookup(kindName)
	section, ok := l.section(kind.Decode, s.Without("type"), at)
	if ok {
		l.cfg.Channels[name] = Channel{Name: name, Type: kindName, Section: section}
	}
}

// section decodes a plug-in's section. What the kind itself finds wrong with it
// is placed at the key that its message begins with, if it does.
func (l *loader) section(decode func(func(any) error) (rawJSON, error), s strictyaml.Section, at strictyaml.Pos) (rawJSON, bool) {
	raw, err := decode(s.Decode)
	if err == nil {
		return raw, true
	}
	var problems backout.Problems
	if errors.As(err, &problems) {
		l.add(problems...)
		return nil, false
	}
	if !s.IsZero() {
		at = s.Pos()
	}
	for _, e := range s.Entries() {
		if key := e.Key.Value; len(err.Error()) > len(key) && err.Error()[:len(key)] == key && !isWord(err.Error()[len(key)]) {
			at = e.Value.Pos()
		}
	}
	l.add(at.Problem(err.Error(), ""))
	return nil, false
}

func isWord(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// crossChecks checks what ties files together. With a mistake in the config file
// itself they would only repeat it.
func (l *loader) crossChecks() {
	if !l.clean || !given(l.ssh) {
		return
	}
	var missing []string
	if l.cfg.SSH.User == "" {
		missing = append(missing, "ssh.user")
	}
	if l.cfg.SSH.Key.IsZero() {
		missing = append(missing, "ssh.key")
	}
	if l.cfg.SSH.KnownHosts == "" {
		missing = append(missing, "ssh.known_hosts")
	}
	if missing == nil {
		return
	}
	at := l.ssh
	if l.root.Has("ssh") {
		at = l.keyAt("ssh")
	}
	l.add(at.Problem(fmt.Sprintf("the target at %s:%d is reached by ssh, and %s has no %s", l.ssh.File, l.ssh.Line, l.cfg.Path, strings.Join(missing, ", no ")),
		"add it there, or give the target transport: local"))
}
