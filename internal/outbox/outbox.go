// Package outbox carries notices to people. A notice for an audience is put into
// the store once for each channel that it is routed to; one goroutine a channel
// takes them out in order, writes the words and hands them to the channel's
// notifier. So a channel that is down delays only itself, and nothing is lost by
// a restart.
//
// Trying again, giving up and remembering threads are the store's.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

// Store keeps the notices; [store.Outbox] is one.
type Store interface {
	// Put queues a notice for a channel, once.
	Put(ctx context.Context, channel string, n backout.Notice) error
	// Consume hands the channel's notices to fn, in order, until ctx ends.
	Consume(ctx context.Context, channel string, fn store.DeliverFunc) error
	// Thread finds the first message about a rollback; nil when there is none.
	Thread(ctx context.Context, channel, rollbackID string) (*backout.Receipt, error)
	// Delivery tells how a notice stands on a channel; false when it was not queued there.
	Delivery(ctx context.Context, channel, noticeID string) (d store.Delivery, there bool, err error)
	// Again queues anew what was given up.
	Again(ctx context.Context, channel string, n backout.Notice) error
	// Waiting and GivenUp list what has not arrived, for people.
	Waiting(ctx context.Context) ([]store.Pending, error)
	GivenUp(ctx context.Context) ([]store.Pending, error)
	// Tried keeps how a try to deliver something has ended, Health tells how the last
	// one has: by whichever server.
	Tried(ctx context.Context, channel string, at time.Time, why error) error
	Health(ctx context.Context, channel string) (store.ChannelHealth, error)
}

// Options are what an outbox is made of.
type Options struct {
	Store Store
	// Answers tells whether who gets a message by the channel can answer it now, and why
	// not; a no without a reason says that it is not known yet. Nil means that they can.
	Answers func(channel string) (ok bool, why string)
	// Log gets what is not the answer to a call; nil discards it.
	Log *slog.Logger
}

// Channel is one configured way to people.
type Channel struct {
	Notifier backout.Notifier
	// Style is how the channel's kind writes text.
	Style notifier.Style
}

// Config is what a reload replaces as one.
type Config struct {
	Channels map[string]Channel
	// Audiences names the channels of each audience.
	Audiences map[string][]string
	// Kinds says what kind of people audiences are; one that is not named is of the
	// kind it is called by, see [notifier.KindOf].
	Kinds map[string]notifier.AudienceKind
	// Routes refine Audiences, at times that Intervals holds.
	Routes    []route.Route
	Intervals map[string]route.Interval
	Templates *notifier.Templates
	// read is when the outbox was given it.
	read time.Time
}

// errRemoved gives up what waits for a channel that is no longer there.
var errRemoved = errors.New("the channel was removed from the config while the notice waited: whoever it was for has not been told")

// Outbox carries notices. Its methods may be called from several goroutines.
type Outbox struct {
	store   Store
	log     *slog.Logger
	answers func(channel string) (ok bool, why string)
	config  atomic.Pointer[Config]
	handed  handed

	// mu guards what runs.
	mu      sync.Mutex
	closed  bool
	workers map[string]*worker
}

// New returns an outbox without channels; [Outbox.Update] gives it some.
func New(o Options) *Outbox {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Outbox{store: o.Store, log: o.Log, answers: o.Answers, workers: map[string]*worker{}}
	b.config.Store(&Config{})
	return b
}

// Update replaces channels, audiences, routes and templates. Deliveries under way end as
// they began; what waits goes out by the new config. What waits for a channel
// that is gone is given up, with that reason. ctx bounds the call only. A config
// that is wrong changes nothing.
func (b *Outbox) Update(ctx context.Context, c Config) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("update outbox: %w", err)
	}
	c.Channels, c.Audiences = maps.Clone(c.Channels), maps.Clone(c.Audiences)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("update outbox: %w: it is closed", backout.ErrFinal)
	}
	// Channels that have been removed while no server ran are known by what
	// waits for them.
	waiting, err := b.store.Waiting(ctx)
	if err != nil {
		return fmt.Errorf("update outbox: %w", err)
	}
	c.read = time.Now()
	b.config.Store(&c)
	known := map[string]bool{}
	for name := range b.workers {
		known[name] = true
	}
	for _, p := range waiting {
		known[p.Channel] = true
	}
	for name := range c.Channels {
		known[name] = true
	}
	for name := range known {
		if b.workers[name] == nil {
			b.workers[name] = b.start(ctx, name)
		}
	}
	return nil
}

func (c *Config) validate() error {
	if c.Templates == nil {
		return fmt.Errorf("%w: there are no templates", backout.ErrInvalid)
	}
	for name, ch := range c.Channels {
		if name == "" || ch.Notifier == nil {
			return fmt.Errorf("%w: channel %q has no notifier", backout.ErrInvalid, name)
		}
	}
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		channels := c.Audiences[audience]
		if len(channels) == 0 {
			return fmt.Errorf("%w: audience %q has no channel: nobody would be told", backout.ErrInvalid, audience)
		}
		for _, name := range channels {
			if _, ok := c.Channels[name]; !ok {
				return fmt.Errorf("%w: audience %q names the channel %q, which does not exist", backout.ErrInvalid, audience, name)
			}
		}
	}
	return c.validateRoutes(c.Routes)
}

func (c *Config) validateRoutes(routes []route.Route) error {
	for i := range routes {
		r := &routes[i]
		for _, name := range r.Channels {
			if _, ok := c.Channels[name]; !ok {
				return fmt.Errorf("%w: a route names the channel %q, which does not exist", backout.ErrInvalid, name)
			}
		}
		for _, name := range slices.Concat(r.During, r.Mute) {
			if _, ok := c.Intervals[name]; !ok {
				return fmt.Errorf("%w: a route names the time interval %q, which does not exist", backout.ErrInvalid, name)
			}
		}
		if err := c.validateRoutes(r.Routes); err != nil {
			return err
		}
	}
	return nil
}

// decide routes a notice by its own time, so that one that is sent again goes where
// it went before.
func (c *Config) decide(n backout.Notice) route.Decision {
	at := n.At
	if at.IsZero() {
		at = time.Now()
	}
	table := route.Table{Audiences: c.Audiences, Intervals: c.Intervals, Routes: c.Routes}
	d := table.Decide(n, at)
	if c.gone(n) {
		return c.instead(table, d, n, at)
	}
	return d
}

// Route names the channels that a notice would be sent through now.
func (b *Outbox) Route(n backout.Notice) []string { return b.config.Load().decide(n).Channels }

// Send stores the notice for every channel that it is routed to and returns when that
// is done; it does not wait for the delivery. Sending a notice again is harmless.
// What a rollback tells an audience that is gone from the config goes to all who can act.
// An audience that nobody belongs to is a permanent error otherwise: somebody should have
// been told. A notice that a time interval silences is not.
func (b *Outbox) Send(ctx context.Context, n backout.Notice) error {
	c := b.config.Load()
	decision := c.decide(n)
	channels := decision.Channels
	if c.gone(n) {
		b.log.Warn("a notice is for an audience that the config does not have any more, and goes to all who can act",
			"notice_id", n.ID, "moment", n.Moment, "audience", n.Audience, "rollback", n.RollbackID, "channels", channels)
	}
	switch {
	case len(channels) > 0:
	case len(decision.Steps) > 0:
		b.log.Info("notice silenced by a time interval", "notice_id", n.ID, "moment", n.Moment, "audience", n.Audience, "interval", decision.Steps[0].Muted, "route", decision.Steps[0].Route)
		return nil
	default:
		names := slices.Sorted(maps.Keys(c.Audiences))
		return backout.Permanent(fmt.Errorf("send notice %s: audience %q: %w: the config has %s", n.ID, n.Audience, backout.ErrNotFound, quoted(names)))
	}
	var failed error
	for _, channel := range channels {
		if err := b.store.Put(ctx, channel, n); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return fmt.Errorf("send notice %s: %w", n.ID, failed)
	}
	return nil
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "no audiences"
	}
	return strings.Join(names, ", ")
}

// Undelivered is what has not arrived.
type Undelivered struct {
	// Waiting will be tried again; GivenUp will not. Oldest first.
	Waiting, GivenUp []store.Pending
}

// List returns what has not arrived.
func (b *Outbox) List(ctx context.Context) (Undelivered, error) {
	var list Undelivered
	var err error
	if list.Waiting, err = b.store.Waiting(ctx); err != nil {
		return Undelivered{}, fmt.Errorf("list notices: %w", err)
	}
	if list.GivenUp, err = b.store.GivenUp(ctx); err != nil {
		return Undelivered{}, fmt.Errorf("list notices: %w", err)
	}
	return list, nil
}

// Close ends the deliveries under way and waits for them. What waits stays in
// the store.
func (b *Outbox) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, w := range b.workers {
		w.cancel()
	}
	for _, w := range b.workers {
		<-w.ended
	}
	clear(b.workers)
}
