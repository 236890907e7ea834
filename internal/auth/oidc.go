package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/backout-io/backout"
)

const (
	// skew is how far the provider's clock may be off.
	skew = time.Minute
	// maxAge is how old an ID token may be that comes from the command line.
	maxAge = 5 * time.Minute
	// askAgain is how long a provider that did not answer is left alone, so that those
	// who wait for it do not pile up.
	askAgain = 5 * time.Second
)

// provider asks an OpenID Connect provider. It learns where that is when it is first
// needed.
type provider struct {
	spec *Provider
	http *http.Client
	keys *keys

	mu    sync.Mutex
	found *oidc.Provider
	// config is kept: it remembers how the provider wants clients to prove who they are.
	config *oauth2.Config
	// failed is why it was not found at failedAt: it is not asked again at once.
	failed   error
	failedAt time.Time
}

func newProvider(spec *Provider, client *http.Client) *provider {
	client, keys := remember(client)
	return &provider{spec: spec, http: client, keys: keys}
}

// discover reads the provider's own description, once it answers.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if p.spec == nil {
		return nil, errNoWay
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.failed != nil && time.Since(p.failedAt) < askAgain {
		return nil, p.failed
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.http), p.spec.Issuer)
	if err != nil {
		err = fmt.Errorf("%w: the identity provider %s cannot be asked: %w", backout.ErrUnavailable, p.spec.Issuer, err)
		if ctx.Err() == nil { // else only this caller gave up
			p.failed, p.failedAt = err, time.Now()
		}
		return nil, err
	}
	p.found, p.failed = found, nil
	p.config = p.oauth(found)
	var says struct {
		Keys string `json:"jwks_uri"`
	}
	_ = found.Claims(&says) // it has been read
	p.keys.stand(says.Keys)
	return found, nil
}

func (p *provider) oauth(found *oidc.Provider) *oauth2.Config {
	out := &oauth2.Config{
		ClientID: p.spec.ClientID, ClientSecret: p.spec.ClientSecret.Reveal(), Endpoint: found.Endpoint(),
		RedirectURL: p.spec.RedirectURL, Scopes: p.spec.Scopes,
	}
	out.Endpoint.AuthStyle = p.authStyle(found)
	return out
}

// authStyle is how this server proves to the provider who it is. Where that is not known
// before the first login, both ways are tried with each code until one works.
func (p *provider) authStyle(found *oidc.Provider) oauth2.AuthStyle {
	var says struct {
		Ways []string `json:"token_endpoint_auth_methods_supported"`
	}
	_ = found.Claims(&says) // what does not say it leaves it open
	header, params := slices.Contains(says.Ways, "client_secret_basic"), slices.Contains(says.Ways, "client_secret_post")
	switch {
	case p.spec.ClientSecret.Reveal() == "" || params && !header:
		return oauth2.AuthStyleInParams
	case header && !params:
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleAutoDetect // a client may be registered for one of the two alone
}

// address is where the browser goes to sign in. Asking for max_age makes the provider
// say when the person did (OpenID Connect Core, 3.1.2.1).
func (p *provider) address(ctx context.Context, f sealed, lifetime time.Duration) (string, error) {
	if _, err := p.discover(ctx); err != nil {
		return "", err
	}
	o := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if f.Fresh {
		o = append(o, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	} else {
		o = append(o, oauth2.SetAuthURLParam("max_age", fmt.Sprint(int(lifetime.Seconds()))))
	}
	return p.config.AuthCodeURL(f.State, o...), nil
}

// redeem turns the code that the browser came back with into somebody.
func (p *provider) redeem(ctx context.Context, f sealed, code string) (identity, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	token, err := p.config.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return identity{}, redeemError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	claims, err := p.verify(ctx, found, raw, p.spec.ClientID)
	if err != nil {
		return identity{}, err
	}
	if claims.token.Nonce != f.Nonce {
		return identity{}, refused("the provider's answer was made for another login")
	}
	if f.Fresh {
		if err := claims.freshSince(time.Unix(f.At, 0)); err != nil {
			return identity{}, err
		}
	}
	who, err := p.identity(ctx, found, claims, token.AccessToken)
	who.Once = hashed("state", f.State)
	return who, err
}

// redeemError keeps what the provider wrote, which may be anything, out of the page.
func redeemError(err error) error {
	var no *oauth2.RetrieveError
	if errors.As(err, &no) && no.Response != nil && no.Response.StatusCode < 500 {
		if no.ErrorCode == "invalid_grant" {
			return refused("the provider takes this login's code no more: sign in again")
		}
		return refused(fmt.Sprintf("the provider refuses this server (%.60q): see auth.oidc in backout.yaml", no.ErrorCode))
	}
	if no != nil {
		return fmt.Errorf("%w: the identity provider did not give a token", backout.ErrUnavailable)
	}
	return fmt.Errorf("%w: the identity provider did not give a token: %w", backout.ErrUnavailable, err)
}

// claims are an ID token whose signature, issuer, audience and times were checked.
type claims struct {
	token *oidc.IDToken
	all   map[string]any
}

// verify checks an ID token. The library takes no token without a signature, and none
// signed by a shared secret.
func (p *provider) verify(ctx context.Context, found *oidc.Provider, raw, client string) (claims, error) {
	verifier := found.Verifier(&oidc.Config{
		ClientID: client, Now: func() time.Time { return time.Now().Add(-skew) },
	})
	out := claims{}
	var err error
	if out.token, err = verifier.Verify(ctx, raw); err != nil && strings.Contains(err.Error(), "fetching keys") {
		return out, fmt.Errorf("%w: the identity provider's keys cannot be read", backout.ErrUnavailable)
	} else if err != nil {
		return out, refused("the ID token is not good: " + err.Error())
	}
	if err := out.token.Claims(&out.all); err != nil {
		return out, refused("the ID token cannot be read: " + err.Error())
	}
	if azp := out.text("azp"); azp != client && (azp != "" || len(out.token.Audience) > 1) {
		return out, refused("the ID token was made for another party")
	}
	if time.Until(out.token.IssuedAt) > maxAge {
		return out, refused("the ID token is from the future: are the clocks of the provider and of this server right?")
	}
	if out.token.Subject == "" {
		return out, refused("the ID token says of nobody")
	}
	return out, nil
}

func (c *claims) text(name string) string {
	s, _ := c.all[name].(string)
	return s
}

// authTime is when the person proved who they are; zero when the token does not say.
func (c *claims) authTime() time.Time {
	seconds, ok := c.all["auth_time"].(float64)
	if !ok || seconds <= 0 {
		return time.Time{}
	}
	at := time.Unix(int64(seconds), 0).UTC()
	if now := time.Now().UTC(); at.After(now) {
		return now
	}
	return at
}

func (c *claims) freshSince(begun time.Time) error {
	at := c.authTime()
	switch {
	case at.IsZero():
		return refused("the provider does not say when you signed in there (auth_time), so nothing shows that you did just now")
	case at.Before(begun.Add(-skew)):
		return refused(fmt.Sprintf("the provider did not ask you again: it says you signed in at %s (are the clocks right?)", at.Format(time.RFC3339)))
	}
	return nil
}

// identity says who the claims are about.
func (p *provider) identity(ctx context.Context, found *oidc.Provider, c claims, access string) (identity, error) {
	who := identity{Issuer: c.token.Issuer, Subject: c.token.Subject, LoginAt: c.authTime()}
	if _, there := claimAt(c.all, p.spec.GroupsClaim); (!there || c.text(p.spec.NameClaim) == "") && access != "" && found.UserInfoEndpoint() != "" {
		if err := p.more(ctx, found, &c, access); err != nil {
			return who, err
		}
	}
	who.Name = c.text(p.spec.NameClaim)
	if who.Name == "" {
		return who, refused(fmt.Sprintf("the provider does not say your name: there is no claim %s; see auth.oidc.name_claim and scopes in backout.yaml", p.spec.NameClaim))
	}
	if !personName.MatchString(who.Name) {
		return who, refused("the name that the provider gives is none that this server takes: letters, digits and . _ @ + -, at most 128; see auth.oidc.name_claim in backout.yaml")
	}
	if p.spec.NameClaim == "email" && c.all["email_verified"] != true {
		return who, refused("the provider has not verified your mail address, which is your name here")
	}
	groups, err := groupsOf(c.all, p.spec.GroupsClaim)
	who.Groups = groups
	return who, err
}

// more adds what the userinfo endpoint says. It must speak of the same person.
func (p *provider) more(ctx context.Context, found *oidc.Provider, c *claims, access string) error {
	info, err := found.UserInfo(oidc.ClientContext(ctx, p.http), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: access}))
	if err != nil {
		return fmt.Errorf("%w: the identity provider does not tell about you: its userinfo endpoint does not answer", backout.ErrUnavailable)
	}
	var all map[string]any
	if err := info.Claims(&all); err != nil || info.Subject != c.token.Subject {
		return refused("what the provider tells at its userinfo endpoint is about somebody else")
	}
	for name, value := range all {
		if _, ok := c.all[name]; !ok {
			c.all[name] = value
		}
	}
	return nil
}

// claimAt finds a claim by its name, or by a path of names with dots between.
func claimAt(all map[string]any, name string) (any, bool) {
	if v, ok := all[name]; ok {
		return v, true
	}
	first, rest, ok := strings.Cut(name, ".")
	inner, isMap := all[first].(map[string]any)
	if !ok || !isMap {
		return nil, false
	}
	return claimAt(inner, rest)
}

// groupsOf reads a claim that has a list of names, or one name.
func groupsOf(all map[string]any, claim string) ([]string, error) {
	if names, ok := all["_claim_names"].(map[string]any); ok && names[claim] != nil {
		return nil, refused(fmt.Sprintf("you are in more groups than the provider puts into the claim %s: have it send only those that this server needs", claim))
	}
	value, ok := claimAt(all, claim)
	if !ok {
		return nil, nil
	}
	var groups []string
	switch v := value.(type) {
	case string:
		groups = []string{v}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				groups = append(groups, s)
			}
		}
	}
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == "" || len(g) > maxGroup })
	if len(groups) > maxGroups {
		return nil, refused(fmt.Sprintf("you are in %d groups, and this server takes %d: have the provider send only those that it needs", len(groups), maxGroups))
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}
