package slackedge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier/slack"
)

const (
	// hopeless is how long to wait before a token that Slack has refused is tried again.
	hopeless = 5 * time.Minute
	// longestPause is how long buttons, and with them the clocks of veto windows, may
	// stay dead after the way to Slack is open again.
	longestPause = 25 * time.Second
	// shortPause comes after what was a connection: it keeps one that ends at once, time
	// and again, from asking Slack without a pause.
	shortPause = time.Second
)

// listener is one Socket Mode connection.
type listener struct {
	e       *Edge
	n       *slack.Notifier
	channel string
	cancel  context.CancelFunc
	// listen is the notifier's Listen.
	listen func(context.Context, slack.Listener) error

	mu    sync.Mutex
	state error
	// opened says that there was a connection since listen was called.
	opened bool
}

func (l *listener) current() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// run keeps the connection. It says each trouble once. The first tries follow each
// other fast; while nothing comes of them there is one in each pause.
func (l *listener) run(ctx context.Context) {
	patience := longestPause
	for ctx.Err() == nil {
		err := l.listen(ctx, slack.Listener{Interaction: l.take, State: l.note, Patience: patience})
		had := l.hadOne()
		patience = 0
		if had {
			patience = longestPause
		}
		sleep(ctx, pauseAfter(err, had))
	}
}

// hadOne tells whether there was a connection since it was asked last.
func (l *listener) hadOne() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	had := l.opened
	l.opened = false
	return had
}

// pauseAfter is how long nothing is tried after an error; had says that there was a
// connection before it.
func pauseAfter(err error, had bool) time.Duration {
	pause := longestPause
	if had {
		pause = shortPause
	}
	var asks interface{ RetryAfter() time.Duration }
	switch {
	case backout.IsPermanent(err):
		return hopeless
	case errors.As(err, &asks):
		return max(asks.RetryAfter(), pause)
	}
	return pause
}

func (l *listener) note(err error) {
	l.mu.Lock()
	before := l.state
	if before != nil && errors.Is(err, slack.ErrConnecting) {
		l.mu.Unlock() // that it is tried anew cures nothing: why it failed stays the reason
		return
	}
	l.state, l.opened = err, l.opened || err == nil
	l.mu.Unlock()
	switch {
	case err == nil && before != nil:
		l.e.o.Log.Info("connected to Slack", "channel", l.channel)
	case err != nil && (before == nil || before.Error() != err.Error()):
		l.e.o.Log.Warn("not connected to Slack", "channel", l.channel, "error", err)
	}
}

// take answers what came by this connection, which speaks for its own app alone.
func (l *listener) take(ctx context.Context, envelope string, payload []byte) (slack.Reply, error) {
	return l.e.interaction(ctx, envelope, payload, func(n *slack.Notifier) bool { return n.Socket() && n.SameSocket(l.n) })
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
