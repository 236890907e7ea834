package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// virtualHalfHour uses the whole store in a bubble, over a restart.
func virtualHalfHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, began := t.TempDir(), time.Now()
		b := bustest.StartIn(t, dir)
		s := open(t, b.JetStream())
		seen := make(chan store.Entry, 10)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- s.Rollbacks.Follow(ctx, 0, func(e store.Entry) error { seen <- e; return nil }, nil)
		}()
		last := mustAppend(t, s.Rollbacks, "CHG1-r1", 0, "opened")
		if _, err := s.Alerts.Append(t.Context(), post(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		mustAppend(t, s.Rollbacks, "CHG1-r1", last, "escalated")
		synctest.Wait()
		if len(seen) != 2 {
			t.Errorf("%d records followed, want 2", len(seen))
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
		if err := errors.Join(s.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
		s = open(t, bustest.StartIn(t, dir).JetStream())
		if got := ops(mustLoad(t, s.Rollbacks, "CHG1-r1")); len(got) != 2 || got[1] != "escalated" {
			t.Errorf("history after a restart = %v", got)
		}
		if took := time.Since(began); took < 30*time.Minute {
			t.Errorf("the clock moved by %s, want half an hour", took)
		}
	})
}

func TestEmptyLogIsCaughtUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		_ = s.Changes.Follow(ctx, 0, func(store.Entry) error { return nil }, cancel)
		if took := time.Since(began); took > time.Second {
			t.Errorf("caught up with nothing after %s, want at once", took)
		}
	})
}
