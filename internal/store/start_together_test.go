package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// justMade is a cluster on which another server has made a stream a moment ago: it
// cannot be made again, and the node that is asked does not know it yet.
type justMade struct {
	jetstream.JetStream
	made, unknown bool
}

// CreateStream implements [jetstream.JetStream].
func (j *justMade) CreateStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := j.JetStream.CreateStream(ctx, cfg)
	if err == nil && cfg.Name == "BACKOUT_CHANGES" {
		j.made, j.unknown = true, true
		return nil, jetstream.ErrStreamNameAlreadyInUse
	}
	return stream, err
}

// Stream implements [jetstream.JetStream].
func (j *justMade) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if name == "BACKOUT_CHANGES" && j.unknown {
		j.unknown = false
		return nil, jetstream.ErrStreamNotFound
	}
	return j.JetStream.Stream(ctx, name)
}

// forming is a cluster some of whose nodes are not there yet.
type forming struct{ jetstream.JetStream }

// CreateStream implements [jetstream.JetStream].
func (forming) CreateStream(context.Context, jetstream.StreamConfig) (jetstream.Stream, error) {
	return nil, &jetstream.APIError{Code: 400, ErrorCode: 10005, Description: "no suitable peers for placement, peer offline"}
}

func TestClusterThatForms(t *testing.T) {
	js := forming{bustest.Start(t).JetStream()}
	if _, err := store.Open(t.Context(), store.Options{JS: js, Server: "one"}); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("Open: %v, want one that says to come again", err)
	}
}

// TestStreamThatAnotherServerHasJustMade: opening again helps, and the error says so.
func TestStreamThatAnotherServerHasJustMade(t *testing.T) {
	js := &justMade{JetStream: bustest.Start(t).JetStream()}
	if _, err := store.Open(t.Context(), store.Options{JS: js, Server: "one"}); !errors.Is(err, backout.ErrUnavailable) || !js.made {
		t.Fatalf("Open: %v, want one that says to come again", err)
	}
	open(t, js)
}
