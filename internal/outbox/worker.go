package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

const (
	// deliveryTimeout bounds one delivery, whatever the notifier does.
	deliveryTimeout = 2 * time.Minute
	// restartPause is the wait when the store has sent a worker away.
	restartPause = 10 * time.Second
)

// worker takes one channel's notices out of the store. It lives until the outbox
// is closed, also when its channel is removed: what still comes is then given up
// and listed, and a channel that returns is served again.
type worker struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func (b *Outbox) start(ctx context.Context, channel string) *worker {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &worker{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		b.work(ctx, channel)
	}()
	return w
}

func (b *Outbox) work(ctx context.Context, channel string) {
	for {
		err := b.store.Consume(ctx, channel, func(ctx context.Context, n backout.Notice) (backout.Receipt, error) {
			var thread *backout.Receipt
			if n.RollbackID != "" {
				var err error
				if thread, err = b.store.Thread(ctx, channel, n.RollbackID); err != nil {
					return backout.Receipt{}, err
				}
			}
			return b.deliver(ctx, channel, n, thread)
		})
		if ctx.Err() != nil {
			return
		}
		b.log.Error("notices of a channel are not being delivered", "channel", channel, "error", err)
		pause := time.NewTimer(restartPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// deliver writes the message by the config of this moment and hands it over.
func (b *Outbox) deliver(ctx context.Context, channel string, n backout.Notice, thread *backout.Receipt) (backout.Receipt, error) {
	c := b.config.Load()
	if _, ok := c.Channels[channel]; !ok {
		return backout.Receipt{}, backout.Permanent(errRemoved)
	}
	return b.hand(ctx, c, channel, c.saidToBeGone(channel, b.render(c, channel, n, thread)))
}

// hand gives a message to its channel, and keeps what came of it.
func (b *Outbox) hand(ctx context.Context, c *Config, channel string, m backout.Message) (backout.Receipt, error) {
	within, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	receipt, err := notify(within, c.Channels[channel].Notifier, m)
	if ctx.Err() == nil {
		b.tried(ctx, channel, err)
	}
	return receipt, err
}

// render writes the message as the channel's people read it.
func (b *Outbox) render(c *Config, channel string, n backout.Notice, thread *backout.Receipt) backout.Message {
	style := c.Channels[channel].Style
	style.Audience = c.Kinds[n.Audience]
	m, err := c.Templates.Render(style, n, thread)
	if err != nil {
		b.log.Warn("a template failed and the built-in text was sent instead", "channel", channel, "moment", n.Moment, "error", err)
	}
	return m
}

// errPanic says no more than that: what a notifier panics with may hold secrets.
var errPanic = errors.New("the notifier panicked")

// notify keeps a broken notifier from taking the server, and its rollbacks, with
// it.
func notify(ctx context.Context, n backout.Notifier, m backout.Message) (r backout.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = backout.Receipt{}, backout.Permanent(fmt.Errorf("deliver notice: %w", errPanic))
		}
	}()
	if r, err = n.Notify(ctx, m); err != nil {
		_ = err.Error() // what cannot be said panics here, and nowhere else
	}
	return r, err
}
