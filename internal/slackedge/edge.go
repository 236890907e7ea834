// Package slackedge is where Slack and the rollbacks meet. It keeps the cards of
// interactive channels up to date, and takes what people press and send there to the
// same decisions that every other way leads to.
//
// The first message about a rollback in a channel is its card; the outbox posts it, and
// its receipt is how the card is found again after a restart. What a card shows is kept
// in the store, so that of several servers one edits it. What somebody presses counts
// once, whichever connection it comes by: the store remembers it before anything is
// decided, and Slack is told that it was taken only once the decision is on disk.
package slackedge

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier/slack"
)

// Reader reads what cards show, on behalf of nobody in particular.
type Reader interface {
	Rollback(ctx context.Context, id string) (backout.Rollback, error)
	ListRollbacks(ctx context.Context, f handlers.RollbackFilter) ([]backout.Rollback, error)
	RollbackLog(ctx context.Context, id string) ([]handlers.LogEntry, error)
}

// Decider takes decisions; it refuses whoever may not take them.
type Decider interface {
	Vote(ctx context.Context, by handlers.Actor, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error)
	Act(ctx context.Context, by handlers.Actor, id string, a handlers.Action) (backout.Rollback, error)
}

// Store remembers what was done; [store.Outbox] is one.
type Store interface {
	Thread(ctx context.Context, channel, rollbackID string) (*backout.Receipt, error)
	Once(ctx context.Context, key string) (first bool, err error)
	Card(ctx context.Context, channel, rollbackID string) (store.ShownCard, error)
	PutCard(ctx context.Context, channel, rollbackID string, card store.ShownCard) (store.ShownCard, error)
}

// Options are what an edge is made of.
type Options struct {
	Reader   Reader
	Decider  Decider
	Accounts handlers.Accounts
	Store    Store
	// Watch calls fn, which does not block, with the id of every rollback that has
	// moved, until stop is called.
	Watch func(fn func(rollbackID string)) (stop func())
	// Server is this server's name; Sole says that no other uses the store.
	Server string
	Sole   bool
	// ExternalURL is where people find this server; empty leaves links out.
	ExternalURL string
	// Every is how far apart edits of one card are that tell of progress only; 0 means
	// 3 s.
	Every time.Duration
	// Refused is told of everything that was refused, after the log; nil is not.
	Refused func(context.Context, Refusal)
	Log     *slog.Logger
}

// Refusal is something that somebody wanted in Slack and did not get.
type Refusal struct {
	Team, User string
	// Person is who the account is linked to, empty when nobody knows.
	Person     string
	Action     string
	RollbackID string
	AskID      string
	// Why is one of the Why constants.
	Why  string
	Text string
}

// Why something was refused.
const (
	WhyForged    = "forged"
	WhyExpired   = "expired"
	WhyReplayed  = "replayed"
	WhyInvalid   = "invalid"
	WhyStranger  = "stranger"
	WhyUnmapped  = "unmapped"
	WhyInactive  = "inactive"
	WhyStale     = "stale"
	WhyForbidden = "forbidden"
	WhyRefused   = "refused"
	WhyDown      = "unavailable"
)

// Edge serves the interactive Slack channels of a config. Its methods may be called
// from several goroutines.
type Edge struct {
	o      Options
	keeper *keeper
	people people

	// ctx ends with Close; every goroutine is counted in tasks.
	ctx    context.Context //nolint:containedctx // the life of the edge's own goroutines
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	stop   func()

	mu        sync.Mutex
	closed    bool
	channels  map[string]*slack.Notifier
	listeners []*listener
}

// New starts an edge without channels.
func New(o Options) *Edge {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{o: o, ctx: ctx, cancel: cancel, channels: map[string]*slack.Notifier{}}
	e.keeper = newKeeper(e)
	e.stop = o.Watch(e.keeper.moved)
	e.tasks.Go(func() { e.keeper.run(ctx) })
	return e
}

// Update serves these channels, by their names in the config, from now on; those that
// are not interactive are left alone. Connections that are open and
// whose token stays are kept.
func (e *Edge) Update(channels map[string]*slack.Notifier) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	next := map[string]*slack.Notifier{}
	for name, n := range channels {
		if n.Interactive() {
			next[name] = n
			n.ShowCards(cards{e: e, channel: name})
		}
	}
	e.channels = next
	e.connect()
	e.tasks.Go(func() { e.keeper.everything(e.ctx) })
}

// connect keeps one connection for each app-level token. One that is not open is begun
// anew: whoever reloads has mended something. The caller holds mu.
func (e *Edge) connect() {
	var keep []*listener
	for _, l := range e.listeners {
		wanted := e.find(func(n *slack.Notifier) bool { return n.Socket() && n.SameSocket(l.n) }) != nil
		if wanted && l.current() == nil {
			keep = append(keep, l)
		} else {
			l.cancel()
		}
	}
	e.listeners = keep
	for _, name := range slices.Sorted(maps.Keys(e.channels)) {
		n := e.channels[name]
		if !n.Socket() || slices.ContainsFunc(e.listeners, func(l *listener) bool { return l.n.SameSocket(n) }) {
			continue
		}
		ctx, cancel := context.WithCancel(e.ctx)
		l := &listener{e: e, n: n, channel: name, cancel: cancel, listen: n.Listen, state: slack.ErrConnecting}
		e.listeners = append(e.listeners, l)
		e.tasks.Go(func() { l.run(ctx) })
	}
}

// find returns the first channel, by name, that fits. The caller holds mu.
func (e *Edge) find(fits func(*slack.Notifier) bool) *slack.Notifier {
	for _, name := range slices.Sorted(maps.Keys(e.channels)) {
		if fits(e.channels[name]) {
			return e.channels[name]
		}
	}
	return nil
}

func (e *Edge) channelNamed(name string) *slack.Notifier {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.channels[name]
}

func (e *Edge) channelNames() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.channels))
}

// Reach tells whether people could answer in the channel now, and why not. Where it has
// no buttons they answer elsewhere; where Slack posts to this server it is not known
// before somebody presses something.
func (e *Edge) Reach(channel string) (ok bool, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.channels[channel]
	if n == nil || !n.Socket() {
		return true, ""
	}
	for _, l := range e.listeners {
		if l.n.SameSocket(n) {
			if err := l.current(); err != nil {
				return false, err.Error()
			}
			return true, ""
		}
	}
	return false, slack.ErrConnecting.Error()
}

// Close ends connections and edits and waits for them. What was shown is kept; the
// next start goes on from there.
func (e *Edge) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.cancel()
	e.tasks.Wait()
}

// spawn runs fn unless the edge is closed.
func (e *Edge) spawn(fn func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.tasks.Go(func() { fn(e.ctx) })
	}
}
