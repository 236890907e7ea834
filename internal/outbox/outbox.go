// Package outbox carries notices to people. A notice for an audience is put into
// the store once for each of the audience's channels; one goroutine a channel
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
	// Waiting and GivenUp list what has not arrived.
	Waiting(ctx context.Context) ([]store.Pending, error)
	GivenUp(ctx context.Context) ([]store.Pending, error)
}

// Options are what an outbox is made of.
type Options struct {
	Store Store
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
	Templates *notifier.Templates
}

// errRemoved gives up what waits for a channel that is no longer there.
var errRemoved = errors.New("the channel was removed from the config while the notice waited: whoever it was for has not been told")

// Outbox carries notices. Its methods may be called from several goroutines.
type Outbox struct {
	store  Store
	log    *slog.Logger
	config atomic.Pointer[Config]
	health health

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
	b := &Outbox{store: o.Store, log: o.Log, workers: map[string]*worker{}}
	b.config.Store(&Config{})
	return b
}

// Update replaces channels, audiences and templates. Deliveries under way end as
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
	return nil
}

// Send stores the notice for every channel of its audience and returns when that
// is done; it does not wait for the delivery. Sending a notice again is harmless.
// An audience that nobody belongs to is a permanent error: somebody should have
// been told.
func (b *Outbox) Send(ctx context.Context, n backout.Notice) error {
	c := b.config.Load()
	channels := c.Audiences[n.Audience]
	if len(channels) == 0 {
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

// Test sends a test notice through one channel, past the queue, and returns what
// came of it.
func (b *Outbox) Test(ctx context.Context, channel string) error {
	c := b.config.Load()
	if _, ok := c.Channels[channel]; !ok {
		return fmt.Errorf("test channel %q: %w: the config has %s", channel, backout.ErrNotFound, quoted(slices.Sorted(maps.Keys(c.Channels))))
	}
	at := time.Now().UTC()
	n := backout.Notice{
		ID: fmt.Sprintf("test.%d.%s", at.UnixNano(), channel), Moment: backout.MomentTest, Audience: channel,
		ChangeID: "test", At: at,
	}
	if _, err := b.deliver(ctx, channel, n, nil); err != nil {
		return fmt.Errorf("test channel %q: %w", channel, err)
	}
	return nil
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
