package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func TestEmbedded(t *testing.T) {
	suite(t, func(t *testing.T) jetstream.JetStream { return bustest.Start(t).JetStream() })
}

// suite is what a store does on any JetStream. connect gives an empty one.
func suite(t *testing.T, connect func(*testing.T) jetstream.JetStream) {
	tests := []struct {
		name string
		run  func(*testing.T, jetstream.JetStream)
	}{
		{"a history is loaded in order", testHistory},
		{"ids of any form keep apart", testIDs},
		{"of two appends one wins", testConflict},
		{"a guarded append sees every other id", testGuarded},
		{"eight writers make no gap and no fork", testWriters},
		{"following reports catching up once", testCatchUp},
		{"an empty log is caught up at once", testEmptyCatchUp},
		{"a record of a newer release is an error", testUnreadable},
		{"a missing record is an error", testHole},
		{"posts come back as they were", testPosts},
		{"posts know who wrote them", testOwnPosts},
		{"documents change by compare and set", testDocuments},
		{"the pause switch is seen by others", testPause},
		{"what is kept for rules is seen by others", testRules},
		{"notices arrive once and in order", testNotices},
		{"artifacts are named by their content", testArtifacts},
		{"opening again finds everything", testReopen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, connect(t)) })
	}
}

func testHistory(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	if got := mustLoad(t, s.Rollbacks, "CHG1-r1"); len(got) != 0 {
		t.Errorf("Load of an unknown id = %v, want nothing", got)
	}
	var want []store.Entry
	last := uint64(0)
	for i := range 20 {
		op := fmt.Sprintf("op-%d", i)
		last = mustAppend(t, s.Rollbacks, "CHG1-r1", last, op)
		want = append(want, store.Entry{ID: "CHG1-r1", Seq: last, Record: record(op)})
		mustAppend(t, s.Changes, fmt.Sprintf("CHG%d", i), 0, op)
	}
	if diff := cmp.Diff(want, mustLoad(t, s.Rollbacks, "CHG1-r1")); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	// From anywhere, whatever stands there.
	for _, after := range []uint64{0, want[7].Seq, want[7].Seq + 1, last, last + 1000, math.MaxUint64} {
		rest := slices.DeleteFunc(slices.Clone(want), func(e store.Entry) bool { return e.Seq <= after })
		got, err := s.Rollbacks.LoadAfter(t.Context(), "CHG1-r1", after)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rest, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("LoadAfter %d (-want +got):\n%s", after, diff)
		}
	}
	got, err := followUntil(t.Context(), s.Rollbacks, 0, func(e []store.Entry) bool { return len(e) == 20 })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Follow returned %v, want the context's error", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Follow (-want +got):\n%s", diff)
	}
	tail, _ := followUntil(t.Context(), s.Rollbacks, want[15].Seq, func(e []store.Entry) bool { return len(e) == 5 })
	if diff := cmp.Diff(want[15:], tail); diff != "" {
		t.Errorf("Follow from the 16th (-want +got):\n%s", diff)
	}
}

func testIDs(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	ids := []string{"CHG1", "CHG1.r1", "CHG1=2Er1", "chg1", "a b", "*", ">", "CHG1.>", "é", "x\x00y", ".", "-", "_"}
	for i, id := range ids {
		mustAppend(t, s.Changes, id, 0, fmt.Sprint(i))
	}
	for i, id := range ids {
		if got, want := ops(mustLoad(t, s.Changes, id)), []string{fmt.Sprint(i)}; !slices.Equal(got, want) {
			t.Errorf("Load(%q) = %v, want %v", id, got, want)
		}
	}
	var followed []string
	_, _ = followUntil(t.Context(), s.Changes, 0, func(e []store.Entry) bool {
		followed = append(followed, e[len(e)-1].ID)
		return len(e) == len(ids)
	})
	if diff := cmp.Diff(ids, followed); diff != "" {
		t.Errorf("ids when followed (-want +got):\n%s", diff)
	}
	for _, id := range []string{"", string(make([]byte, 4000))} {
		if _, err := s.Changes.Append(t.Context(), id, 0, record("x")); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("Append of an id of %d bytes: %v, want ErrInvalid", len(id), err)
		}
	}
}

func testConflict(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	first := mustAppend(t, s.Changes, "CHG1", 0, "a")
	for _, expected := range []uint64{0, first + 7} {
		if _, err := s.Changes.Append(t.Context(), "CHG1", expected, record("b")); !errors.Is(err, backout.ErrConflict) {
			t.Errorf("Append after %d: %v, want ErrConflict", expected, err)
		}
	}
	if seq, err := s.Changes.Append(t.Context(), "CHG1", 0, record("a")); err != nil || seq != first {
		t.Errorf("the same append again = %d, %v, want %d and no error", seq, err, first)
	}
	changed := record("a")
	changed.By = "two"
	if _, err := s.Changes.Append(t.Context(), "CHG1", 0, changed); !errors.Is(err, backout.ErrConflict) {
		t.Errorf("the same operation by another server: %v, want ErrConflict", err)
	}
	if _, err := s.Changes.Append(t.Context(), "CHG1", first, record("a")); !errors.Is(err, backout.ErrExists) {
		t.Errorf("the same operation after itself: %v, want ErrExists", err)
	}
	if _, err := s.Changes.Append(t.Context(), "CHG1", first, record("")); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("no operation id: %v, want ErrInvalid", err)
	}
	if got := ops(mustLoad(t, s.Changes, "CHG1")); !slices.Equal(got, []string{"a"}) {
		t.Errorf("history = %v, want [a]", got)
	}
}

func testGuarded(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	one := mustAppend(t, s.Changes, "CHG1", 0, "a")
	two := mustAppend(t, s.Changes, "CHG2", 0, "b")
	if _, err := s.Changes.AppendGuarded(t.Context(), "CHG1", one, one, record("c")); !errors.Is(err, backout.ErrConflict) {
		t.Errorf("guarded append after another id moved: %v, want ErrConflict", err)
	}
	seq, err := s.Changes.AppendGuarded(t.Context(), "CHG1", one, two, record("c"))
	if err != nil || seq != two+1 {
		t.Errorf("guarded append = %d, %v, want %d", seq, err, two+1)
	}
	if again, err := s.Changes.AppendGuarded(t.Context(), "CHG1", one, two, record("c")); err != nil || again != seq {
		t.Errorf("the same guarded append again = %d, %v, want %d", again, err, seq)
	}
}

func testWriters(t *testing.T, js jetstream.JetStream) {
	const writers, each = 8, 12
	s := open(t, js)
	ids := []string{"A", "B", "C", "D"}
	var won atomic.Int64
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				id := ids[(w+i)%len(ids)]
				for {
					entries, err := s.Rollbacks.Load(t.Context(), id)
					if err != nil {
						t.Errorf("Load: %v", err)
						return
					}
					last := uint64(0)
					if n := len(entries); n > 0 {
						last = entries[n-1].Seq
					}
					_, err = s.Rollbacks.Append(t.Context(), id, last, record(fmt.Sprintf("%d/%d", w, i)))
					if err == nil {
						won.Add(1)
						break
					}
					if !errors.Is(err, backout.ErrConflict) {
						t.Errorf("Append: %v, want nil or ErrConflict", err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	seen := make(map[string]bool)
	for _, id := range ids {
		for _, op := range ops(mustLoad(t, s.Rollbacks, id)) {
			if seen[op] {
				t.Errorf("operation %s is recorded twice", op)
			}
			seen[op] = true
		}
	}
	if len(seen) != writers*each || won.Load() != writers*each {
		t.Errorf("%d operations recorded, %d acknowledged, want %d", len(seen), won.Load(), writers*each)
	}
}

func testCatchUp(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	last := uint64(0)
	for i := range 5 {
		last = mustAppend(t, s.Changes, "CHG1", last, fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at []int
	count := 0
	err := s.Changes.Follow(ctx, 0, func(store.Entry) error {
		if count++; count == 7 {
			cancel()
		}
		return nil
	}, func() {
		at = append(at, count)
		last = mustAppend(t, s.Changes, "CHG1", last, "later")
		last = mustAppend(t, s.Changes, "CHG1", last, "latest")
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(at, []int{5}) || count != 7 {
		t.Errorf("caught up after %v of %d records (%v), want after 5 of 7, once", at, count, err)
	}
	own := errors.New("the caller's")
	if err := s.Changes.Follow(t.Context(), 0, func(store.Entry) error { return own }, nil); !errors.Is(err, own) {
		t.Errorf("Follow returned %v, want the error of the function", err)
	}
}

func testEmptyCatchUp(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	ctx, cancel := context.WithCancel(t.Context())
	called := 0
	err := s.Changes.Follow(ctx, 0, func(store.Entry) error { return errors.New("nothing is there") }, func() { called++; cancel() })
	if !errors.Is(err, context.Canceled) || called != 1 {
		t.Errorf("caught up %d times, %v; want once and the context's error", called, err)
	}
	last := mustAppend(t, s.Changes, "CHG1", 0, "a")
	ctx, cancel = context.WithCancel(t.Context())
	err = s.Changes.Follow(ctx, last+1, func(store.Entry) error { return errors.New("nothing is there") }, func() { called++; cancel() })
	if !errors.Is(err, context.Canceled) || called != 2 {
		t.Errorf("from beyond the end: caught up %d times, %v; want once more", called, err)
	}
}

func testUnreadable(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	if _, err := js.Publish(t.Context(), "backout.changes.CHG1", []byte(`{"v":99,"op":"x","at":"2026-03-01T02:00:00Z","events":[]}`), jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Changes.Load(t.Context(), "CHG1")
	wantError(t, "Load", err, "BACKOUT_CHANGES", " at 1", "newer")
	err = s.Changes.Follow(t.Context(), 0, func(store.Entry) error { return nil }, nil)
	wantError(t, "Follow", err, "BACKOUT_CHANGES", " at 1", "newer")
}

func testHole(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	first := mustAppend(t, s.Changes, "CHG1", 0, "a")
	mustAppend(t, s.Changes, "CHG1", first, "b")
	stream, err := js.Stream(t.Context(), "BACKOUT_CHANGES")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(first+1)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Changes.Load(t.Context(), "CHG1")
	wantError(t, "Load", err, "BACKOUT_CHANGES", "CHG1 are missing")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = s.Changes.Follow(ctx, 0, func(store.Entry) error { return nil }, nil)
	wantError(t, "Follow", err, "BACKOUT_CHANGES at 1", "lost", "backup")
	_, err = store.Open(t.Context(), store.Options{JS: js, Server: "one"})
	wantError(t, "Open", err, "BACKOUT_CHANGES has lost 1 of its 2 records", "begins at 2", "backup")
}

func testPosts(t *testing.T, js jetstream.JetStream) {
	s := open(t, js)
	const n = 40
	positions := make([]store.Position, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			var err error
			if positions[i], err = s.Alerts.Append(t.Context(), post(i)); err != nil {
				t.Errorf("Append: %v", err)
			}
		})
	}
	group.Wait()
	got := make(map[store.Position]store.Post)
	var order []store.Position
	ctx, cancel := context.WithCancel(t.Context())
	caughtUp := 0
	err := s.Alerts.Follow(ctx, time.Time{}, func(pos store.Position, own bool, p store.Post) error {
		if !own {
			t.Errorf("post at %v is not own", pos)
		}
		p.Body = slices.Clone(p.Body)
		got[pos] = p
		order = append(order, pos)
		return nil
	}, func() { caughtUp++; cancel() })
	if !errors.Is(err, context.Canceled) || caughtUp != 1 || len(order) != n {
		t.Fatalf("Follow: %d posts, caught up %d times, %v", len(order), caughtUp, err)
	}
	for i, pos := range positions {
		if diff := cmp.Diff(post(i), got[pos]); diff != "" {
			t.Errorf("post %d at %v (-want +got):\n%s", i, pos, diff)
		}
	}
	if !slices.IsSortedFunc(order, func(a, b store.Position) int {
		return cmpPositions(a, b)
	}) {
		t.Errorf("posts came in the order %v", order)
	}
}

func cmpPositions(a, b store.Position) int {
	if a.Seq != b.Seq {
		return int(a.Seq) - int(b.Seq)
	}
	return a.Index - b.Index
}

func testOwnPosts(t *testing.T, js jetstream.JetStream) {
	one, two := openAs(t, js, "one"), openAs(t, js, "two")
	again := openAs(t, js, "one") // the same server, started again
	for i, s := range []*store.Store{one, two, again} {
		if _, err := s.Alerts.Append(t.Context(), post(i)); err != nil {
			t.Fatal(err)
		}
	}
	for who, s := range []*store.Store{one, two, again} {
		var got []bool
		ctx, cancel := context.WithCancel(t.Context())
		_ = s.Alerts.Follow(ctx, time.Time{}, func(_ store.Position, own bool, _ store.Post) error {
			got = append(got, own)
			return nil
		}, cancel)
		want := make([]bool, 3)
		want[who] = true
		if !slices.Equal(got, want) {
			t.Errorf("store %d: own = %v, want %v", who, got, want)
		}
	}
}
