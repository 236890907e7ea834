package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func openForCards(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{JS: bustest.Start(t).JetStream(), Server: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestOnceIsOnce(t *testing.T) {
	s := openForCards(t)
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			first, err := s.Outbox.Once(t.Context(), "a click\nwith any text")
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d were the first", n)
	}
	if first, err := s.Outbox.Once(t.Context(), "another"); err != nil || !first {
		t.Errorf("another: %v %v", first, err)
	}
}

func TestCardIsReplacedByItsRevision(t *testing.T) {
	s := openForCards(t)
	none, err := s.Outbox.Card(t.Context(), "ops", "r1")
	if err != nil || none.Revision != 0 {
		t.Fatalf("%+v %v", none, err)
	}
	want := store.ShownCard{Seq: 7, Digest: "d", By: "one", ClaimedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	put, err := s.Outbox.PutCard(t.Context(), "ops", "r1", want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Outbox.Card(t.Context(), "ops", "r1")
	if err != nil || got != put || got.Digest != "d" || got.Revision == 0 {
		t.Errorf("%+v, want %+v (%v)", got, put, err)
	}
	if _, err := s.Outbox.PutCard(t.Context(), "ops", "r1", want); !errors.Is(err, backout.ErrConflict) {
		t.Errorf("an older revision replaced it: %v", err)
	}
	if other, err := s.Outbox.Card(t.Context(), "ops", "r2"); err != nil || other.Revision != 0 {
		t.Errorf("another rollback's: %+v %v", other, err)
	}
}
