package slackedge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/backout-io/backout/notifier/slack"
)

var errConnecting = errors.New("the connection to Slack is being opened")

// hopeless is how long to wait before a token that Slack has refused is tried again.
const hopeless = 5 * time.Minute

// listener is one Socket Mode connection.
type listener struct {
	e       *Edge
	n       *slack.Notifier
	channel string
	cancel  context.CancelFunc

	mu    sync.Mutex
	state error
}

func (l *listener) current() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// run keeps the connection. It says each trouble once.
func (l *listener) run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = l.n.Listen(ctx, slack.Listener{Interaction: l.take, State: l.note})
		sleep(ctx, hopeless)
	}
}

func (l *listener) note(err error) {
	l.mu.Lock()
	before := l.state
	l.state = err
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
