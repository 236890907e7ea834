package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// faulty is a JetStream whose answers to writes can be interfered with.
type faulty struct {
	jetstream.JetStream
	mu     sync.Mutex
	before func() error // instead of the write
	after  func() error // instead of its answer
	writes int
}

func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	f.mu.Lock()
	f.writes++
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return nil, err
		}
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, opts...)
	if after != nil {
		if lost := after(); lost != nil {
			return nil, lost
		}
	}
	return ack, err
}

func (f *faulty) set(before, after func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.writes = before, after, 0
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// times makes a fault that happens n times.
func times(n int, err error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

func startFaulty(t *testing.T) (*faulty, *store.Store) {
	f := &faulty{JetStream: bustest.Start(t).JetStream()}
	return f, open(t, f)
}

func TestLostAnswerIsResolved(t *testing.T) {
	f, s := startFaulty(t)
	f.set(nil, times(1, context.DeadlineExceeded))
	seq, err := s.Changes.Append(t.Context(), "CHG1", 0, record("a"))
	if err != nil || f.count() != 2 {
		t.Errorf("Append with one lost answer = %v after %d tries, want success after 2", err, f.count())
	}
	f.set(nil, times(1, context.DeadlineExceeded))
	if _, err := s.Changes.AppendGuarded(t.Context(), "CHG1", seq, seq, record("b")); err != nil {
		t.Errorf("AppendGuarded with one lost answer: %v", err)
	}
	f.set(nil, times(1, context.DeadlineExceeded))
	if _, err := s.Control.Create(t.Context(), "key", []byte("v")); err != nil {
		t.Errorf("Create with one lost answer: %v", err)
	}
	f.set(nil, times(1, context.DeadlineExceeded))
	if _, err := s.Alerts.Append(t.Context(), post(1)); err != nil {
		t.Errorf("Alerts.Append with one lost answer: %v", err)
	}
	f.set(nil, nil)
	if got := ops(mustLoad(t, s.Changes, "CHG1")); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("history = %v, want [a b]", got)
	}
	if got := storedPosts(t, s); len(got) != 1 {
		t.Errorf("%d posts stored, want 1", len(got))
	}
}

func TestLostAnswerThenAnotherWriter(t *testing.T) {
	f, s := startFaulty(t)
	other := openAs(t, f.JetStream, "two")
	f.set(nil, func() error {
		f.set(nil, nil) // once
		entries := mustLoad(t, other.Changes, "CHG1")
		mustAppend(t, other.Changes, "CHG1", entries[0].Seq, "theirs")
		return context.DeadlineExceeded
	})
	seq, err := s.Changes.Append(t.Context(), "CHG1", 0, record("mine"))
	if err != nil || seq != 1 {
		t.Errorf("Append = %d, %v, want the sequence of the record although another follows it", seq, err)
	}
}

func TestNoAnswerIsUnavailable(t *testing.T) {
	f, s := startFaulty(t)
	for _, fault := range []error{nats.ErrTimeout, jetstream.ErrNoStreamResponse, nats.ErrReconnectBufExceeded, &jetstream.APIError{Code: 503, ErrorCode: 10008}} {
		f.set(times(99, fault), nil)
		_, err := s.Changes.Append(t.Context(), "CHG1", 0, record("a"))
		if !errors.Is(err, backout.ErrUnavailable) || !errors.Is(err, fault) || f.count() != 3 {
			t.Errorf("%v: Append = %v after %d tries, want ErrUnavailable that tells why, after 3", fault, err, f.count())
		}
	}
	f.set(times(99, &jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}), nil)
	_, err := s.Changes.Append(t.Context(), "CHG1", 0, record("a"))
	wantError(t, "full stream", err, "storage unavailable", "max_bytes")
	if f.count() != 1 {
		t.Errorf("a full stream was asked %d times, want once", f.count())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.set(nil, nil)
	if _, err := s.Changes.Append(ctx, "CHG1", 0, record("a")); !errors.Is(err, backout.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append with an ended context: %v, want ErrUnavailable and the context's error", err)
	}
	if got := mustLoad(t, s.Changes, "CHG1"); len(got) != 0 {
		t.Errorf("history = %v, want none", ops(got))
	}
}

func TestUnavailableAppendMayBeRepeated(t *testing.T) {
	f, s := startFaulty(t)
	for name, fault := range map[string]func(){
		"stored":     func() { f.set(nil, times(99, context.DeadlineExceeded)) },
		"not-stored": func() { f.set(times(99, nats.ErrTimeout), nil) },
	} {
		fault()
		if _, err := s.Changes.Append(t.Context(), name, 0, record("a")); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("%s: Append without an answer: %v, want ErrUnavailable", name, err)
		}
		f.set(nil, nil)
		seq, err := s.Changes.Append(t.Context(), name, 0, record("a"))
		if got := mustLoad(t, s.Changes, name); err != nil || len(got) != 1 || got[0].Seq != seq {
			t.Errorf("%s: the repeated Append = %d, %v; history %+v, want it once", name, seq, err, got)
		}
	}
}

// storedPosts returns all posts that are kept, with whether they are own, and
// checks that the others alone can be had.
func storedPosts(t *testing.T, s *store.Store) map[string]bool {
	t.Helper()
	got := make(map[string]bool)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Alerts.Follow(ctx, time.Time{}, func(_ store.Position, own bool, p store.Post) error {
		got[string(p.Body)] = own
		return nil
	}, cancel)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow: %v", err)
	}
	others := make(map[string]bool)
	ctx, cancel = context.WithCancel(t.Context())
	err = s.Alerts.FollowOthers(ctx, time.Time{}, func(_ store.Position, p store.Post) error {
		others[string(p.Body)] = false
		return nil
	}, cancel)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("FollowOthers: %v", err)
	}
	want := maps.Clone(got)
	maps.DeleteFunc(want, func(_ string, own bool) bool { return own })
	if diff := cmp.Diff(want, others); diff != "" {
		t.Errorf("posts that are not own (-want +got):\n%s", diff)
	}
	return got
}
