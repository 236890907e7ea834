package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func healthOf(t *testing.T, o *store.Outbox, channel string) store.ChannelHealth {
	t.Helper()
	h, err := o.Health(t.Context(), channel)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func tried(t *testing.T, o *store.Outbox, at time.Time, why error) {
	t.Helper()
	if err := o.Tried(t.Context(), "slack", at, why); err != nil {
		t.Fatal(err)
	}
}

// TestHealthIsWhatWasTriedLast: by the order in which it is told, whatever the clocks of
// the servers say.
func TestHealthIsWhatWasTriedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		if h := healthOf(t, o, "slack"); h != (store.ChannelHealth{}) {
			t.Errorf("never tried: %+v", h)
		}
		now := time.Now().UTC()
		tried(t, o, now, nil)
		if h := healthOf(t, o, "slack"); h.Failing() || !h.LastSuccess.Equal(now) {
			t.Errorf("after a success: %+v", h)
		}
		tried(t, o, now.Add(-5*time.Second), backout.Permanent(errors.New("token_revoked"))) // a clock that is slow
		if h := healthOf(t, o, "slack"); !h.Failing() || h.LastError != "token_revoked" {
			t.Errorf("after a refusal: %+v", h)
		}
		tried(t, o, now, errors.New(strings.Repeat("ä", 400)))
		if h := healthOf(t, o, "slack"); !h.Failing() || len(h.LastError) > 310 || !utf8.ValidString(h.LastError) {
			t.Errorf("after a failure: %+v", h)
		}
		tried(t, o, now.Add(-time.Minute), nil)
		if h := healthOf(t, o, "slack"); h.Failing() {
			t.Errorf("after the next success: %+v", h)
		}
		if h := healthOf(t, o, "mail"); h != (store.ChannelHealth{}) {
			t.Errorf("another channel: %+v", h)
		}
	})
}

// TestAStormOfNoticesWritesLittleOfHealth: a write when it changes, and one in ten
// seconds.
func TestAStormOfNoticesWritesLittleOfHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := bustest.Start(t)
		s, err := store.Open(t.Context(), store.Options{JS: bus.JetStream(), Server: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		writes := func() uint64 {
			stream, err := bus.JetStream().Stream(t.Context(), "KV_BACKOUT_RECEIPTS")
			if err != nil {
				t.Fatal(err)
			}
			return stream.CachedInfo().State.LastSeq
		}
		for i := range 300 {
			why := error(nil)
			if i >= 150 {
				why = errors.New("down")
			}
			tried(t, s.Outbox, time.Now(), why)
			time.Sleep(100 * time.Millisecond)
		}
		if n := writes(); n < 4 || n > 5 {
			t.Errorf("%d writes in half a minute with one change", n)
		}
		if h := healthOf(t, s.Outbox, "slack"); !h.Failing() {
			t.Errorf("%+v", h)
		}
	})
}

// TestGivenUpNoticeIsHandedOverAgain: as the same notice in the words of now, once,
// however often it is asked for, and again when it was given up again.
func TestGivenUpNoticeIsHandedOverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		tries, said, fail := 0, "", backout.Permanent(errors.New("token_revoked"))
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			tries, said = tries+1, n.Reason
			time.Sleep(time.Second)
			return backout.Receipt{Ref: fmt.Sprint(n.ID, " ", tries)}, fail
		})
		defer stop()
		pass := func() { time.Sleep(5 * time.Second); synctest.Wait() }
		q := backout.Notice{ID: "r.1.0", RollbackID: "r", Reason: "in the words of now"}
		again := func(times int) {
			t.Helper()
			for range times {
				if err := o.Again(t.Context(), "slack", q); err != nil {
					t.Fatal(err)
				}
			}
			pass()
		}
		listed := func(want bool) {
			t.Helper()
			list, err := o.GivenUp(t.Context())
			d, _, err2 := o.Delivery(t.Context(), "slack", q.ID)
			if err := errors.Join(err, err2); err != nil || len(list) == 1 != want || d.GivenUp != want {
				t.Fatalf("listed %+v, stands %+v, %v, want %t", list, d, err, want)
			}
		}
		again(1) // nothing was given up
		put(t, o, "slack", "r.1.0")
		pass()
		listed(true)
		again(3)
		listed(true)
		if tries != 2 {
			t.Errorf("tried %d times, want twice", tries)
		}
		fail = nil
		again(3)
		listed(false)
		again(1)
		put(t, o, "slack", "r.1.0")
		pass()
		if tries != 3 {
			t.Errorf("tried %d times, want three times", tries)
		}
		if list := deliveries(t, o, "r.1.0"); len(list) != 1 || !list[0].Delivered {
			t.Errorf("deliveries %+v", list)
		}
		if said != q.Reason {
			t.Errorf("it says %q", said)
		}
	})
}

// TestAHandOverThatFailedHalfWayIsFinished: a server died after it had written down that
// the notice waits again, and before it did.
func TestAHandOverThatFailedHalfWayIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := bustest.Start(t)
		s, err := store.Open(t.Context(), store.Options{JS: bus.JetStream(), Server: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		half := `{"state":"queued","tries":1,"last_error":"token_revoked","again_at":"2000-01-01T00:00:01Z"}`
		if _, err := bus.JetStream().Publish(t.Context(), "$KV.BACKOUT_RECEIPTS.notice.slack.q1", []byte(half)); err != nil {
			t.Fatal(err)
		}
		var got []string
		defer consume(t, s.Outbox, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			got = append(got, n.ID)
			return backout.Receipt{Ref: n.ID}, nil
		})()
		for range 3 {
			if err := s.Outbox.Again(t.Context(), "slack", backout.Notice{ID: "q1"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(got) != 1 {
			t.Errorf("delivered %q, want q1 once", got)
		}
	})
}

// TestThreadGoesWhereTheChannelGoes: after the channel leads elsewhere, what follows
// answers the first message there.
func TestThreadGoesWhereTheChannelGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		place := "C1"
		stop := consume(t, o, "slack", func(_ context.Context, n backout.Notice) (backout.Receipt, error) {
			return backout.Receipt{Ref: n.ID, Channel: place}, nil
		})
		defer stop()
		for _, step := range []struct{ id, place, want string }{{"a", "C1", "a"}, {"b", "C1", "a"}, {"c", "C2", "c"}, {"d", "C2", "c"}} {
			place = step.place
			put(t, o, "slack", step.id)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			thread, err := o.Thread(t.Context(), "slack", "r")
			if err != nil || thread == nil || thread.Ref != step.want || thread.Channel != step.place {
				t.Errorf("after %s: %+v %v", step.id, thread, err)
			}
		}
	})
}
