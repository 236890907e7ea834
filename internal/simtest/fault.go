package simtest

import (
	"context"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// faulty is a JetStream whose writes can be made to fail.
type faulty struct {
	jetstream.JetStream

	mu     sync.Mutex
	refuse bool
	// logged counts the writes to the logs of changes and rollbacks; from
	// refuseFrom on those are refused, the answers to those of loseFrom to loseTo
	// are lost. 0 means never.
	logged, refuseFrom, loseFrom, loseTo int
}

// errFull is what JetStream says when the disk takes no more. It is not asked
// again, so a lost answer stays lost.
var errFull = &jetstream.APIError{Code: 500, ErrorCode: 10077, Description: "no space left on device"}

// PublishMsg implements [jetstream.Publisher].
func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	refuse, lose := f.fate(m.Subject)
	if refuse {
		return nil, errFull
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, o...)
	if lose {
		return nil, errFull
	}
	return ack, err
}

func (f *faulty) fate(subject string) (refuse, lose bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(subject, "backout.changes.") && !strings.HasPrefix(subject, "backout.rollbacks.") {
		return f.refuse, false
	}
	f.logged++
	return f.refuse || f.stuck(), f.logged >= f.loseFrom && f.logged <= f.loseTo
}

func (f *faulty) stuck() bool { return f.refuseFrom > 0 && f.logged >= f.refuseFrom }

// RefuseWrites makes the server's store refuse every write, as on a full disk, or
// take them again.
func (s *Server) RefuseWrites(refuse bool) {
	s.js.mu.Lock()
	defer s.js.mu.Unlock()
	s.js.refuse, s.js.refuseFrom = refuse, 0
}

// RefuseFrom makes the logs of changes and rollbacks refuse every write from the
// nth on, counted from now.
func (s *Server) RefuseFrom(n int) {
	s.js.mu.Lock()
	defer s.js.mu.Unlock()
	s.js.refuseFrom = s.js.logged + n
}

// LoseAnswers lets count writes to those logs, from the nth on, happen and be
// reported as failed.
func (s *Server) LoseAnswers(n, count int) {
	s.js.mu.Lock()
	defer s.js.mu.Unlock()
	s.js.loseFrom, s.js.loseTo = s.js.logged+n, s.js.logged+n+count-1
}

// Stuck tells whether the point of [Server.RefuseFrom] has been reached.
func (s *Server) Stuck() bool {
	s.js.mu.Lock()
	defer s.js.mu.Unlock()
	return s.js.stuck()
}

// Logged counts the writes to those logs so far.
func (s *Server) Logged() int {
	s.js.mu.Lock()
	defer s.js.mu.Unlock()
	return s.js.logged
}
