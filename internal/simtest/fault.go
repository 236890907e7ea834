package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// faulty is one server's JetStream, whose writes and reads can be made to fail.
type faulty struct {
	jetstream.JetStream
	server string
	sky    *sky
	// armed lets the sky in; before, the server starts in peace.
	armed atomic.Bool
	// dead is set once the server has crashed: nothing of it gets out any more.
	dead atomic.Bool
	// ended is told of the crash.
	ended func()

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

// errDead is what a crashed server's calls end with. Nobody is left to read it.
var errDead = errors.New("the server has crashed")

// PublishMsg implements [jetstream.Publisher].
func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if f.dead.Load() {
		return nil, errDead
	}
	refuse, lose := f.fate(m.Subject)
	if refuse {
		return nil, errFull
	}
	store := func(ctx context.Context) (*jetstream.PubAck, error) { return f.JetStream.PublishMsg(ctx, m, o...) }
	if !f.armed.Load() || f.sky == nil {
		ack, err := store(ctx)
		if lose {
			return nil, errFull
		}
		return ack, err
	}
	return f.underTheSky(ctx, m, store)
}

// underTheSky writes with the fault that befalls the write.
func (f *faulty) underTheSky(ctx context.Context, m *nats.Msg, store func(context.Context) (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
	fault, size := f.sky.draw(writeFaults, f.server, nameOf(m))
	if f.dead.Load() {
		return nil, errDead
	}
	switch fault {
	case writeRefused:
		if size < 0.5 {
			return nil, errFull
		}
		return nil, &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}
	case answerLost:
		_, _ = store(ctx)
		if size < 0.5 {
			return nil, errFull
		}
		<-ctx.Done()
		return nil, ctx.Err()
	case writeLate:
		f.sky.late.Go(func() {
			nap(context.WithoutCancel(ctx), between(2*time.Second, 12*time.Second, size))
			_, _ = store(context.WithoutCancel(ctx))
		})
		<-ctx.Done()
		return nil, ctx.Err()
	case crashBefore:
		f.die()
		return nil, errDead
	case crashAfter:
		_, _ = store(ctx)
		f.die()
		return nil, errDead
	case writeSlow:
		if !nap(ctx, between(10*time.Millisecond, 1500*time.Millisecond, size)) {
			return nil, ctx.Err()
		}
		if f.dead.Load() {
			return nil, errDead
		}
	}
	return store(ctx)
}

func (f *faulty) die() {
	f.dead.Store(true)
	f.ended()
}

// nameOf names a write by what it says, without times and sequences.
func nameOf(m *nats.Msg) string {
	switch {
	case strings.HasPrefix(m.Subject, "backout.changes."), strings.HasPrefix(m.Subject, "backout.rollbacks."):
		var rec backout.Record
		if json.Unmarshal(m.Data, &rec) != nil {
			return m.Subject
		}
		kinds := make([]string, len(rec.Events))
		for i, ev := range rec.Events {
			kinds[i] = tell(ev)
		}
		return m.Subject + " " + strings.Join(kinds, ", ")
	case strings.HasPrefix(m.Subject, "backout.notices."):
		var n backout.Notice
		if json.Unmarshal(m.Data, &n) != nil {
			return m.Subject
		}
		return fmt.Sprintf("%s %s %s %s %s", m.Subject, n.ChangeID, n.RollbackID, n.Moment, n.Level)
	case m.Subject == "backout.alerts":
		return fmt.Sprintf("%s %08x", m.Subject, crc32.ChecksumIEEE(m.Data))
	case strings.HasPrefix(m.Subject, "$O."):
		return "an artifact" // its name is drawn by chance
	}
	return m.Subject
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

// Stream implements [jetstream.StreamManager].
func (f *faulty) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := f.JetStream.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return faultyStream{s, f, name}, nil
}

// faultyStream is a stream whose reads can be made to fail.
type faultyStream struct {
	jetstream.Stream
	f    *faulty
	name string
}

func (s faultyStream) read(ctx context.Context, what string) error {
	if s.f.dead.Load() {
		return errDead
	}
	if !s.f.armed.Load() {
		return nil
	}
	switch fault, size := s.f.sky.draw(readFaults, s.f.server, "read "+s.name+" "+what); fault {
	case readRefused:
		return nats.ErrNoResponders
	case readSlow:
		nap(ctx, between(10*time.Millisecond, 3*time.Second, size))
	}
	return ctx.Err()
}

// Info implements [jetstream.Stream].
func (s faultyStream) Info(ctx context.Context, o ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	if err := s.read(ctx, "info"); err != nil {
		return nil, err
	}
	return s.Stream.Info(ctx, o...)
}

// GetMsg implements [jetstream.Stream].
func (s faultyStream) GetMsg(ctx context.Context, seq uint64, o ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	if err := s.read(ctx, "by sequence"); err != nil {
		return nil, err
	}
	return s.Stream.GetMsg(ctx, seq, o...)
}

// GetLastMsgForSubject implements [jetstream.Stream].
func (s faultyStream) GetLastMsgForSubject(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	if err := s.read(ctx, subject); err != nil {
		return nil, err
	}
	return s.Stream.GetLastMsgForSubject(ctx, subject)
}

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
