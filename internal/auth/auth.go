package auth

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// Documents keeps small documents that change by compare-and-set, as [store.Control]
// does.
type Documents interface {
	Get(ctx context.Context, key string) (store.Document, error)
	Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// Provider is an OpenID Connect provider, and what it knows this server by.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret backout.Secret
	// CLIClientID is the public client of the command line; empty means that nobody
	// signs in from there at the provider.
	CLIClientID string
	// Scopes are asked for; openid is among them.
	Scopes []string
	// NameClaim and GroupsClaim name the claims that have a person's name and groups.
	NameClaim, GroupsClaim string
	// RedirectURL is where the provider sends people back to.
	RedirectURL string
}

func (p *Provider) equal(other *Provider) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.Issuer == other.Issuer && p.ClientID == other.ClientID && p.CLIClientID == other.CLIClientID && slices.Equal(p.Scopes, other.Scopes) &&
		p.NameClaim == other.NameClaim && p.GroupsClaim == other.GroupsClaim && p.RedirectURL == other.RedirectURL &&
		p.ClientSecret.Reveal() == other.ClientSecret.Reveal()
}

// User is a local user.
type User struct {
	Name   string
	Hash   string // as internal/password makes it
	Groups []string
}

// Config is what may change while the server runs.
type Config struct {
	// Provider is nil when nobody signs in at one.
	Provider *Provider
	Users    []User
	// Lifetime is how long a session lasts at most, Idle how long without a request.
	Lifetime, Idle time.Duration
	// RememberGroups is how long after a login the groups that the provider told count
	// for what comes without a session: Slack.
	RememberGroups time.Duration
	// GroupsOf lists the groups that the config puts somebody into.
	GroupsOf func(name string) []string
	// KnownGroup tells whether the config speaks of the group; others count for nothing.
	KnownGroup func(group string) bool
	// GrantsFor says what somebody may do; nothing means nothing.
	GrantsFor func(name string, groups []string) []backout.Grant
}

// Options are what a [Service] works with. Documents and ExternalURL are needed.
type Options struct {
	Documents Documents
	// ExternalURL is how people reach the server.
	ExternalURL string
	Log         *slog.Logger
	// Version is shown by the pages.
	Version string
	// HTTP reaches the provider; nil means a client of its own.
	HTTP *http.Client
}

// Service signs people in. It is safe for concurrent use.
type Service struct {
	docs    Documents
	log     *slog.Logger
	version string
	http    *http.Client
	// base is the path outside that stands before every route; external the address.
	base, external string
	cookies        cookies
	attempts       attempts
	// hashing bounds how many passwords are tried at once: each costs a processor a
	// quarter of a second.
	hashing chan struct{}
	// asking bounds how many ask the provider about somebody at once, and states how
	// often for one login that was begun: anybody can come back with what is no code.
	// Anybody can begin many logins, too, so the places alone bound strangers: a bound on
	// what one source may get wrong would lock out all who come by way of one proxy.
	asking *places
	states attempts
	seed   maphash.Seed

	mu       sync.Mutex
	config   Config
	provider *provider
}

var (
	_ handlers.Sessions = (*Service)(nil)
	_ handlers.Accounts = (*Service)(nil)
)

// providerTimeout is how long the provider may take for one answer.
const providerTimeout = 10 * time.Second

// New returns a service. The provider is not asked before somebody signs in, so that a
// server starts without it.
func New(o Options, c Config) (*Service, error) {
	external, err := url.Parse(o.ExternalURL)
	if err != nil || external.Host == "" {
		return nil, fmt.Errorf("%w: external_url %q is no address", backout.ErrInvalid, o.ExternalURL)
	}
	s := &Service{
		docs: o.Documents, log: o.Log, version: o.Version, http: o.HTTP, external: strings.TrimRight(o.ExternalURL, "/"),
		base: strings.TrimRight(external.Path, "/"), cookies: cookies{secure: external.Scheme == "https" || !loopback(external.Hostname())},
		hashing: make(chan struct{}, 2), asking: newPlaces(16), seed: maphash.MakeSeed(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.http == nil {
		s.http = &http.Client{Timeout: providerTimeout}
	}
	s.Set(c)
	return s, nil
}

// Set replaces the config. What people may do follows at their next request; local users
// who are gone have no session any more.
func (s *Service) Set(c Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider == nil || !c.Provider.equal(s.config.Provider) {
		s.provider = newProvider(c.Provider, s.http)
	}
	s.config = c
}

func (s *Service) now() (Config, *provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config, s.provider
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// user returns the local user of that name.
func (c *Config) user(name string) (User, bool) {
	i := slices.IndexFunc(c.Users, func(u User) bool { return u.Name == name })
	if i < 0 {
		return User{}, false
	}
	return c.Users[i], true
}

// actor is who a person is to the rest of the server, as the config stands. It is
// [backout.ErrRefused] for a local user who is not there any more, or whose password is
// another.
func (c *Config) actor(p *person) (handlers.Actor, error) {
	a := handlers.Actor{Name: p.Name}
	groups := slices.Clone(p.Groups)
	user, local := c.user(p.Name)
	switch {
	case p.Local && !local:
		return a, fmt.Errorf("%w: %s is no local user any more", backout.ErrRefused, p.Name)
	case p.Local && p.Key != user.key():
		return a, fmt.Errorf("%w: the password of %s was changed: they must sign in again", backout.ErrRefused, p.Name)
	case p.Local:
		groups = slices.Clone(user.Groups)
	case local || c.Provider == nil || p.Issuer != c.Provider.Issuer:
		return a, fmt.Errorf("%w: %s signed in where nobody signs in any more", backout.ErrRefused, p.Name)
	}
	if c.KnownGroup != nil {
		groups = slices.DeleteFunc(groups, func(g string) bool { return !c.KnownGroup(g) })
	} else {
		groups = nil
	}
	if c.GroupsOf != nil {
		groups = append(groups, c.GroupsOf(p.Name)...)
	}
	slices.Sort(groups)
	a.Groups = slices.Compact(groups)
	if c.GrantsFor != nil {
		a.Grants = c.GrantsFor(a.Name, a.Groups)
	}
	return a, nil
}

func isConflict(err error) bool { return errors.Is(err, backout.ErrConflict) }

// changed retries what somebody else came between. fn reads and writes by itself.
func changed(fn func() error) error {
	for range 16 {
		if err := fn(); !isConflict(err) {
			return err
		}
	}
	return fmt.Errorf("%w: others keep changing it", backout.ErrUnavailable)
}
