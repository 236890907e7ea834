package itsm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// tokens keeps the access token of an OAuth client until it expires or is dropped.
type tokens struct {
	config clientcredentials.Config
	host   string
	secret backout.Secret
	http   *http.Client

	// turn lets one fetch at a time; a caller whose context ends does not wait.
	turn chan struct{}
	mu   sync.Mutex
	now  *oauth2.Token
}

func newTokens(auth notifier.Auth, client *http.Client) *tokens {
	host := auth.TokenURL
	if u, err := url.Parse(auth.TokenURL); err == nil {
		host = u.Host
	}
	return &tokens{
		config: clientcredentials.Config{
			ClientID: auth.ClientID, ClientSecret: auth.ClientSecret.Reveal(), TokenURL: auth.TokenURL, Scopes: auth.Scopes,
			// The one way that every server of the two systems takes; to try both would
			// send each wrong secret twice.
			AuthStyle: oauth2.AuthStyleInParams,
		},
		host: host, secret: auth.ClientSecret, http: client, turn: make(chan struct{}, 1),
	}
}

// get returns a token that has not expired, fetched if need be.
func (t *tokens) get(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("get a token from %s: %w", t.host, ctx.Err())
	}
	if token := t.kept(); token.Valid() {
		return token.AccessToken, nil
	}
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.http))
	if err != nil {
		return "", t.fault(ctx, err)
	}
	t.keep(token)
	return token.AccessToken, nil
}

// drop forgets the token, unless another has come meanwhile.
func (t *tokens) drop(used string) {
	if token := t.kept(); token != nil && token.AccessToken == used {
		t.keep(nil)
	}
}

func (t *tokens) kept() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *tokens) keep(token *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = token
}

// fault sorts what kept a token from coming. The library's error holds the answer's
// body, which stays out of ours.
func (t *tokens) fault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("get a token from %s: %w", t.host, ctx.Err())
	}
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil {
		if err := notifier.HTTPAnswer(t.host, refused.Response); err != nil {
			return fmt.Errorf("get a token: %w", err)
		}
		return fmt.Errorf("get a token from %s: its answer holds none", t.host)
	}
	if reached, ok := errors.AsType[*url.Error](err); ok {
		return notifier.HTTPUnreachable(ctx, t.host, reached, t.secret)
	}
	return fmt.Errorf("get a token from %s: its answer is not one of OAuth", t.host)
}
