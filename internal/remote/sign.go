package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
)

const (
	// lifetime is how long a signed message is good for.
	lifetime = 30 * time.Second
	// skew is how far the clocks of a server and a runner may be apart.
	skew = 30 * time.Second
)

// domain keeps a signature from meaning anything elsewhere.
const domain = "backout runner order 1\x00"

// The headers of a signed message. Which key it was is a hint; only the signature
// counts.
const (
	headerKey       = "Backout-Key"
	headerSignature = "Backout-Signature"
)

const (
	privatePrefix = "backout-signing-key:"
	publicPrefix  = "backout-server-key:"
)

// SigningKey is what a server signs its orders with.
type SigningKey struct {
	private ed25519.PrivateKey
	id      string
}

// PublicKey is what a runner knows a server by.
type PublicKey struct {
	key ed25519.PublicKey
	id  string
}

// NewSigningKey makes a key.
func NewSigningKey() (SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return SigningKey{}, fmt.Errorf("make signing key: %w", err)
	}
	return signingKey(private), nil
}

// ParseSigningKey reads the text of [SigningKey.Private]. Its errors do not repeat
// it.
func ParseSigningKey(text string) (SigningKey, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), privatePrefix)
	seed, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), publicPrefix):
		return SigningKey{}, errors.New("this is a public key, for server_keys of runners: want the private one that \"backout runner keygen\" wrote")
	case !ok, err != nil, len(seed) != ed25519.SeedSize:
		return SigningKey{}, errors.New("not a signing key: want the text that \"backout runner keygen\" wrote")
	}
	return signingKey(ed25519.NewKeyFromSeed(seed)), nil
}

// ParsePublicKey reads the text of [SigningKey.Public]. Its errors do not repeat
// it, as it may be the wrong half.
func ParsePublicKey(text string) (PublicKey, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), publicPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case strings.HasPrefix(strings.TrimSpace(text), privatePrefix):
		return PublicKey{}, errors.New("this is a private key, which only servers have: want the public one that \"backout runner keygen\" printed, and make a new pair if this one was shown to others")
	case !ok, err != nil, len(key) != ed25519.PublicKeySize:
		return PublicKey{}, errors.New("not a server key: want the line that \"backout runner keygen\" printed")
	}
	return publicKey(key), nil
}

func signingKey(private ed25519.PrivateKey) SigningKey {
	public, _ := private.Public().(ed25519.PublicKey)
	return SigningKey{private: private, id: publicKey(public).id}
}

func publicKey(key ed25519.PublicKey) PublicKey {
	sum := sha256.Sum256(key)
	return PublicKey{key: key, id: hex.EncodeToString(sum[:4])}
}

// Private is the key as text, for a file that only servers read.
func (k SigningKey) Private() backout.Secret {
	return backout.SecretValue(privatePrefix + base64.StdEncoding.EncodeToString(k.private.Seed()))
}

// Public is the other half as text, for runners.
func (k SigningKey) Public() string {
	public, _ := k.private.Public().(ed25519.PublicKey)
	return publicPrefix + base64.StdEncoding.EncodeToString(public)
}

// ID names the key in logs; it is the same for both halves.
func (k SigningKey) ID() string { return k.id }

// ID names the key in logs.
func (k PublicKey) ID() string { return k.id }

// sign makes the message for the subject. The signature is over the exact bytes.
func (k SigningKey) sign(subject string, o order, now time.Time) (bus.Message, error) {
	o.Version, o.Issued, o.Expires = version, now.UTC(), now.Add(lifetime).UTC()
	data, err := json.Marshal(o)
	if err != nil {
		return bus.Message{}, fmt.Errorf("encode %s: %w", o.Op, err)
	}
	signature := ed25519.Sign(k.private, append([]byte(domain), data...))
	return bus.Message{Subject: subject, Data: data, Header: map[string]string{
		headerKey: k.id, headerSignature: base64.StdEncoding.EncodeToString(signature),
	}}, nil
}

// verify returns the order in the message, or why it is refused.
func verify(m bus.Message, keys []PublicKey, site, address string, now time.Time) (order, error) {
	var o order
	if m.Header[headerSignature] == "" {
		return o, errors.New("it is not signed")
	}
	signature, err := base64.StdEncoding.DecodeString(m.Header[headerSignature])
	if err != nil || len(signature) != ed25519.SignatureSize {
		return o, errors.New("its signature cannot be read")
	}
	if err := checkSignature(m, signature, keys); err != nil {
		return o, err
	}
	if err := json.Unmarshal(m.Data, &o); err != nil {
		return order{}, fmt.Errorf("it cannot be read: %w", err)
	}
	return o, o.fits(site, address, now)
}

func checkSignature(m bus.Message, signature []byte, keys []PublicKey) error {
	signed := append([]byte(domain), m.Data...)
	known := make([]string, len(keys))
	for i, k := range keys {
		if ed25519.Verify(k.key, signed, signature) {
			return nil
		}
		known[i] = k.id
		if k.id == m.Header[headerKey] {
			return fmt.Errorf("its signature is not that of key %s over this message", k.id)
		}
	}
	return fmt.Errorf("it is signed with key %q, and server_keys of this runner has %s", clip(m.Header[headerKey], 16), strings.Join(known, ", "))
}

// fits tells whether the order is meant for this site and runner, and now.
func (o order) fits(site, address string, now time.Time) error {
	switch {
	case o.Version != version:
		return fmt.Errorf("it speaks version %d of the runners' messages, this runner %d: run the same release of backout on both sides", o.Version, version)
	case o.Site != site:
		return fmt.Errorf("it is for site %q, this runner is at %q", o.Site, site)
	case o.To != "" && o.To != address:
		return fmt.Errorf("it is for runner %s, this is %s", o.To, address)
	case o.Expires.Sub(o.Issued) > lifetime || o.Expires.Before(o.Issued):
		return errors.New("its time of validity is wrong")
	case o.Issued.After(now.Add(skew)):
		return fmt.Errorf("it was signed %v in the future: the clock of this runner or of the server is wrong", o.Issued.Sub(now).Round(time.Second))
	case now.After(o.Expires.Add(skew)):
		return fmt.Errorf("it expired %v ago: it was held up, sent again, or the clock of this runner or of the server is wrong", now.Sub(o.Expires).Round(time.Second))
	}
	return nil
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
