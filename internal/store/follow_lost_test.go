package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// loseFirst loses the first follower's request for messages, as a link does that
// is cut while it is on its way: nothing comes, though the consumer has something.
type loseFirst struct {
	jetstream.JetStream
	lost bool
}

// CreateConsumer implements [jetstream.JetStream].
func (l *loseFirst) CreateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := l.JetStream.CreateConsumer(ctx, stream, cfg)
	if err != nil || stream != "BACKOUT_CHANGES" || l.lost {
		return c, err
	}
	l.lost = true
	cfg.FilterSubject = "backout.changes.nobody"
	other, err := l.JetStream.CreateConsumer(ctx, stream, cfg)
	return asksInVain{c, other}, err
}

// asksInVain asks another consumer, which has nothing.
type asksInVain struct {
	jetstream.Consumer
	other jetstream.Consumer
}

// Messages implements [jetstream.Consumer].
func (c asksInVain) Messages(opts ...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	return c.other.Messages(opts...)
}

// TestLostRequestIsNoticed: a follower that has not caught up asks again for what
// does not come, long before its consumer goes away by itself.
func TestLostRequestIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bustest.Start(t)
		last := mustAppend(t, open(t, b.JetStream()).Changes, "CHG1", 0, "planned")
		s := open(t, &loseFirst{JetStream: b.JetStream()})
		began, seen := time.Now(), uint64(0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = s.Changes.Follow(ctx, 0, func(e store.Entry) error { seen = e.Seq; return nil }, cancel)
		if took := time.Since(began); seen != last || took < time.Second || took > 10*time.Second {
			t.Errorf("caught up with record %d after %s, want %d within 10s", seen, took, last)
		}
	})
}
