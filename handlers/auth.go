package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/backout-io/backout"
)

// Token lets its bearer in, under a name.
type Token struct {
	// Name is the person, or the sender of alerts.
	Name string
	// Groups are whose votes the person's count among.
	Groups []string
	Secret backout.Secret
}

// minSecret is the shortest secret taken; 16 random letters are out of reach of
// guessing over a network.
const minSecret = 16

// Auth knows who may do what. The zero value knows nobody, so everything is open
// to this machine and to nobody else.
type Auth struct{ sets atomic.Pointer[tokenSets] }

type tokenSets struct{ api, intake []knownToken }

type knownToken struct {
	name   string
	groups []string
	hash   [sha256.Size]byte
}

// NewAuth knows the tokens for the API and those for sending alerts.
func NewAuth(api, intake []Token) (*Auth, error) {
	a := &Auth{}
	return a, a.Set(api, intake)
}

// Set replaces all tokens at once; requests that are already in go on. On an
// error, which never tells a secret, the old tokens stay.
func (a *Auth) Set(api, intake []Token) error {
	known, err := know("auth.tokens", api)
	if err != nil {
		return err
	}
	senders, err := know("intake.tokens", intake)
	if err != nil {
		return err
	}
	for _, s := range senders {
		for _, k := range known {
			if s.hash == k.hash {
				return fmt.Errorf("%w: intake.tokens %q and auth.tokens %q have the same secret: a sender of alerts must not be able to act", backout.ErrInvalid, s.name, k.name)
			}
		}
	}
	a.sets.Store(&tokenSets{api: known, intake: senders})
	return nil
}

func know(section string, tokens []Token) ([]knownToken, error) {
	known := make([]knownToken, 0, len(tokens))
	for _, t := range tokens {
		secret := t.Secret.Reveal()
		k := knownToken{t.Name, t.Groups, sha256.Sum256([]byte(secret))}
		if t.Name == "" {
			return nil, fmt.Errorf("%w: %s: a token without a name", backout.ErrInvalid, section)
		}
		if len(secret) < minSecret {
			return nil, fmt.Errorf("%w: %s: the secret of %q is shorter than %d characters: make one with openssl rand -hex 24", backout.ErrInvalid, section, t.Name, minSecret)
		}
		for _, other := range known {
			if other.name == k.name || other.hash == k.hash {
				return nil, fmt.Errorf("%w: %s: %q and %q have the same name or secret", backout.ErrInvalid, section, other.name, k.name)
			}
		}
		known = append(known, k)
	}
	return known, nil
}

// Empty tells that no token is known.
func (a *Auth) Empty() bool {
	sets := a.sets.Load()
	return sets == nil || len(sets.api) == 0 && len(sets.intake) == 0
}

// find compares with every token, in the same time whichever it is.
func find(known []knownToken, secret string) (knownToken, bool) {
	hash := sha256.Sum256([]byte(secret))
	found := -1
	for i := range known {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], known[i].hash[:]), i, found)
	}
	if found < 0 {
		return knownToken{}, false
	}
	return known[found], true
}

// presented is the secret of a bearer token or of basic authentication, whose
// user name counts for nothing: the token names its sender.
func presented(r *http.Request) (string, bool) {
	header := r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	_, password, ok := r.BasicAuth()
	return password, ok
}

// access is what a route wants of who asks.
type access int

const (
	// accessOpen wants nothing.
	accessOpen access = iota
	// accessIntake wants an intake token.
	accessIntake
	// accessRead wants any token: it shows no more than numbers.
	accessRead
	// accessAPI wants an API token.
	accessAPI
)

func (a access) String() string {
	return [...]string{"nothing", "an intake token", "any token", "an API token"}[a]
}

var (
	errNoToken    = noTo(http.StatusUnauthorized, "unauthenticated", "a token is needed: send it as Authorization: Bearer, or as the password of basic authentication")
	errWrongToken = noTo(http.StatusUnauthorized, "unauthenticated", "the token is not known here, or not for this")
)

// identify says who asks. Without any token configured only this machine may.
func (h *Handler) identify(r *http.Request, want access) (Actor, error) {
	if h.auth.Empty() {
		return Actor{Name: "local", Via: via(r)}, h.local(r)
	}
	secret, ok := presented(r)
	if !ok {
		return Actor{}, errNoToken
	}
	sets := h.auth.sets.Load()
	var known knownToken
	switch want {
	case accessIntake:
		known, ok = find(sets.intake, secret)
	case accessAPI:
		known, ok = find(sets.api, secret)
	case accessRead:
		if known, ok = find(sets.api, secret); !ok {
			known, ok = find(sets.intake, secret)
		}
	case accessOpen:
	}
	if !ok {
		return Actor{}, errWrongToken
	}
	return Actor{Name: known.name, Groups: known.groups, Via: via(r)}, nil
}

// via is what the caller says it is; it is for the log and proves nothing.
func via(r *http.Request) string {
	if strings.HasPrefix(r.UserAgent(), "backout") {
		return "cli"
	}
	return "api"
}

// forwarding are the headers that a proxy adds, as [http.Header] writes them.
var forwarding = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"}

// local refuses who is not on this machine, who got here by a name that is not
// this machine's (a page whose name was pointed at 127.0.0.1: DNS rebinding), and
// what a proxy on this machine hands on for anybody.
func (h *Handler) local(r *http.Request) error {
	for _, header := range forwarding {
		if _, forwarded := r.Header[header]; forwarded {
			return noTo(http.StatusForbidden, "forbidden", "no token is configured and the request came through a proxy ("+header+"), where anybody may stand: configure auth.tokens and intake.tokens")
		}
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && !peer.Addr().Unmap().IsLoopback() {
		return noTo(http.StatusForbidden, "forbidden", "no token is configured, so only this machine may ask: configure auth.tokens")
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(name, "]"), "["), ".")
	if strings.EqualFold(name, "localhost") || h.host != "" && strings.EqualFold(name, h.host) {
		return nil
	}
	if addr, err := netip.ParseAddr(name); err == nil && addr.Unmap().IsLoopback() {
		return nil
	}
	return noTo(http.StatusForbidden, "forbidden", "no token is configured, so only loopback names and external_url's are answered")
}

// foreign refuses state-changing requests that a browser says come from another
// site's page.
func (h *Handler) foreign(r *http.Request) error {
	if err := h.sameSite.Check(r); err != nil {
		return noTo(http.StatusForbidden, "forbidden", "the request comes from another site's page")
	}
	return nil
}

// unauthenticated tells whether err is about the token.
func unauthenticated(err error) bool {
	return errors.Is(err, errNoToken) || errors.Is(err, errWrongToken)
}
