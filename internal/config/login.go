package config

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/password"
)

// OIDC is an OpenID Connect provider where people sign in. Without an issuer nobody does.
type OIDC struct {
	Issuer       string         `yaml:"issuer" doc:"Address of the provider, exactly as it names itself. https, or http on a loopback name."`
	ClientID     string         `yaml:"client_id" doc:"What the provider knows this server by. Required with issuer."`
	ClientSecret backout.Secret `yaml:"client_secret" doc:"The client's secret, kept elsewhere. None for a public client; PKCE is used either way."`
	CLIClientID  string         `yaml:"cli_client_id" doc:"Public client with the device authorization grant, for backout login. Default: client_id when it has no secret, else nobody signs in from there at the provider."`
	Scopes       []string       `yaml:"scopes" doc:"Asked for; openid is always among them. Default openid, profile, email, groups."`
	NameClaim    string         `yaml:"name_claim" doc:"Claim with the person's name: one that they cannot change themselves. With email the provider must have verified it. Default preferred_username."`
	GroupsClaim  string         `yaml:"groups_claim" doc:"Claim with the person's groups; a.b is b within a. Default groups."`
	RedirectURL  string         `yaml:"redirect_url" doc:"Where the provider sends people back to. Default: external_url and /login/callback."`
}

// On tells whether people sign in at a provider.
func (o *OIDC) On() bool { return o.Issuer != "" }

// LocalUser is somebody who signs in with a password: for when the provider is down.
type LocalUser struct {
	Name         string   `yaml:"name" required:"true" doc:"Who signs in. Nobody may be called so at the provider."`
	PasswordHash string   `yaml:"password_hash" required:"true" doc:"What backout auth hash-password prints."`
	Groups       []string `yaml:"groups" doc:"Groups whose votes this user gives."`
}

// Sessions bound how long a login lasts.
type Sessions struct {
	Lifetime backout.Duration `yaml:"lifetime" doc:"How long a session lasts at most. 5m to 7d. Default 12h."`
	Idle     backout.Duration `yaml:"idle" doc:"How long it lasts without a request. 5m to lifetime. Default 2h."`
}

// SignIn tells whether people can sign in at all.
func (a *Auth) SignIn() bool { return a.OIDC.On() || len(a.Users) > 0 }

// The bounds of how long a login counts.
const (
	leastSession  = 5 * time.Minute
	mostSession   = 7 * 24 * time.Hour
	leastRemember = time.Hour
	mostRemember  = 90 * 24 * time.Hour
)

// login checks how people sign in, and fills in what follows from other keys.
func (l *loader) login() {
	l.oidc()
	a := &l.cfg.Auth
	for i, u := range a.Users {
		at := l.at("auth", "users", i, "name")
		switch {
		case u.Name == "" || !l.name("a user", u.Name, userName, userNameFix, at):
		case slices.ContainsFunc(a.Users[:i], func(other LocalUser) bool { return other.Name == u.Name }):
			l.add(at.Problem(fmt.Sprintf("the local user %q is there already", u.Name), "give each user one entry"))
		case slices.ContainsFunc(a.Tokens, func(t Token) bool { return t.Name == u.Name }):
			l.add(at.Problem(fmt.Sprintf("%q has a token in auth.tokens too", u.Name), "call one of the two otherwise: a token must not count as somebody who knows the password"))
		}
		if u.PasswordHash != "" {
			if err := password.Valid(u.PasswordHash); err != nil {
				l.add(l.at("auth", "users", i, "password_hash").Problem(fmt.Sprintf("the password_hash of %q: %v", u.Name, err), "make one with: backout auth hash-password"))
			}
		}
		for j, g := range u.Groups {
			l.name("a group", g, userName, userNameFix, l.at("auth", "users", i, "groups", j))
		}
	}
	l.between(a.Sessions.Lifetime, leastSession, mostSession, "auth", "sessions", "lifetime")
	l.between(a.Sessions.Idle, leastSession, min(time.Duration(a.Sessions.Lifetime), mostSession), "auth", "sessions", "idle")
	l.between(a.RememberGroups, leastRemember, mostRemember, "auth", "remember_groups")
	if u, err := url.Parse(l.cfg.ExternalURL); a.SignIn() && err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		l.add(l.at("external_url").Problem("people sign in, and external_url is plain http: browsers would send their session to anybody on the way", "serve with tls, or put a proxy with https before it and name its address"))
	}
}

// between refuses a duration out of its bounds.
func (l *loader) between(d backout.Duration, least, most time.Duration, path ...any) {
	if time.Duration(d) >= least && time.Duration(d) <= most {
		return
	}
	at := l.keyAt("auth")
	if l.root.Has("auth") {
		at = l.at(path...)
	}
	l.add(at.Problem(fmt.Sprintf("%v is %s", path[len(path)-1], d), fmt.Sprintf("give %s to %s", backout.Duration(least), backout.Duration(most))))
}

func (l *loader) oidc() {
	o := &l.cfg.Auth.OIDC
	if !o.On() {
		if l.root.Has("auth") && (o.ClientID != "" || !o.ClientSecret.IsZero() || o.CLIClientID != "" || o.RedirectURL != "") {
			l.add(l.keyAt("auth", "oidc").Problem("auth.oidc without issuer: nobody could sign in", "add issuer: https://..., as the provider names itself"))
		}
		return
	}
	l.secureURL(o.Issuer, "issuer")
	if o.ClientID == "" {
		l.add(l.keyAt("auth", "oidc").Problem("auth.oidc without client_id", "register this server at the provider and give the id that it got"))
	}
	if o.CLIClientID == "" && o.ClientSecret.IsZero() {
		o.CLIClientID = o.ClientID
	}
	if !slices.Contains(o.Scopes, "openid") {
		o.Scopes = append([]string{"openid"}, o.Scopes...)
	}
	if o.NameClaim == "" || o.GroupsClaim == "" {
		l.add(l.keyAt("auth", "oidc").Problem("an empty name_claim or groups_claim", "name the claim, or remove the key"))
	}
	if o.RedirectURL == "" {
		o.RedirectURL = l.cfg.ExternalURL + "/login/callback"
	} else {
		l.secureURL(o.RedirectURL, "redirect_url")
	}
}

// secureURL wants https, except on this machine.
func (l *loader) secureURL(text, key string) {
	u, err := url.Parse(text)
	at := l.at("auth", "oidc", key)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.add(at.Problem(key+" is no address", "write https://HOST/PATH, without user, query or fragment"))
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		l.add(at.Problem(key+" is not https: whoever is on the way could sign in as anybody", "use https"))
	}
}
