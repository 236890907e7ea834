// Package webhook posts notices as signed JSON to any address.
//
// The body is [Body]. The request carries Idempotency-Key (the notice's id: the
// same for every delivery of it), X-Backout-Timestamp (seconds since 1970) and
// X-Backout-Signature, "sha256=" and the hex HMAC-SHA256, keyed by the secret, of
// the timestamp, a dot and the body. A receiver compares the signature in constant
// time and refuses timestamps older than five minutes.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Version is the version of [Body]. Fields may be added within a version.
const Version = "1"

// Body is what is posted.
type Body struct {
	Version string `json:"version"`
	// Subject and Text are the message in words, Notice the same as data.
	Subject string         `json:"subject"`
	Text    string         `json:"text"`
	Notice  backout.Notice `json:"notice"`
}

// Kind is the channel type.
func Kind() notifier.Kind {
	return notifier.Define("webhook", "signed JSON posted to any address", build)
}

func build(_ context.Context, c Config) (backout.Notifier, error) {
	return New(c)
}

// New makes the notifier of an address.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	if c.Secret.Reveal() == "" {
		return nil, backout.Permanent(errors.New("webhook secret is empty: put a random text of 32 characters or more there"))
	}
	if !c.Token.IsZero() && c.Token.Reveal() == "" {
		return nil, backout.Permanent(errors.New("webhook token is empty: put the token there, or take the key out"))
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, backout.Permanent(errBadURL)
	}
	return &Notifier{config: c, host: u.Host, client: notifier.HTTPClient()}, nil
}

// Notifier posts to one address. It may be used by many goroutines.
type Notifier struct {
	config Config
	host   string
	client *http.Client
}

// Notify implements [backout.Notifier].
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, notifier.HTTPTimeout)
	defer cancel()
	var content any = Body{Version: Version, Subject: m.Subject, Text: m.Text, Notice: m.Notice}
	if n.config.Format == FormatCloudEvents {
		content = n.event(m)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return backout.Receipt{}, backout.Permanent(fmt.Errorf("encode notice: %w", err))
	}
	err = notifier.PostJSON(ctx, n.client, n.config.URL, n.host, n.header(m.Notice.ID, body), body, n.config.Secret, n.config.Token)
	if err != nil {
		return backout.Receipt{}, err
	}
	return backout.Receipt{Ref: m.Notice.ID, Channel: n.host}, nil
}

func (n *Notifier) header(id string, body []byte) http.Header {
	h := http.Header{}
	for name, value := range n.config.Headers {
		h.Set(name, value)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	h.Set("Content-Type", "application/json")
	if n.config.Format == FormatCloudEvents {
		h.Set("Content-Type", contentTypeEvent)
	}
	h.Set("Idempotency-Key", notifier.Key(id))
	h.Set("X-Backout-Timestamp", timestamp)
	h.Set("X-Backout-Signature", Sign(n.config.Secret, timestamp, body))
	if !n.config.Token.IsZero() {
		h.Set("Authorization", "Bearer "+n.config.Token.Reveal())
	}
	return h
}

// Sign returns the signature of a body sent at a time, for senders and for
// receivers that compare it.
func Sign(secret backout.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
