package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// electing is a cluster of which a stream has no leader at times.
type electing struct {
	jetstream.JetStream
	objects, info error
}

func (e electing) ObjectStore(ctx context.Context, name string) (jetstream.ObjectStore, error) {
	if e.objects != nil {
		return nil, e.objects
	}
	return e.JetStream.ObjectStore(ctx, name)
}

func (e electing) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := e.JetStream.Stream(ctx, name)
	return behind{s, e.info}, err
}

// behind is a stream with copies whose leader is catching up, and gone when asked
// again.
type behind struct {
	jetstream.Stream
	err error
}

func (b behind) CachedInfo() *jetstream.StreamInfo {
	info := *b.Stream.CachedInfo()
	if b.err != nil {
		info.Config.Replicas, info.State.LastSeq, info.State.Msgs = 3, 0, 0
	}
	return &info
}

func (b behind) Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Stream.Info(ctx, opts...)
}

// TestOpenInAnElectionMayBeTriedAgain: whoever opens waits for what is unavailable,
// and gives up at anything else.
func TestOpenInAnElectionMayBeTriedAgain(t *testing.T) {
	b := bustest.Start(t)
	marks, _ := b.Marks()
	o := store.Options{JS: b.JetStream(), Server: "one", Marks: marks}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	populate(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, js := range map[string]electing{
		"no answer about objects": {objects: nats.ErrNoResponders},
		"no answer of a stream":   {info: &jetstream.APIError{Code: 503, Description: "no leader"}},
	} {
		js.JetStream = b.JetStream()
		o.JS = js
		if _, err := store.Open(t.Context(), o); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	o.JS = electing{JetStream: b.JetStream()}
	s, err = store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
