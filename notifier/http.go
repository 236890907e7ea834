package notifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// HTTPTimeout bounds one request of a channel; what takes longer is tried again.
const HTTPTimeout = 10 * time.Second

// HTTPClient returns a client for a channel's requests: it keeps no connection,
// since notices are rare, and follows no redirect, since secrets go where the config
// says and not where an answer points.
func HTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// HTTPUnreachable makes the error of a request that got no answer: it names the host
// alone, since the rest of an address may be a secret, and shows none of the secrets.
// The end of ctx is never marked permanent.
func HTTPUnreachable(ctx context.Context, host string, err error, secrets ...backout.Secret) error {
	if ctx.Err() != nil {
		return fmt.Errorf("post to %s: %w", host, ctx.Err())
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("post to %s: %s", host, Redact(err.Error(), secrets...))
}

// HTTPAnswer sorts an answer by its status: nil for 2xx; an error that passes, with
// Retry-After where there is one, for 408, 425, 429 and 5xx; [backout.Permanent] for
// everything else. The answer's body is somebody else's text and stays out of it.
func HTTPAnswer(host string, resp *http.Response) error {
	status := resp.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	err := fmt.Errorf("post to %s: it answered %d %s", host, status, http.StatusText(status))
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return RetryAfter(err, ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now()))
	case status >= 300 && status <= 399:
		return backout.Permanent(fmt.Errorf("%w: redirects are not followed, write the final address into the config", err))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return backout.Permanent(fmt.Errorf("%w: check the secrets on both sides", err))
	}
	return backout.Permanent(fmt.Errorf("%w: check the address, and what the receiver wants", err))
}

// ParseRetryAfter reads the header of that name: seconds or a date (RFC 9110,
// section 10.2.3). Anything else is zero.
func ParseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// PostJSON posts a body of JSON and sorts what comes of it as [HTTPAnswer] and
// [HTTPUnreachable] do. host is how errors name the address; they show neither the
// rest of it nor the secrets. The answer's body is not looked at.
func PostJSON(ctx context.Context, client *http.Client, address, host string, header http.Header, body []byte, secrets ...backout.Secret) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return backout.Permanent(fmt.Errorf("post to %s: the address cannot be used", host))
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "backout")
	resp, err := client.Do(req)
	if err != nil {
		return HTTPUnreachable(ctx, host, err, secrets...)
	}
	defer resp.Body.Close()
	// A little is drained so that the peer sees a clean end.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return HTTPAnswer(host, resp)
}

// WebAddress returns what stands in a text when it is an http or https address and
// nothing else, otherwise nothing: what people can click leads nowhere else.
func WebAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^`+"`{|}", r) }) {
		return ""
	}
	return text
}
