package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// held holds the next write until release is called, and says when it has come.
func held(f *faulty) (arrived <-chan struct{}, release func()) {
	come, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.set(func() error {
		once.Do(func() { close(come) })
		<-free
		return nil
	}, nil)
	return come, func() { f.set(nil, nil); close(free) }
}

func TestWaitingPostsShareACommit(t *testing.T) {
	f, s := startFaulty(t)
	arrived, release := held(f)
	const n = 50
	errs := make(chan error, n+1)
	positions := make(chan store.Position, n+1)
	add := func(i int) {
		pos, err := s.Alerts.Append(t.Context(), post(i))
		positions <- pos
		errs <- err
	}
	go add(0)
	<-arrived
	for i := range n {
		go add(i + 1)
	}
	waitQueued(t, s, n)
	release()
	seqs := make(map[uint64]int)
	for range n + 1 {
		if err := <-errs; err != nil {
			t.Errorf("Append: %v", err)
		}
		seqs[(<-positions).Seq]++
	}
	if diff := cmp.Diff(map[uint64]int{1: 1, 2: n}, seqs); diff != "" {
		t.Errorf("posts in each message (-want +got):\n%s", diff)
	}
}

func TestFailedCommitFailsEveryWaiter(t *testing.T) {
	f, s := startFaulty(t)
	f.set(times(3, nats.ErrTimeout), nil)
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			if _, err := s.Alerts.Append(t.Context(), post(i)); err != nil && !errors.Is(err, backout.ErrUnavailable) {
				t.Errorf("Append: %v, want ErrUnavailable", err)
			}
		})
	}
	group.Wait()
	f.set(times(99, nats.ErrTimeout), nil)
	if _, err := s.Alerts.Append(t.Context(), post(9)); !errors.Is(err, backout.ErrUnavailable) || !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("Append = %v, want ErrUnavailable that tells why", err)
	}
	f.set(nil, nil)
	if _, err := s.Alerts.Append(t.Context(), post(10)); err != nil {
		t.Errorf("Append afterwards: %v", err)
	}
}

func TestPostStoredWithoutAnAnswerIsNotOwn(t *testing.T) {
	f, s := startFaulty(t)
	f.set(nil, times(3, context.DeadlineExceeded))
	if _, err := s.Alerts.Append(t.Context(), post(1)); !errors.Is(err, backout.ErrUnavailable) {
		t.Fatalf("Append = %v, want ErrUnavailable", err)
	}
	arrived, release := held(f)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.Alerts.Append(ctx, post(2))
		gone <- err
	}()
	<-arrived
	cancel()
	if err := <-gone; !errors.Is(err, backout.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Append whose context ended: %v, want ErrUnavailable and the context's error", err)
	}
	release()
	if _, err := s.Alerts.Append(t.Context(), post(3)); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{`{"post":1}`: false, `{"post":2}`: false, `{"post":3}`: true}
	if diff := cmp.Diff(want, storedPosts(t, s)); diff != "" {
		t.Errorf("own posts (-want +got):\n%s", diff)
	}
}

func TestWithdrawnPostIsNotStored(t *testing.T) {
	f, s := startFaulty(t)
	arrived, release := held(f)
	first := make(chan error, 1)
	go func() { _, err := s.Alerts.Append(t.Context(), post(1)); first <- err }()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { _, err := s.Alerts.Append(ctx, post(2)); second <- err }()
	waitQueued(t, s, 1)
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("withdrawn Append: %v", err)
	}
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := storedPosts(t, s); len(got) != 1 {
		t.Errorf("stored %v, want the first post only", got)
	}
}

func TestOverloadIsRefusedAtOnce(t *testing.T) {
	f, s := startFaulty(t)
	arrived, release := held(f)
	big := post(0)
	big.Body = make([]byte, 7<<20)
	results := make(chan error, 16)
	add := func() { _, err := s.Alerts.Append(t.Context(), big); results <- err }
	go add()
	<-arrived
	for range 9 { // 63 MiB of 64
		go add()
	}
	waitQueued(t, s, 9)
	if _, err := s.Alerts.Append(t.Context(), big); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("one too many: %v, want ErrUnavailable", err)
	}
	release()
	for range 10 {
		if err := <-results; err != nil {
			t.Errorf("an accepted post: %v", err)
		}
	}
	big.Body = make([]byte, 8<<20)
	if _, err := s.Alerts.Append(t.Context(), big); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("a post larger than a message: %v, want ErrInvalid", err)
	}
}

func TestCloseStoresWhatWaits(t *testing.T) {
	f, s := startFaulty(t)
	arrived, release := held(f)
	results := make(chan error, 3)
	go func() { _, err := s.Alerts.Append(t.Context(), post(0)); results <- err }()
	<-arrived
	for i := range 2 {
		go func() { _, err := s.Alerts.Append(t.Context(), post(i+1)); results <- err }()
	}
	waitQueued(t, s, 2)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Errorf("a post that waited when the store closed: %v", err)
		}
	}
}

func TestConcurrentPostsNeedFewerCommits(t *testing.T) {
	f, s := startFaulty(t)
	const workers, each = 32, 10
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				if _, err := s.Alerts.Append(t.Context(), post(w*each+i)); err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	group.Wait()
	if n := f.count(); n > workers*each/2 {
		t.Errorf("%d posts of %d workers took %d commits, want at most half as many", workers*each, workers, n)
	}
	if got := storedPosts(t, s); len(got) != workers*each {
		t.Errorf("%d posts stored, want %d", len(got), workers*each)
	}
}

func TestFollowSince(t *testing.T) {
	s := start(t)
	for i := range 3 {
		if _, err := s.Alerts.Append(t.Context(), post(i)); err != nil {
			t.Fatal(err)
		}
	}
	cut := time.Now()
	if _, err := s.Alerts.Append(t.Context(), post(3)); err != nil {
		t.Fatal(err)
	}
	var got []string
	ctx, cancel := context.WithCancel(t.Context())
	_ = s.Alerts.Follow(ctx, cut, func(pos store.Position, _ bool, p store.Post) error {
		got = append(got, fmt.Sprintf("%d %s", pos.Seq, p.Body))
		return nil
	}, cancel)
	if diff := cmp.Diff([]string{`4 {"post":3}`}, got); diff != "" {
		t.Errorf("posts since (-want +got):\n%s", diff)
	}
}

// TestFollowAfterGoesOnWhereItWas, also within a batch of several posts.
func TestFollowAfterGoesOnWhereItWas(t *testing.T) {
	f, s := startFaulty(t)
	arrived, release := held(f)
	var appending sync.WaitGroup
	add := func() {
		if _, err := s.Alerts.Append(t.Context(), post(0)); err != nil {
			t.Error(err)
		}
	}
	appending.Go(add)
	<-arrived
	for range 3 {
		appending.Go(add)
	}
	waitQueued(t, s, 3)
	release()
	appending.Wait()
	add()
	all := []store.Position{{Seq: 1}, {Seq: 2}, {Seq: 2, Index: 1}, {Seq: 2, Index: 2}, {Seq: 3}}
	for i, after := range all {
		var got []store.Position
		ctx, cancel := context.WithCancel(t.Context())
		_ = s.Alerts.FollowAfter(ctx, after, func(pos store.Position, _ bool, _ store.Post) error {
			got = append(got, pos)
			return nil
		}, cancel)
		if diff := cmp.Diff(all[i+1:], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", after, diff)
		}
	}
}

// TestKeptSince: nothing is missing until something was removed, and after a restore
// nobody knows what was before it.
func TestKeptSince(t *testing.T) {
	js := bustest.Start(t).JetStream()
	s := open(t, js)
	kept := func(s *store.Store) time.Time {
		t.Helper()
		at, err := s.Alerts.KeptSince(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	purge := func(o jetstream.StreamPurgeOpt) {
		t.Helper()
		stream, err := js.Stream(t.Context(), "BACKOUT_ALERTS")
		if err == nil {
			err = stream.Purge(t.Context(), o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if at := kept(s); !at.IsZero() {
		t.Errorf("an empty store keeps posts since %s", at)
	}
	var between time.Time
	for i := range 3 {
		if i == 2 {
			between = time.Now()
		}
		if _, err := s.Alerts.Append(t.Context(), post(i)); err != nil {
			t.Fatal(err)
		}
	}
	if at := kept(s); !at.IsZero() {
		t.Errorf("a store that has lost nothing keeps posts since %s", at)
	}
	other := bustest.Start(t).JetStream()
	r, err := fillFrom(t.Context(), other, takeBackup(t, s))
	if err != nil {
		t.Fatal(err)
	}
	finish(t, r, other)
	if at := kept(open(t, other)); at.IsZero() || !at.Before(between) {
		t.Errorf("a restored store keeps posts since %s", at)
	}
	purge(jetstream.WithPurgeKeep(1))
	last := kept(s)
	if last.Before(between) {
		t.Errorf("of three posts one is kept, since %s", last)
	}
	purge(jetstream.WithPurgeSequence(10))
	if at := kept(s); at.Before(last) {
		t.Errorf("all are gone, and posts are kept since %s", at)
	}
}

// waitQueued waits until n posts wait for the next commit.
func waitQueued(t *testing.T, s *store.Store, n int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for store.Queued(s) < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d posts wait, want %d", store.Queued(s), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTheStoresClock(t *testing.T) {
	s := start(t)
	before := time.Now()
	at, err := s.Clock(t.Context())
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("%s, %v, asked at %s", at, err, before)
	}
}
