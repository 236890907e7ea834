package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

type askedFor time.Duration

func (a askedFor) Error() string             { return "too many requests" }
func (a askedFor) RetryAfter() time.Duration { return time.Duration(a) }

// consume delivers a channel's notices in the background; stop ends it.
func consume(t *testing.T, o *store.Outbox, channel string, fn store.DeliverFunc) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Consume(ctx, channel, fn) }()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Consume: %v, want the context's error", err)
		}
	}
}

func put(t *testing.T, o *store.Outbox, channel string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := o.Put(t.Context(), channel, backout.Notice{ID: id, RollbackID: "r"}); err != nil {
			t.Fatal(err)
		}
	}
}

// roughly compares waits: the server takes a moment to deliver again.
func roughly(t *testing.T, got, want []time.Duration) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = got[i] >= want[i]-time.Millisecond && got[i] < want[i]+2*time.Second
	}
	if !ok {
		t.Errorf("waits = %v, want about %v", got, want)
	}
}

func TestFailingNoticeIsTriedAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		put(t, o, "slack", "a", "b")
		put(t, o, "email", "c")
		var waits []time.Duration
		var delivered []string
		last := time.Now()
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			waits = append(waits, time.Since(last))
			last = time.Now()
			if len(waits) < 10 {
				return backout.Receipt{}, fmt.Errorf("down, try %d", len(waits))
			}
			delivered = append(delivered, n.ID)
			return backout.Receipt{Ref: n.ID}, nil
		})
		time.Sleep(10 * time.Second) // after the tries at 0, 1, 3 and 7 s
		waiting, err := o.Waiting(t.Context())
		if err != nil || len(waiting) != 3 || waiting[0].Tries != 4 || waiting[0].LastError != "down, try 4" || waiting[1].Tries != 0 {
			t.Errorf("Waiting = %+v, %v; want a with 4 tries, b and c with none", waiting, err)
		}
		time.Sleep(10 * time.Minute)
		stop()
		if diff := cmp.Diff([]string{"a", "b"}, delivered); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		s, m := time.Second, time.Minute
		roughly(t, waits[:10], []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, m, m, m})
	})
}

func TestChannelSaysWhenToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		put(t, o, "slack", "a")
		asks := []time.Duration{30 * time.Second, time.Hour, -time.Second}
		var waits []time.Duration
		last := time.Now()
		stop := consume(t, o, "slack", func(context.Context, backout.Notice) (backout.Receipt, error) {
			waits = append(waits, time.Since(last))
			last = time.Now()
			if n := len(waits); n <= len(asks) {
				return backout.Receipt{}, fmt.Errorf("post: %w", askedFor(asks[n-1]))
			}
			return backout.Receipt{}, nil
		})
		time.Sleep(10 * time.Minute)
		stop()
		roughly(t, waits, []time.Duration{0, 30 * time.Second, 5 * time.Minute, 4 * time.Second})
	})
}

func TestNoticeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		put(t, o, "slack", "bad", "late", "good")
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			switch n.ID {
			case "bad":
				return backout.Receipt{}, backout.Permanent(errors.New("no such channel"))
			case "late":
				return backout.Receipt{}, askedFor(time.Hour)
			}
			return backout.Receipt{Ref: "1"}, nil
		})
		time.Sleep(25 * time.Hour)
		stop()
		givenUp, err := o.GivenUp(t.Context())
		if err != nil || len(givenUp) != 2 {
			t.Fatalf("GivenUp = %+v, %v, want two", givenUp, err)
		}
		if p := givenUp[0]; p.Notice.ID != "bad" || p.Channel != "slack" || p.Tries != 1 || p.LastError != "no such channel" || p.Since.IsZero() {
			t.Errorf("given up first: %+v", p)
		}
		if p := givenUp[1]; p.Notice.ID != "late" || p.Tries < 200 {
			t.Errorf("given up second: %+v", p)
		}
		if r, err := o.Thread(t.Context(), "slack", "r"); err != nil || r == nil {
			t.Errorf("Thread = %v, %v; the notice behind them should have arrived, late", r, err)
		}
		put(t, o, "slack", "bad", "late")
		if waiting, err := o.Waiting(t.Context()); err != nil || len(waiting) > 0 {
			t.Errorf("Waiting = %+v, %v; what was given up must not be queued again", waiting, err)
		}
	})
}

func TestStoredReceiptEndsTheMatter(t *testing.T) {
	b := bustest.Start(t)
	o := open(t, b.JetStream()).Outbox
	put(t, o, "slack", "a", "b")
	calls := 0
	done := make(chan struct{})
	fn := func(context.Context, backout.Notice) (backout.Receipt, error) {
		if calls++; calls == 2 {
			close(done)
		}
		return backout.Receipt{Ref: fmt.Sprint(calls)}, nil
	}
	stop := consume(t, o, "slack", fn)
	receive(t, done)
	waitDelivered(t, o)
	stop()
	// As after a crash that lost every acknowledgement.
	if err := b.JetStream().DeleteConsumer(t.Context(), "BACKOUT_NOTICES", "channel_slack"); err != nil {
		t.Fatal(err)
	}
	put(t, o, "slack", "a", "c")
	var again []string
	third := make(chan struct{})
	stop = consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
		again = append(again, n.ID)
		close(third)
		return backout.Receipt{Ref: "3"}, nil
	})
	receive(t, third)
	waitDelivered(t, o)
	stop()
	if !slices.Equal(again, []string{"c"}) {
		t.Errorf("delivered again: %v, want c only", again)
	}
	if r, err := o.Thread(t.Context(), "slack", "r"); err != nil || r == nil || r.Ref != "1" {
		t.Errorf("Thread = %v, %v, want the first receipt", r, err)
	}
}

func TestSlowDeliveryIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := bustest.Start(t).JetStream()
		one, two := openAs(t, js, "one").Outbox, openAs(t, js, "two").Outbox
		put(t, one, "slack", "a")
		calls := make(chan string, 10)
		slow := func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			calls <- n.ID
			time.Sleep(2 * time.Minute)
			return backout.Receipt{}, nil
		}
		stopOne, stopTwo := consume(t, one, "slack", slow), consume(t, two, "slack", slow)
		time.Sleep(10 * time.Minute)
		stopOne()
		stopTwo()
		if len(calls) != 1 {
			t.Errorf("a delivery of two minutes was started %d times, want once", len(calls))
		}
	})
}

func TestStoppedDeliveryIsNotAFailure(t *testing.T) {
	o := start(t).Outbox
	put(t, o, "slack", "a")
	begun := make(chan struct{})
	stop := consume(t, o, "slack", func(ctx context.Context, _ backout.Notice) (backout.Receipt, error) {
		close(begun)
		<-ctx.Done()
		return backout.Receipt{}, ctx.Err()
	})
	receive(t, begun)
	stop()
	if waiting, err := o.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].Tries != 0 {
		t.Errorf("Waiting = %+v, %v; want the notice, with no failed try", waiting, err)
	}
	again := make(chan struct{})
	stop = consume(t, o, "slack", func(context.Context, backout.Notice) (backout.Receipt, error) {
		close(again)
		return backout.Receipt{}, nil
	})
	receive(t, again)
	waitDelivered(t, o)
	stop()
}

func waitDelivered(t *testing.T, o *store.Outbox) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		waiting, err := o.Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(waiting) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %+v", waiting)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

var _ jetstream.JetStream = (*faulty)(nil)

var errDiskFull = &jetstream.APIError{Code: 500, ErrorCode: 10077, Description: "no space left on device"}

// TestRefusedReceiptDoesNotDeliverAgain lets the store refuse every write between
// a delivery and its receipt.
func TestRefusedReceiptDoesNotDeliverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := startFaulty(t)
		o, other := s.Outbox, openAs(t, f, "two").Outbox
		put(t, o, "slack", "a", "b")
		var mu sync.Mutex
		var calls []string
		refuse := func() { f.set(func() error { return errDiskFull }, nil) }
		deliver := func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			if calls = append(calls, n.ID); len(calls) == 1 {
				refuse()
			}
			return backout.Receipt{Ref: n.ID}, nil
		}
		delivered := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(calls)
		}
		stop, stopOther := consume(t, o, "slack", deliver), consume(t, other, "slack", deliver)
		time.Sleep(10 * time.Minute)
		if got := delivered(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("delivered while no receipt could be stored: %v, want a once", got)
		}
		f.set(nil, nil)
		time.Sleep(time.Minute)
		if got := delivered(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("delivered: %v, want a and b once each", got)
		}
		if r, err := o.Thread(t.Context(), "slack", "r"); err != nil || r == nil || r.Ref != "a" {
			t.Errorf("Thread = %v, %v, want the receipt of a", r, err)
		}
		stop()
		stopOther()
	})
}

func TestStopEndsTheWaitForAReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := startFaulty(t)
		put(t, s.Outbox, "slack", "a")
		calls := 0
		deliver := func(context.Context, backout.Notice) (backout.Receipt, error) {
			calls++
			return backout.Receipt{}, nil
		}
		f.set(func() error { return errDiskFull }, nil)
		stop := consume(t, s.Outbox, "slack", deliver)
		time.Sleep(time.Minute)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Consume ended %s after its context", took)
		}
		f.set(nil, nil)
		stop = consume(t, s.Outbox, "slack", deliver)
		time.Sleep(time.Minute)
		stop()
		if calls != 2 {
			t.Errorf("delivered %d times, want again after the stop, once", calls)
		}
	})
}

// TestReceiptThatCannotBeStoredIsGivenUp is about one that no store would take.
func TestReceiptThatCannotBeStoredIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		put(t, o, "slack", "a", "b")
		var calls []string
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			calls = append(calls, n.ID)
			if n.ID == "a" {
				return backout.Receipt{Ref: strings.Repeat("x", 64<<20)}, nil
			}
			return backout.Receipt{Ref: n.ID}, nil
		})
		time.Sleep(time.Minute)
		stop()
		if !slices.Equal(calls, []string{"a", "b"}) {
			t.Errorf("delivered: %v, want a and b once each", calls)
		}
	})
}
