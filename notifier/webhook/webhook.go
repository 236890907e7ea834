// Package webhook posts notices as signed JSON to any address.
//
// The body is [Body]. The request carries Idempotency-Key (the notice's id: the
// same for every delivery of it), X-Backout-Timestamp (seconds since 1970) and
// X-Backout-Signature, "sha256=" and the hex HMAC-SHA256, keyed by the secret, of
// the timestamp, a dot and the body. A receiver compares the signature in constant
// time and refuses timestamps older than five minutes.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// timeout bounds one request; what takes longer is tried again.
const timeout = 10 * time.Second

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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Notices are rare: a kept connection would only be a goroutine to end.
	transport.DisableKeepAlives = true
	return &Notifier{config: c, host: u.Host, client: &http.Client{
		Transport: transport,
		// Signature and token go where the config says, not where an answer points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Notifier posts to one address. It may be used by many goroutines.
type Notifier struct {
	config Config
	host   string
	client *http.Client
}

// Notify implements [backout.Notifier].
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(Body{Version: Version, Subject: m.Subject, Text: m.Text, Notice: m.Notice})
	if err != nil {
		return backout.Receipt{}, backout.Permanent(fmt.Errorf("encode notice: %w", err))
	}
	req, err := n.request(ctx, m.Notice.ID, body)
	if err != nil {
		return backout.Receipt{}, backout.Permanent(err)
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return backout.Receipt{}, n.unreachable(ctx, err)
	}
	// The answer's body is never read into an error or a log: it is somebody
	// else's text. A little is drained so that the peer sees a clean end.
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	if err := n.answer(resp); err != nil {
		return backout.Receipt{}, err
	}
	return backout.Receipt{Ref: m.Notice.ID, Channel: n.host}, nil
}

func (n *Notifier) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errBadURL
	}
	for name, value := range n.config.Headers {
		req.Header.Set(name, value)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "backout")
	req.Header.Set("Idempotency-Key", notifier.Key(id))
	req.Header.Set("X-Backout-Timestamp", timestamp)
	req.Header.Set("X-Backout-Signature", Sign(n.config.Secret, timestamp, body))
	if !n.config.Token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+n.config.Token.Reveal())
	}
	return req, nil
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

// unreachable says why there was no answer, without the address: its path may
// be a secret.
func (n *Notifier) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("post to webhook at %s: %w", n.host, ctx.Err())
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("post to webhook at %s: %s", n.host, notifier.Redact(err.Error(), n.config.Secret, n.config.Token))
}

// answer sorts what the peer said: taken, to be tried again, or refused.
func (n *Notifier) answer(resp *http.Response) error {
	status := resp.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	err := fmt.Errorf("post to webhook at %s: it answered %d %s", n.host, status, http.StatusText(status))
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return notifier.RetryAfter(err, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	case status >= 300 && status <= 399:
		return backout.Permanent(fmt.Errorf("%w: redirects are not followed, write the final address into url", err))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return backout.Permanent(fmt.Errorf("%w: check secret and token on both sides", err))
	}
	return backout.Permanent(fmt.Errorf("%w: check url, and what the receiver wants", err))
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
