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
	"github.com/backout-io/backout/internal/access"
)

// Token lets its bearer in, under a name.
type Token struct {
	// Name is the person, or the sender of alerts.
	Name string
	// Groups are whose votes the person's count among.
	Groups []string
	// Grants are what the person may do; a sender of alerts has none.
	Grants []backout.Grant
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
	grants []backout.Grant
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
		k := knownToken{t.Name, t.Groups, t.Grants, sha256.Sum256([]byte(secret))}
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
	sets := a.known()
	return len(sets.api) == 0 && len(sets.intake) == 0
}

func (a *Auth) known() *tokenSets {
	if sets := a.sets.Load(); sets != nil {
		return sets
	}
	return &tokenSets{}
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

// need is what a route wants of who asks. Its zero value lets nobody in.
type need int

const (
	accessNobody need = iota
	// accessOpen wants nothing.
	accessOpen
	// accessIntake wants an intake token.
	accessIntake
	// accessRead wants any token, or somebody who may read: it shows no more than
	// numbers.
	accessRead
	// accessAPI wants a person, whatever they may do: the service knows what it takes.
	accessAPI
	// accessSigned wants a signature that the route's own handler knows; who acts is
	// in what is signed.
	accessSigned
	// The others want a person who may do this somewhere. Whether they may here is told
	// by who answers: only that knows what the request is about.
	mayRead
	mayLook
	mayStop
	mayGoOn
	mayApprove
	mayChange
	mayRule
	mayAdmin
)

// needs are the words for each, and what it takes to be let in.
var needs = map[need]struct {
	words  string
	action access.Action
}{
	accessNobody: {words: "what nobody has"},
	accessOpen:   {words: "nothing"},
	accessIntake: {words: "an intake token"},
	accessRead:   {words: "any token", action: access.ActionRead},
	accessAPI:    {words: "a person"},
	accessSigned: {words: "a signature"},
	mayRead:      {"read", access.ActionRead},
	mayLook:      {"look", access.ActionLook},
	mayStop:      {"stop", access.ActionStop},
	mayGoOn:      {"go_on", access.ActionGoOn},
	mayApprove:   {"approve", access.ActionApprove},
	mayChange:    {"change", access.ActionChange},
	mayRule:      {"rule", access.ActionRule},
	mayAdmin:     {"admin", access.ActionAdmin},
}

func (a need) String() string { return needs[a].words }

// may refuses a person without the right that the route takes.
func (a need) may(who Actor) error {
	of, known := needs[a]
	switch {
	case !known || a == accessNobody:
		return fmt.Errorf("%w: this route is for nobody", backout.ErrForbidden)
	case of.action == "":
		return nil
	}
	return access.Somewhere(who.Grants, of.action)
}

var (
	errNoToken    = noTo(http.StatusUnauthorized, "unauthenticated", "a token is needed: send it as Authorization: Bearer, or as the password of basic authentication")
	errWrongToken = noTo(http.StatusUnauthorized, "unauthenticated", "the token is not known here, or not for this")
)

// everything is what this machine may while nobody is configured.
func everything() []backout.Grant {
	var all []backout.Grant
	for _, role := range backout.Roles() {
		all = append(all, backout.Grant{Role: role, Everywhere: true})
	}
	return all
}

// identify says who asks, by a session or by a token, and refuses a person without the
// right that the route takes: then it still says who. While there can be neither,
// this machine may do everything and nobody else anything.
func (h *Handler) identify(r *http.Request, want need) (Actor, error) {
	if actor, ok, err := h.signedIn(r, want); ok || err != nil {
		if err != nil {
			return Actor{}, err
		}
		return actor, want.may(actor)
	}
	if h.auth.Empty() && h.senders.Empty() && h.o.Sessions == nil {
		return Actor{Name: "local", Via: via(r), Grants: everything()}, h.local(r)
	}
	secret, ok := presented(r)
	if !ok {
		return Actor{}, errNoToken
	}
	sets := h.auth.known()
	if want == accessIntake || want == accessRead {
		if sender, ok := find(sets.intake, secret); ok {
			return Actor{Name: sender.name, Via: via(r)}, nil
		}
	}
	if want == accessIntake {
		return Actor{}, errWrongToken
	}
	if person, ok := find(sets.api, secret); ok {
		actor := Actor{Name: person.name, Groups: person.groups, Via: via(r), Grants: person.grants}
		return actor, want.may(actor)
	}
	actor, err := h.bearer(r, secret)
	if err != nil {
		return Actor{}, err
	}
	return actor, want.may(actor)
}

// bearer asks for tokens that were made here.
func (h *Handler) bearer(r *http.Request, secret string) (Actor, error) {
	if h.o.Bearers == nil || !strings.HasPrefix(secret, TokenPrefix) {
		return Actor{}, errWrongToken
	}
	actor, err := h.o.Bearers.Bearer(r.Context(), secret)
	switch {
	case errors.Is(err, backout.ErrNotFound):
		return Actor{}, errWrongToken
	case err != nil:
		return Actor{}, err
	}
	actor.Via = via(r)
	return actor, nil
}

// via is what the caller says it is; it is for the log and proves nothing.
func via(r *http.Request) string {
	if strings.HasPrefix(r.UserAgent(), "backout") {
		return "cli"
	}
	return "api"
}

// forwarding are the headers that a proxy adds, as [http.Header] writes them.
var forwarding = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// Forwarded returns the header that shows a proxy between whoever asks and this server;
// "" when there is none.
func Forwarded(r *http.Request) string {
	for _, header := range forwarding {
		if _, there := r.Header[header]; there {
			return header
		}
	}
	return ""
}

// local refuses who is not on this machine, who got here by a name that is not
// this machine's (a page whose name was pointed at 127.0.0.1: DNS rebinding), and
// what a proxy on this machine hands on for anybody.
func (h *Handler) local(r *http.Request) error {
	if header := Forwarded(r); header != "" {
		return noTo(http.StatusForbidden, "forbidden", "no token is configured and the request came through a proxy ("+header+"), where anybody may stand: configure auth.tokens and intake.tokens")
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

// unauthenticated tells whether err is about the token or the session.
func unauthenticated(err error) bool {
	var no *apiError
	return errors.As(err, &no) && no.status == http.StatusUnauthorized
}
