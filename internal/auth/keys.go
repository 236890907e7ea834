package auth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxKeys bounds what a provider's keys may take.
const maxKeys = 1 << 20

// keys remembers what the provider answered when it was asked for its keys, a no too, for
// askAgain: with each token that no known key signed they are asked for anew, and anybody
// can send such tokens.
type keys struct {
	next http.RoundTripper

	mu   sync.Mutex
	from string // the address of the keys; "" until it is known
	last keysAnswer
	at   time.Time
}

// keysAnswer is what came of asking: err when nobody answered.
type keysAnswer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// remember returns a client that reads the keys seldom, and what it remembers.
func remember(client *http.Client) (*http.Client, *keys) {
	out, k := *client, &keys{next: cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport)}
	out.Transport = k
	return &out, k
}

// stand says where the keys are.
func (k *keys) stand(address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.from = address
}

// RoundTrip implements [http.RoundTripper].
func (k *keys) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	ours, last := r.Method == http.MethodGet && k.from != "" && r.URL.String() == k.from, k.last
	fresh := time.Since(k.at) < askAgain
	k.mu.Unlock()
	if !ours {
		return k.next.RoundTrip(r)
	}
	if !fresh {
		last = k.ask(r)
		if !errors.Is(r.Context().Err(), context.Canceled) { // else only this caller gave up
			k.mu.Lock()
			k.last, k.at = last, time.Now()
			k.mu.Unlock()
		}
	}
	if last.err != nil {
		return nil, last.err
	}
	return &http.Response{
		Status: http.StatusText(last.status), StatusCode: last.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: last.header.Clone(), ContentLength: int64(len(last.body)), Body: io.NopCloser(bytes.NewReader(last.body)),
	}, nil
}

func (k *keys) ask(r *http.Request) keysAnswer {
	res, err := k.next.RoundTrip(r)
	if err != nil {
		return keysAnswer{err: err}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeys))
	_ = res.Body.Close()
	return keysAnswer{status: res.StatusCode, header: res.Header, body: body, err: err}
}
