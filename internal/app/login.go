package app

import (
	"time"

	"github.com/backout-io/backout/internal/auth"
)

// startLogin makes what people sign in by, where the config has a way. It is before the
// handler and Slack, which ask it.
func (a *App) startLogin(l *loaded) error {
	if !l.config.Auth.SignIn() {
		return nil
	}
	var err error
	a.login, err = auth.New(auth.Options{
		Documents: a.store.Control, ExternalURL: l.config.ExternalURL, Log: a.o.Log, Version: a.o.Version,
	}, l.loginConfig())
	return err
}

// loginConfig is how people sign in, and what they may do then.
func (l *loaded) loginConfig() auth.Config {
	cfg := l.config.Auth
	out := auth.Config{
		Lifetime: time.Duration(cfg.Sessions.Lifetime), Idle: time.Duration(cfg.Sessions.Idle), RememberGroups: time.Duration(cfg.RememberGroups),
		GroupsOf: l.config.GroupsOf, KnownGroup: l.config.KnownGroup, GrantsFor: l.config.GrantsFor,
	}
	if o := cfg.OIDC; o.On() {
		out.Provider = &auth.Provider{
			Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, CLIClientID: o.CLIClientID, Scopes: o.Scopes,
			NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim, RedirectURL: o.RedirectURL,
		}
	}
	for _, u := range cfg.Users {
		out.Users = append(out.Users, auth.User{Name: u.Name, Hash: u.PasswordHash, Groups: u.Groups})
	}
	return out
}
