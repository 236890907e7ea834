// Package alertmanager tells an Alertmanager, so that the user's own receivers and
// routes carry notices too. Each moment is an alert of its own, since Alertmanager
// tells nobody of an alert that fires already: the alert of the moment before ends when
// the next one is told, and the last one when nobody has to do anything any more.
//
// Their names begin with [backout.OwnAlertPrefix]: when they come back to backout, they
// speak against no change.
//
// The API is Alertmanager's OpenAPI file, api/v2/openapi.yaml: GET and POST
// /api/v2/alerts. What fires is asked there and kept nowhere else, so a restart of
// either side forgets nothing.
package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Kind is the channel type.
func Kind() notifier.Kind {
	return notifier.Define("alertmanager", "alerts in an Alertmanager, for the receivers that are there", build)
}

func build(_ context.Context, c Config) (backout.Notifier, error) { return New(c) }

// New makes the notifier of a cluster.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	if !c.Token.IsZero() && c.Token.Reveal() == "" || c.Username != "" && c.Password.Reveal() == "" {
		return nil, backout.Permanent(errors.New("alertmanager token or password is empty: put it there, or take the key out"))
	}
	client, err := c.client()
	if err != nil {
		return nil, backout.Permanent(err)
	}
	n := &Notifier{config: c, client: client}
	for _, address := range c.URLs {
		u, err := url.Parse(address)
		if err != nil {
			return nil, backout.Permanent(errors.New("urls: an address cannot be read"))
		}
		n.peers = append(n.peers, peer{address: u.JoinPath("/api/v2/alerts").String(), host: u.Host, slow: new(atomic.Int64)})
	}
	return n, nil
}

// Notifier posts to the Alertmanagers of one cluster. It may be used by many
// goroutines.
type Notifier struct {
	config Config
	client *http.Client
	peers  []peer
}

type peer struct {
	address, host string
	// slow is until when it gets only the little grace, in nanoseconds since 1970.
	slow *atomic.Int64
}

const (
	// grace is how long a notice that one has taken waits for the others.
	grace = 2 * time.Second
	// slowFor is how long one that needed longer gets only littleGrace, unless it takes a
	// notice within that: it would delay all notices that come after. What it does not
	// take it never hears, so one that is well again is to be told at once.
	slowFor     = 30 * time.Second
	littleGrace = 250 * time.Millisecond
)

// Format implements [fmt.Formatter]: no verb reaches a secret.
func (n *Notifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "alertmanager at "+n.peers[0].host)
}

// Notify implements [backout.Notifier]. All of the cluster are told; one that takes it
// is enough, and the others have a little time left then.
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	errs := n.tellAll(ctx, m)
	if i := slices.Index(errs, nil); i >= 0 {
		return backout.Receipt{Ref: notifier.Key(m.Notice.ID), Channel: n.peers[i].host}, nil
	}
	// One that may take it later is worth another try.
	if i := slices.IndexFunc(errs, func(err error) bool { return !backout.IsPermanent(err) }); i >= 0 {
		return backout.Receipt{}, errs[i]
	}
	return backout.Receipt{}, errs[0]
}

// tellAll tells all of the cluster, and returns what came of each.
func (n *Notifier) tellAll(ctx context.Context, m backout.Message) []error {
	type outcome struct {
		i   int
		err error
	}
	outcomes := make(chan outcome, len(n.peers))
	running := map[int]context.CancelFunc{}
	for i, p := range n.peers {
		within, cancel := context.WithTimeout(ctx, 2*notifier.HTTPTimeout)
		defer cancel()
		running[i] = cancel
		go func() { outcomes <- outcome{i, n.tell(within, p, m)} }()
	}
	errs := make([]error, len(n.peers))
	var soon, late <-chan time.Time
	for len(running) > 0 {
		select {
		case o := <-outcomes:
			errs[o.i] = o.err
			delete(running, o.i)
			if o.err != nil {
				continue
			}
			n.peers[o.i].slow.Store(0)
			if late == nil {
				soon = time.After(littleGrace)
				late = time.After(grace)
			}
		case <-soon:
			n.leave(running, func(p peer) bool { return time.Now().UnixNano() < p.slow.Load() })
		case <-late:
			n.leave(running, func(p peer) bool { p.slow.Store(time.Now().Add(slowFor).UnixNano()); return true })
		}
	}
	return errs
}

// leave ends what is still under way with those that nobody waits for.
func (n *Notifier) leave(running map[int]context.CancelFunc, left func(peer) bool) {
	for i, cancel := range running {
		if left(n.peers[i]) {
			cancel()
		}
	}
}

// tell posts the notice's alert, and the end of those that it replaces.
func (n *Notifier) tell(ctx context.Context, p peer, m backout.Message) error {
	now := time.Now().UTC()
	mine := n.config.compose(m, now)
	var posts []alert
	if replaced := replaces(m.Notice.Moment); len(replaced) > 0 {
		open, err := n.open(ctx, p, mine, replaced)
		if err != nil {
			return err
		}
		for _, a := range open {
			if maps.Equal(a.Labels, mine.Labels) {
				continue
			}
			// The words of what came after: that is what "resolved" then says.
			posts = append(posts, alert{Labels: a.Labels, Annotations: mine.Annotations, StartsAt: a.StartsAt, EndsAt: now, GeneratorURL: mine.GeneratorURL})
		}
	}
	if !ends(m.Notice.Moment) || len(posts) == 0 {
		posts = append(posts, mine)
	}
	body, err := json.Marshal(posts)
	if err != nil {
		return backout.Permanent(fmt.Errorf("encode alerts: %w", err))
	}
	return notifier.PostJSON(ctx, n.client, p.address, p.host, n.header(), body, n.config.Token, n.config.Password)
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// open asks which alerts fire about the same thing. The filters keep the answer small;
// what they let through is looked at again.
func (n *Notifier) open(ctx context.Context, p peer, mine alert, replaced []backout.Moment) ([]alert, error) {
	query := url.Values{"filter": {`moment!=""`, filter("change", mine), filter("rollback", mine)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address+"?"+query.Encode(), nil)
	if err != nil {
		return nil, backout.Permanent(fmt.Errorf("ask %s: the address cannot be used", p.host))
	}
	maps.Copy(req.Header, n.header())
	resp, err := n.client.Do(req)
	if err != nil {
		return nil, notifier.HTTPUnreachable(ctx, p.host, err, n.config.Token, n.config.Password)
	}
	defer resp.Body.Close()
	if err := notifier.HTTPAnswer(p.host, resp); err != nil {
		return nil, err
	}
	var all []alert
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&all); err != nil {
		return nil, fmt.Errorf("ask %s: its answer is no list of alerts: is it an Alertmanager?", p.host)
	}
	return slices.DeleteFunc(all, func(a alert) bool {
		return !strings.HasPrefix(a.Labels["alertname"], backout.OwnAlertPrefix) || a.Labels["change"] != mine.Labels["change"] ||
			a.Labels["rollback"] != mine.Labels["rollback"] || !slices.Contains(replaced, backout.Moment(a.Labels["moment"]))
	}), nil
}

var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// filter is a matcher. Both of Alertmanager's parsers know these two escapes and take
// everything else as it is; a label's value has no line breaks.
func filter(label string, a alert) string {
	return label + `="` + quoter.Replace(a.Labels[label]) + `"`
}

func (n *Notifier) header() http.Header {
	h := http.Header{}
	switch {
	case !n.config.Token.IsZero():
		h.Set("Authorization", "Bearer "+n.config.Token.Reveal())
	case n.config.Username != "":
		r := http.Request{Header: h}
		r.SetBasicAuth(n.config.Username, n.config.Password.Reveal())
	}
	return h
}
