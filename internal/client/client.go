// Package client speaks to a backout server's JSON API.
//
// A [Client] has no state but its address, its token and the last known
// difference between the two clocks; it may be used by several goroutines. Errors
// of the server are [*Error] and wrap the root package's sentinels, so callers
// match them with errors.Is on either side of the wire.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
)

// maxAnswer bounds what is read of one answer; step output is capped far below.
const maxAnswer = 64 << 20

// Options say where the server is and who asks.
type Options struct {
	// Server is the base URL: "http://127.0.0.1:8420" or "https://backout.example.org".
	Server string
	// Token is sent as a bearer token; none is sent when it is empty. With a
	// token, plain http is refused for every host but this machine's loopback.
	Token backout.Secret
	// UserAgent names the caller to the server.
	UserAgent string
	// HTTP does the requests; nil means a client of its own that follows no
	// redirects, so that a token never wanders.
	HTTP *http.Client
	// Timeout bounds one request that is not a stream; 0 means 30 seconds.
	Timeout time.Duration
}

// Client asks one server.
type Client struct {
	base    *url.URL
	token   backout.Secret
	agent   string
	http    *http.Client
	timeout time.Duration
	// skew is how far the server's clock is ahead, in nanoseconds.
	skew atomic.Int64
}

// ErrPlainToken says that a token or a password would have crossed a network in the clear.
var ErrPlainToken = errors.New("refusing to send a token or a password over plain http to another machine")

// New checks the address and, when there is a token, that it stays secret.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.Server, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("%w: server address %q: write it as http://HOST:PORT or https://HOST", backout.ErrInvalid, o.Server)
	}
	if base.User != nil {
		return nil, fmt.Errorf("%w: server address: put the credentials in a token file, not in the address", backout.ErrInvalid)
	}
	c := &Client{base: base, token: o.Token, agent: o.UserAgent, http: o.HTTP, timeout: o.Timeout}
	if err := c.private(); err != nil && o.Token.Reveal() != "" {
		return nil, err
	}
	if c.http == nil {
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.timeout == 0 {
		c.timeout = 30 * time.Second
	}
	return c, nil
}

// private refuses an address that secrets would go to in the clear.
func (c *Client) private() error {
	if c.base.Scheme == "http" && !loopback(c.base.Hostname()) {
		return fmt.Errorf("%w: %s: use https", ErrPlainToken, c.base.Host)
	}
	return nil
}

// Server is the address asked.
func (c *Client) Server() string { return c.base.String() }

// ServerTime is now by the server's clock, as far as its answers told; deadlines
// count by that clock.
func (c *Client) ServerTime() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }

// loopback tells whether the host can only be this machine. Names other than
// localhost are not resolved: what they resolve to can change.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// call does one request and decodes its answer. into may be nil, or a *[]byte
// for an answer that is not JSON.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	return c.callWithin(ctx, c.timeout, wanted{method, path, query, body}, into)
}

// wanted is one request in short.
type wanted struct {
	method, path string
	query        url.Values
	body         any
}

func (c *Client) callWithin(ctx context.Context, limit time.Duration, w wanted, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer from %s within %s", c.base.Host, limit))
	defer cancel()
	req, err := c.request(ctx, w.method, w.path, w.query, w.body)
	if err != nil {
		return err
	}
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", c.base.Host, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("read answer of %s: larger than %d MiB", c.base.Host, maxAnswer>>20)
	}
	return decode(c.base.Host, data, into)
}

func decode(host string, data []byte, into any) error {
	switch to := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*to = data
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decode answer of %s: is it a backout server?: %w", host, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(data)
	}
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if token := c.token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// send returns a good answer with its body still to be read, or an error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(req.Context(), err)
	}
	c.noteClock(res)
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return nil, readError(res, data)
}

// unreachable says what hides behind a transport error, without the whole URL.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return cause
		}
		return &ConnectError{Host: c.base.Host, Err: cause}
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return &ConnectError{Host: c.base.Host, Err: err}
}

// noteClock learns the server's clock from an answer. The header counts whole
// seconds, so less than two seconds is no difference.
func (c *Client) noteClock(res *http.Response) {
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := time.Until(at)
	if skew.Abs() < 2*time.Second {
		skew = 0
	}
	c.skew.Store(int64(skew))
}
