package handlers

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/backout-io/backout"
)

// Credentials tell which sender of alerts stands behind a password or a client
// certificate. They name senders only: nobody reaches the API by one.
type Credentials interface {
	// Any tells whether they name anybody at all.
	Any() bool
	// Password tells whether it is the sender's. An error that wraps
	// [backout.ErrUnavailable] says that it could not be checked now.
	Password(ctx context.Context, name, password string) (bool, error)
	// Certificate names the sender of a connection's client certificates, its own
	// first, after verifying them.
	Certificate(chain []*x509.Certificate) (name string, ok bool)
}

// Senders are who may send alerts by other means than a token. The zero value knows
// nobody.
type Senders struct {
	credentials Credentials
	signers     signerSet
}

// NewSenders knows what credentials say, which may be nil, and the signers.
func NewSenders(credentials Credentials, signers []Signer) (*Senders, error) {
	s := &Senders{credentials: credentials}
	return s, s.SetSigners(signers)
}

// Empty tells that nobody is known.
func (s *Senders) Empty() bool {
	return len(s.signers.load()) == 0 && (s.credentials == nil || !s.credentials.Any())
}

// identify names the sender whom the password or the client certificate belongs to;
// no is the error for who shows neither. What is presented must be right: a
// certificate does not make up for a wrong password or token.
func (s *Senders) identify(r *http.Request, no error) (Actor, error) {
	if s.credentials == nil {
		return Actor{}, no
	}
	if r.Header.Get("Authorization") != "" {
		name, password, ok := r.BasicAuth()
		if !ok {
			return Actor{}, no
		}
		ok, err := s.credentials.Password(r.Context(), name, password)
		switch {
		case r.Context().Err() != nil:
			return Actor{}, context.Canceled
		case errors.Is(err, backout.ErrUnavailable):
			return Actor{}, &apiError{http.StatusServiceUnavailable, "overloaded", "too many passwords wait to be checked: come again", err}
		case err != nil:
			return Actor{}, err
		case !ok:
			return Actor{}, no
		}
		return Actor{Name: name, Via: "basic"}, nil
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		if name, ok := s.credentials.Certificate(r.TLS.PeerCertificates); ok {
			return Actor{Name: name, Via: "mtls"}, nil
		}
		return Actor{}, errWrongCertificate
	}
	return Actor{}, no
}

var errWrongCertificate = noTo(http.StatusUnauthorized, "unauthenticated", "the client certificate is not one of a sender of alerts: its CA, its names or its time are others")

// who finds out who asks, by all means that the route takes. A signed request has a
// claim instead, which is proved when its body has come.
func (h *Handler) who(c *call, want need) (err error) {
	if want == accessIntake {
		if c.claim, err = h.senders.claim(c.r); c.claim != nil || err != nil {
			return err
		}
	}
	c.actor, err = h.identify(c.r, want)
	if unauthenticated(err) && (want == accessIntake || want == accessRead) {
		c.actor, err = h.senders.identify(c.r, err)
	}
	return err
}
