package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
)

// SignatureWindow is how far the time of a signed request may be from the server's,
// either way.
const SignatureWindow = 5 * time.Minute

// Scheme is how a sender signs.
type Scheme string

const (
	// SchemeGrafana is that of Grafana's webhook contact points: the hex HMAC-SHA256
	// of the seconds since 1970, a colon and the body. Source: Grafana's
	// documentation, "Configure webhook notifications", HMAC signature; and
	// grafana/alerting, http/hmac.go.
	SchemeGrafana Scheme = "grafana"
	// SchemeBackout is that of this server's own webhooks: "sha256=" and the hex
	// HMAC-SHA256 of the seconds since 1970, a dot and the body.
	SchemeBackout Scheme = "backout"
)

// scheme is what a Scheme stands for.
type scheme struct {
	header, timestampHeader string
	prefix, between         string
}

var schemes = map[Scheme]scheme{
	SchemeGrafana: {"X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Signature-Timestamp", "", ":"},
	SchemeBackout: {"X-Backout-Signature", "X-Backout-Timestamp", "sha256=", "."},
}

// Signer is a sender whose requests are signed.
type Signer struct {
	// Name is what the log calls the sender.
	Name   string
	Scheme Scheme
	// Header and TimestampHeader carry the signature and its time; empty means the
	// scheme's own.
	Header, TimestampHeader string
	Secret                  backout.Secret
}

type signerSet struct{ p atomic.Pointer[[]knownSigner] }

type knownSigner struct {
	scheme
	name string
	key  backout.Secret
}

func (s *signerSet) load() []knownSigner {
	if list := s.p.Load(); list != nil {
		return *list
	}
	return nil
}

// SetSigners replaces all signers at once. On an error, which never tells a secret,
// the old ones stay.
func (s *Senders) SetSigners(signers []Signer) error {
	known := make([]knownSigner, 0, len(signers))
	for _, g := range signers {
		k := knownSigner{scheme: schemes[g.Scheme], name: g.Name, key: g.Secret}
		switch {
		case g.Name == "":
			return fmt.Errorf("%w: intake.senders: a sender without a name", backout.ErrInvalid)
		case k.scheme == scheme{}:
			return fmt.Errorf("%w: intake.senders: %q has no scheme %q", backout.ErrInvalid, g.Name, g.Scheme)
		case len(g.Secret.Reveal()) < minSecret:
			return fmt.Errorf("%w: intake.senders: the secret of %q is shorter than %d characters: make one with openssl rand -hex 24", backout.ErrInvalid, g.Name, minSecret)
		}
		if g.Header != "" {
			k.header = g.Header
		}
		if g.TimestampHeader != "" {
			k.timestampHeader = g.TimestampHeader
		}
		for _, other := range known {
			if other.name == k.name || hmac.Equal([]byte(other.key.Reveal()), []byte(k.key.Reveal())) {
				return fmt.Errorf("%w: intake.senders: %q and %q have the same name or secret", backout.ErrInvalid, other.name, k.name)
			}
		}
		known = append(known, k)
	}
	s.signers.p.Store(&known)
	return nil
}

// claim is a signature that is still to be compared with the body. Until [claim.prove]
// has said yes, nobody is known.
type claim struct {
	// given are the signers who might have made it, with the time each reads.
	given  []knownSigner
	times  []string
	said   string
	signed string // its id, once proved
}

var (
	errWrongSignature   = noTo(http.StatusUnauthorized, "wrong_signature", "no sender's signature fits: another secret, or the body was changed on its way")
	errExpiredSignature = noTo(http.StatusUnauthorized, "expired_signature", "the signature's time is more than 5m from this server's: is it a replay, or is a clock wrong?")
	errReplayed         = noTo(http.StatusConflict, "replayed", "this very request was taken before")
)

// claim finds the signature of a request; nil when none of the headers that signers
// use is there. The error says why the signature cannot be right, whatever the body.
func (s *Senders) claim(r *http.Request) (*claim, error) {
	var c claim
	var no error
	now := time.Now()
	for _, g := range s.signers.load() {
		values, ok := r.Header[textproto.CanonicalMIMEHeaderKey(g.header)]
		if !ok {
			continue
		}
		at, err := g.time(r, now)
		switch {
		case len(values) != 1 || c.said != "" && c.said != values[0]:
			return nil, noTo(http.StatusUnauthorized, "wrong_signature", "more than one signature is given")
		case err != nil && no == nil:
			no = err
		case err == nil:
			c.given, c.times = append(c.given, g), append(c.times, at)
		}
		c.said = values[0]
	}
	if c.given == nil {
		return nil, no
	}
	return &c, nil
}

// time reads the signature's time and wants it close to now. Digits only: what is
// signed must read in one way.
func (g *knownSigner) time(r *http.Request, now time.Time) (string, error) {
	values := r.Header[textproto.CanonicalMIMEHeaderKey(g.timestampHeader)]
	if len(values) != 1 || values[0] == "" {
		return "", noTo(http.StatusUnauthorized, "missing_timestamp", "the signature has no time, which anybody could replay for ever: have the sender put it into the header "+g.timestampHeader)
	}
	text := values[0]
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) > 12 || strings.Trim(text, "0123456789") != "" {
		return "", noTo(http.StatusUnauthorized, "missing_timestamp", "the header "+g.timestampHeader+" is not a time in seconds since 1970")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > SignatureWindow {
		return "", errExpiredSignature
	}
	return text, nil
}

// prove names the sender whose signature fits the body, after comparing with every
// one in the same time.
func (c *claim) prove(body []byte) (Actor, error) {
	found := -1
	for i := range c.given {
		g := &c.given[i]
		if sum := g.sign(c.times[i], body); hmac.Equal([]byte(g.prefix+hex.EncodeToString(sum)), []byte(c.said)) {
			found, c.signed = i, string(sum[:signatureID])
		}
	}
	if found < 0 {
		return Actor{}, errWrongSignature
	}
	return Actor{Name: c.given[found].name, Via: "hmac"}, nil
}

// signatureID is how many bytes of a signature tell it from others.
const signatureID = 16

func (g *knownSigner) sign(at string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(g.key.Reveal()))
	_, _ = mac.Write([]byte(at + g.between))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}
