package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// leftOut says that some have the notice of the id, and that another one never will.
func leftOut(id string) error {
	return &backout.PartlyError{Receipt: backout.Receipt{Ref: id}, Err: backout.Permanent(errors.New("no such user"))}
}

// TestRefusedOutcomeOfAPartlyDeliveredNoticeDoesNotDeliverAgain lets the store refuse every
// write between a delivery to some and what is written down of it.
func TestRefusedOutcomeOfAPartlyDeliveredNoticeDoesNotDeliverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := startFaulty(t)
		put(t, s.Outbox, "slack", "a", "b")
		var calls []string
		defer consume(t, s.Outbox, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			if calls = append(calls, n.ID); len(calls) == 1 {
				f.set(func() error { return errDiskFull }, nil)
			}
			return backout.Receipt{}, leftOut(n.ID)
		})()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if !slices.Equal(calls, []string{"a"}) {
			t.Errorf("delivered while nothing could be written: %d times, want a once", len(calls))
		}
		f.set(nil, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(calls, []string{"a", "b"}) {
			t.Errorf("delivered: %v, want a and b once each", calls)
		}
		if r, err := s.Outbox.Thread(t.Context(), "slack", "r"); err != nil || r == nil || r.Ref != "a" {
			t.Errorf("Thread = %v, %v, want the receipt of a", r, err)
		}
	})
}

// TestStopKeepsThatSomeHaveTheNotice: the next server knows of it.
func TestStopKeepsThatSomeHaveTheNotice(t *testing.T) {
	o := start(t).Outbox
	put(t, o, "slack", "a")
	begun := make(chan struct{})
	stop := consume(t, o, "slack", func(ctx context.Context, n backout.Notice) (backout.Receipt, error) {
		close(begun)
		<-ctx.Done()
		return backout.Receipt{}, &backout.PartlyError{Receipt: backout.Receipt{Ref: n.ID}, Err: ctx.Err()}
	})
	receive(t, begun)
	stop()
	if d, _, err := o.Delivery(t.Context(), "slack", "a"); err != nil || !d.Delivered || d.Tries != 1 {
		t.Errorf("it stands as %+v %v, want that some have it", d, err)
	}
	if waiting, err := o.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].PartlyAt.IsZero() {
		t.Errorf("Waiting = %+v, %v; want it for the others", waiting, err)
	}
}

// TestPartlyReceiptThatCannotBeStoredIsGivenUp is about one that no store would take.
func TestPartlyReceiptThatCannotBeStoredIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		put(t, o, "slack", "a", "b")
		var calls []string
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			calls = append(calls, n.ID)
			if n.ID == "a" {
				return backout.Receipt{}, leftOut(strings.Repeat("x", 64<<20))
			}
			return backout.Receipt{}, leftOut(n.ID)
		})
		time.Sleep(time.Minute)
		stop()
		if !slices.Equal(calls, []string{"a", "b"}) {
			t.Errorf("delivered: %v, want a and b once each", calls)
		}
	})
}

// TestWhatIsAskedForIsWaitedForOnceSomeHaveTheNotice, or the others are tried no more where
// that is longer than they would be.
func TestWhatIsAskedForIsWaitedForOnceSomeHaveTheNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		asks := 15 * time.Second
		var at []time.Time
		defer consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			at = append(at, time.Now())
			return backout.Receipt{}, &backout.PartlyError{Receipt: backout.Receipt{Ref: n.ID}, Err: askedFor(asks)}
		})()
		put(t, o, "slack", "a")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if len(at) < 20 || at[1].Sub(at[0]) < asks || at[len(at)-1].Sub(at[0]) > 7*time.Minute {
			t.Errorf("tried at %v, want every 15 s for six minutes", at)
		}
		asks, at = 90*time.Second, nil
		put(t, o, "slack", "b", "c")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if waiting, err := o.Waiting(t.Context()); len(at) != 2 || err != nil || len(waiting) != 0 {
			t.Errorf("tried at %v, %d wait %v; want each once", at, len(waiting), err)
		}
	})
}
