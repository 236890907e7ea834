package simtest

import (
	"context"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// faulty is a JetStream that can be told to fail writes.
type faulty struct {
	jetstream.JetStream

	mu      sync.Mutex
	refuse  bool
	mute    string // prefix of subjects whose answers get lost
	muted   int    // how many more answers get lost
}

var errFull = &jetstream.APIError{Code: 500, ErrorCode: 10077, Description: "no space left on device"}

// PublishMsg implements [jetstream.Publisher].
func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	f.mu.Lock()
	refuse := f.refuse
	mute := f.muted > 0 && strings.HasPrefix(m.Subject, f.mute)
	if mute {
		f.muted--
	}
	f.mu.Unlock()
	if refuse {
		return nil, errFull
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, o...)
	if mute {
		// A code that is not asked again: the answer stays unknown.
		return nil, errFull
	}
	return ack, err
}

func (f *faulty) setRefuse(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

func (f *faulty) loseAnswers(subject string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute, f.muted = subject, n
}
