package notifier

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/backout-io/backout"
)

// Auth is the part of a channel's section that says who backout is to an HTTP API:
// a user with a password, a token, or an OAuth client, exactly one of them.
type Auth struct {
	Username string         `json:"username,omitempty" yaml:"username,omitempty" doc:"Basic authentication; together with password."`
	Password backout.Secret `json:"password,omitzero" yaml:"password,omitempty" doc:"Basic authentication; a secret."`
	Token    backout.Secret `json:"token,omitzero" yaml:"token,omitempty" doc:"Sent as Authorization: Bearer; a secret."`
	// TokenURL is where an OAuth client gets its tokens (RFC 6749, section 4.4).
	TokenURL     string         `json:"token_url,omitempty" yaml:"token_url,omitempty" doc:"OAuth client credentials: where tokens are given out."`
	ClientID     string         `json:"client_id,omitempty" yaml:"client_id,omitempty" doc:"OAuth client credentials: the client."`
	ClientSecret backout.Secret `json:"client_secret,omitzero" yaml:"client_secret,omitempty" doc:"OAuth client credentials: its secret; a secret."`
	Scopes       []string       `json:"scopes,omitempty" yaml:"scopes,omitempty" doc:"OAuth client credentials: what is asked for."`
}

// OAuth tells whether tokens are to be fetched.
func (a *Auth) OAuth() bool { return a.TokenURL != "" || a.ClientID != "" || !a.ClientSecret.IsZero() }

// Check says what is wrong with it, for a section's Validate. address is where the
// secrets will be sent.
func (a *Auth) Check(address string) error {
	basic := a.Username != "" || !a.Password.IsZero()
	ways := 0
	for _, given := range []bool{basic, !a.Token.IsZero(), a.OAuth()} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return errors.New("nothing says who backout is there: give username and password, or token, or token_url with client_id and client_secret")
	case ways > 1:
		return errors.New("username, token and client_id exclude each other: keep one way to log in")
	case basic && (a.Username == "" || a.Password.IsZero()):
		return errors.New("username and password belong together: give both")
	case a.OAuth() && (a.TokenURL == "" || a.ClientID == "" || a.ClientSecret.IsZero()):
		return errors.New("token_url, client_id and client_secret belong together: give all three")
	case len(a.Scopes) > 0 && !a.OAuth():
		return errors.New("scopes are for an OAuth client: give token_url, client_id and client_secret, or take them out")
	}
	if a.OAuth() {
		if err := CheckAddress("token_url", a.TokenURL); err != nil {
			return err
		}
	}
	return CheckAddress("url", address)
}

// CheckAddress refuses what is no address of an API: secrets go there, so it is
// https, but for this machine.
func CheckAddress(key, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s must be an https address without user, ? and #, such as https://itsm.example", key)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s: secrets would be sent unencrypted: use an https address", key)
	}
	return nil
}

// CheckValues says which secret has been resolved to nothing.
func (a *Auth) CheckValues() error {
	for key, s := range map[string]backout.Secret{"password": a.Password, "token": a.Token, "client_secret": a.ClientSecret} {
		if !s.IsZero() && s.Reveal() == "" {
			return fmt.Errorf("%s is empty: put it where the config says", key)
		}
	}
	return nil
}

// Secrets are what must not show in an error.
func (a *Auth) Secrets() []backout.Secret {
	return []backout.Secret{a.Password, a.Token, a.ClientSecret}
}
