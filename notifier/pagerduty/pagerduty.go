// Package pagerduty tells PagerDuty: a rollback is one alert, triggered when it begins
// and resolved when nobody has to do anything any more. News about a change (a window
// has opened or closed, the gate has refused) is a change event, which wakes nobody and
// stands beside the incidents of its service.
//
// The shapes are from PagerDuty's documentation (github.com/PagerDuty/developer-docs,
// docs/events-API-v2/02-Trigger-Events.md and 03-Change-Events.md) and its OpenAPI file
// (github.com/PagerDuty/api-schema, reference/events-v2/openapiv3.json): POST
// /v2/enqueue and /v2/change/enqueue, answers 202; 429 and 5xx are tried again, 400 is
// not. A summary has at most 1024 characters, a dedup_key 255.
package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Kind is the channel type.
func Kind() notifier.Kind {
	return notifier.Define("pagerduty", "an alert in PagerDuty for each rollback, change events for its windows", build)
}

func build(_ context.Context, c Config) (backout.Notifier, error) { return New(c) }

// New makes the notifier of an integration.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	if err := checkKey(c.RoutingKey); err != nil {
		return nil, backout.Permanent(err)
	}
	if c.URL == "" {
		c.URL = defaultURL
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, backout.Permanent(errBadURL)
	}
	return &Notifier{key: c.RoutingKey, base: strings.TrimRight(c.URL, "/"), host: u.Host, client: notifier.HTTPClient()}, nil
}

// Notifier sends to one integration. It may be used by many goroutines.
type Notifier struct {
	key        backout.Secret
	base, host string
	client     *http.Client
}

// Format implements [fmt.Formatter]: no verb reaches the key.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "pagerduty at "+n.host) }

// Notify implements [backout.Notifier].
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, notifier.HTTPTimeout)
	defer cancel()
	e := compose(m)
	e.RoutingKey = n.key.Reveal()
	path := "/v2/enqueue"
	if e.Action == "" {
		path = "/v2/change/enqueue"
	}
	body, err := json.Marshal(e)
	if err != nil {
		return backout.Receipt{}, backout.Permanent(fmt.Errorf("encode event: %w", err))
	}
	if err := notifier.PostJSON(ctx, n.client, n.base+path, n.host, nil, body, n.key); err != nil {
		return backout.Receipt{}, err
	}
	ref := e.DedupKey
	if ref == "" {
		ref = notifier.Key(m.Notice.ID)
	}
	return backout.Receipt{Ref: ref, Channel: n.host}, nil
}
