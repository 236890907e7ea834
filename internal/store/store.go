package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// Options say where the store is and how it is kept.
type Options struct {
	JS jetstream.JetStream
	// Server is this server's name, for people.
	Server string
	// Replicas is how many servers of the user's cluster keep a copy; 0 leaves
	// what is there and makes new streams with 1.
	Replicas int
	// AlertsMaxBytes is how many bytes of posts are kept before the oldest go;
	// 0 leaves what is there and makes a new log with 2 GiB.
	AlertsMaxBytes int64
	// AlertsMaxAge is how long posts are kept, at least an hour; 0 leaves what is
	// there and makes a new log with 14 days. Unlike the other limits it may also
	// shrink: the older posts go then. A log that was made to keep posts for ever
	// stays so.
	AlertsMaxAge time.Duration
	// Marks keep how far the streams reach; nil keeps nothing, and the lost end of
	// a stream goes unnoticed.
	Marks Marks
	// Logger gets what is not the answer to a call; nil discards it.
	Logger *slog.Logger
}

// Store is everything that is kept. Open it, use its parts, Close it.
type Store struct {
	// Changes is the log of every change, Rollbacks that of every rollback.
	Changes   *Log
	Rollbacks *Log
	// Alerts is the log of all posts.
	Alerts *AlertLog
	// Control holds small documents, the pause switch among them.
	Control *Control
	// Outbox holds the notices on their way to people.
	Outbox *Outbox
	// Artifacts holds what is too large for a record.
	Artifacts *Artifacts

	log     *slog.Logger
	streams map[string]jetstream.Stream
	keep    Marks
	marks   map[string]uint64 // as saved last; one goroutine at a time has it

	stop    context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
}

// Open makes the streams that are missing, checks those that are there, and
// starts the store's goroutines; [Store.Close] ends them. A stream on which a
// promise would not hold, or that would have to shrink, is an error that says
// what to do; so are streams that lost something, and a restore that was not
// finished. [backout.ErrUnavailable] says that opening again later may do. ctx
// bounds the opening only.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err == nil {
		err = restored(ctx, s.Control)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.start(ctx)
	return s, nil
}

// Clock returns what time it is for the server that has the store.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	info, err := s.streams[alertsStream].Info(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the store's clock: %w", unavailable(err))
	}
	return info.TimeStamp, nil
}

// open is Open without what goes on afterwards.
func open(ctx context.Context, o Options) (*Store, error) {
	if o.JS == nil || o.Server == "" {
		return nil, fmt.Errorf("%w: it needs a JetStream and the server's name", backout.ErrInvalid)
	}
	if o.AlertsMaxAge != 0 && o.AlertsMaxAge < time.Hour {
		return nil, fmt.Errorf("%w: alerts kept for %v: keep them for an hour at least", backout.ErrInvalid, o.AlertsMaxAge)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	streams := make(map[string]jetstream.Stream)
	for _, cfg := range streamConfigs(o.Replicas, o.AlertsMaxBytes, o.AlertsMaxAge) {
		stream, err := ensureStream(ctx, o.JS, cfg, o, o.Logger)
		if err != nil {
			return nil, err
		}
		streams[cfg.Name] = stream
	}
	marks, err := intact(ctx, streams, o.Marks, o.Logger)
	if err != nil {
		return nil, err
	}
	s, err := assemble(ctx, o, streams)
	if err != nil {
		return nil, err
	}
	s.log, s.streams, s.keep, s.marks = o.Logger, streams, o.Marks, marks
	return s, nil
}

// start starts the store's goroutines.
func (s *Store) start(ctx context.Context) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.running.Go(s.Alerts.committer.loop)
	s.running.Go(func() { s.Control.watch(running) })
	if s.keep != nil {
		s.running.Go(func() { s.watchMarks(running) })
	}
}

func assemble(ctx context.Context, o Options, streams map[string]jetstream.Stream) (*Store, error) {
	pub := publisher{o.JS}
	following := func(stream string, ahead int) follower {
		return follower{js: o.JS, log: o.Logger, stream: stream, ahead: ahead}
	}
	newLog := func(name, prefix string) *Log {
		return &Log{name: name, prefix: prefix, stream: streams[name], pub: pub, follow: following(name, 256), end: streams[name].CachedInfo().State.LastSeq}
	}
	objects, err := o.JS.ObjectStore(ctx, artifactsBucket)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", artifactsStream, unavailable(err)) // it is there
	}
	run := newRun()
	// A batch may be as large as a message can be: few of them wait in memory.
	alerts := &AlertLog{committer: newCommitter(pub, o.Server, run), follow: following(alertsStream, 8), process: run}
	control := newControl(documents{stream: streams[controlStream], pub: pub}, following(controlStream, 16))
	return &Store{
		Changes:   newLog(changesStream, changesPrefix),
		Rollbacks: newLog(rollbacksStream, rollbacksPrefix),
		Alerts:    alerts,
		Control:   control,
		Outbox: &Outbox{
			js: o.JS, log: o.Logger, pub: pub, notices: streams[noticesStream],
			receipts: documents{stream: streams[receiptsStream], pub: pub},
		},
		Artifacts: &Artifacts{objects: objects, stream: streams[artifactsStream], pub: pub, chunk: chunkSize(o.JS)},
	}, nil
}

// newRun names one life of one process; no two are alike.
func newRun() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Close lets no more alerts in, stores those that wait, ends the store's
// goroutines and waits for them, and stores how far the streams reach. End what
// follows or consumes first. It does not close the bus.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.Alerts.committer.close()
		s.stop()
		s.running.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		defer cancel()
		if err := s.saveMarks(ctx); err != nil {
			// The older marks hold: they only tell less.
			s.log.Warn("how far the streams reach was not stored", "error", err)
		}
	})
	return nil
}
