package itsm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// maxAnswer is how much of an answer is read: a record with its whole journal.
const maxAnswer = 8 << 20

// Client calls one API. It may be used by many goroutines.
type Client struct {
	base   string
	host   string
	auth   notifier.Auth
	header http.Header
	tokens *tokens
	http   *http.Client
}

// NewClient makes a client of the API below the address. The header goes with every
// call.
func NewClient(address string, auth notifier.Auth, header http.Header) (*Client, error) {
	if err := errors.Join(auth.Check(address), auth.CheckValues()); err != nil {
		return nil, backout.Permanent(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, backout.Permanent(notifier.CheckAddress("url", address))
	}
	c := &Client{base: strings.TrimRight(address, "/"), host: u.Host, auth: auth, header: header, http: notifier.HTTPClient()}
	if auth.OAuth() {
		c.tokens = newTokens(auth, c.http)
	}
	return c, nil
}

// Host is whom the client calls, for people.
func (c *Client) Host() string { return c.host }

// Format implements [fmt.Formatter]: no verb reaches a secret.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "client of "+c.host) }

// request is one call.
type request struct {
	method, path string
	query        url.Values
	// in is sent as JSON, out gets the answer's; nil where there is none.
	in, out any
}

// call makes a request and reads the answer. A token that is not taken any more is
// fetched anew once. The error is permanent where trying again is of no use, and
// wraps [backout.ErrNotFound] for a 404.
func (c *Client) call(ctx context.Context, r request) error {
	ctx, cancel := context.WithTimeout(ctx, notifier.HTTPTimeout)
	defer cancel()
	var body []byte
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return backout.Permanent(fmt.Errorf("encode request to %s: %w", c.host, err))
		}
	}
	resp, used, err := c.send(ctx, r, body)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && c.tokens != nil {
		resp.Body.Close()
		c.tokens.drop(used)
		resp, _, err = c.send(ctx, r, body)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.answer(ctx, resp, r.out)
}

// send makes the request once, and says which token it used.
func (c *Client) send(ctx context.Context, r request, body []byte) (*http.Response, string, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, "", backout.Permanent(fmt.Errorf("call %s: its address cannot be used", c.host))
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "backout")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	used := ""
	switch {
	case c.tokens != nil:
		if used, err = c.tokens.get(ctx); err != nil {
			return nil, "", err
		}
		req.Header.Set("Authorization", "Bearer "+used)
	case !c.auth.Token.IsZero():
		req.Header.Set("Authorization", "Bearer "+c.auth.Token.Reveal())
	default:
		req.SetBasicAuth(c.auth.Username, c.auth.Password.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, used, notifier.HTTPUnreachable(ctx, c.host, err, append(c.auth.Secrets(), backout.SecretValue(used))...)
	}
	return resp, used, nil
}

// errNoAPI is a 404 that is a page for people: a proxy says it where the system is away,
// or it is not at this address. Nothing is known of any record then.
var errNoAPI = fmt.Errorf("%w, by a page for people: is the address right", backout.ErrNotFound)

// answer reads what came back.
func (c *Client) answer(ctx context.Context, resp *http.Response, out any) error {
	if resp.StatusCode == http.StatusNotFound {
		said := backout.ErrNotFound
		if pageError(c.host, resp) != nil {
			said = errNoAPI
		}
		return backout.Permanent(fmt.Errorf("call %s: %w", c.host, said))
	}
	if err := notifier.HTTPAnswer(c.host, resp); err != nil {
		return err
	}
	if out == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		return pageError(c.host, resp)
	}
	if err := pageError(c.host, resp); err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("call %s: %w", c.host, ctx.Err())
	case err != nil:
		return fmt.Errorf("call %s: its answer broke off", c.host)
	case len(data) > maxAnswer:
		return backout.Permanent(fmt.Errorf("call %s: its answer is longer than %d MiB", c.host, maxAnswer>>20))
	case json.Unmarshal(data, out) != nil:
		return fmt.Errorf("call %s: its answer is not what the API answers", c.host)
	}
	return nil
}

// pageError finds an answer for people where one for programs was asked for: a
// login page, or a page that says that the instance sleeps. It may pass.
func pageError(host string, resp *http.Response) error {
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "" || kind == "application/json" || strings.HasSuffix(kind, "+json") {
		return nil
	}
	return fmt.Errorf("call %s: it answered with a page for people, such as a login or maintenance page, and not with data", host)
}
