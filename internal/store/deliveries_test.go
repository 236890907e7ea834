package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// deliveries are those of the notice, without their times: what was not tried has none.
func deliveries(t *testing.T, o *store.Outbox, id string) []store.Delivery {
	t.Helper()
	list, err := o.Deliveries(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range list {
		if tried := d.Tries > 0 || d.Delivered || d.GivenUp; d.At.IsZero() == tried {
			t.Errorf("%s: tried %v, at %s", d.Channel, tried, d.At)
		}
		list[i].At = time.Time{}
	}
	return list
}

// TestDeliveriesOfANotice: from when it is queued on, on every channel, whatever becomes
// of it there, and for the audience that it was for there.
func TestDeliveriesOfANotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := start(t).Outbox
		want := func(id string, list ...store.Delivery) {
			t.Helper()
			if diff := cmp.Diff(list, deliveries(t, o, id)); diff != "" {
				t.Errorf("deliveries of %s (-want +got):\n%s", id, diff)
			}
		}
		queue := func(id, audience string, channels ...string) {
			t.Helper()
			for _, channel := range channels {
				if err := o.Put(t.Context(), channel, backout.Notice{ID: id, RollbackID: "r", Audience: audience}); err != nil {
					t.Fatal(err)
				}
			}
		}
		queue("r.1.0", "ops", "slack", "mail.ops")
		queue("r.1.0", "bosses", "slack", "desk") // slack serves both, and is told once
		queue("r.1.01", "ops", "slack")
		if diff := cmp.Diff([]store.Delivery{}, deliveries(t, o, "r.1")); diff != "" {
			t.Errorf("deliveries of another id (-want +got):\n%s", diff)
		}
		want("r.1.0", store.Delivery{Channel: "desk", Audience: "bosses"}, store.Delivery{Channel: "mail.ops", Audience: "ops"}, store.Delivery{Channel: "slack", Audience: "ops"})

		tries := 0
		defer consume(t, o, "slack", func(context.Context, backout.Notice) (backout.Receipt, error) {
			if tries++; tries < 3 {
				return backout.Receipt{}, errors.New("down")
			}
			return backout.Receipt{Ref: "1"}, nil
		})()
		defer consume(t, o, "mail.ops", func(context.Context, backout.Notice) (backout.Receipt, error) {
			return backout.Receipt{}, backout.Permanent(errors.New("no such user"))
		})()
		time.Sleep(500 * time.Millisecond)
		slack, mail, desk := store.Delivery{Channel: "slack", Audience: "ops", Tries: 1, LastError: "down"},
			store.Delivery{Channel: "mail.ops", Audience: "ops", GivenUp: true, Tries: 1, LastError: "no such user"}, store.Delivery{Channel: "desk", Audience: "bosses"}
		want("r.1.0", desk, mail, slack)
		want("r.1.01", store.Delivery{Channel: "slack", Audience: "ops"})
		time.Sleep(time.Minute)
		slack.Delivered, slack.Tries = true, 2
		queue("r.1.0", "ops", "slack", "mail.ops") // as after a restart
		want("r.1.0", desk, mail, slack)
		want("r.1.01", store.Delivery{Channel: "slack", Audience: "ops", Delivered: true})
	})
}

// TestDeliveriesAreOfTheirNotice, whatever their ids and channels are called.
func TestDeliveriesAreOfTheirNotice(t *testing.T) {
	o := start(t).Outbox
	names := []string{"*", ">", "a.b", "*.b", "a", "=2A", "a b", "é"}
	for _, name := range names {
		put(t, o, name, name)
	}
	for _, name := range names {
		if diff := cmp.Diff([]store.Delivery{{Channel: name}}, deliveries(t, o, name)); diff != "" {
			t.Errorf("of %q (-want +got):\n%s", name, diff)
		}
	}
	if _, err := o.Deliveries(t.Context(), ""); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("of no id: %v", err)
	}
}

// TestDeliveriesOfAnOlderRelease have no audience, and begin with their first try.
func TestDeliveriesOfAnOlderRelease(t *testing.T) {
	js := bustest.Start(t).JetStream()
	o := open(t, js).Outbox
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "$KV.BACKOUT_RECEIPTS.notice.slack.n1", Data: []byte(`{"state":"delivered","tries":0,"last_try":"2026-03-01T02:00:00Z","receipt":{"ref":"1"}}`)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.Delivery{{Channel: "slack", Delivered: true}}, deliveries(t, o, "n1")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// BenchmarkDeliveries asks for 30 notices beside those of others: 100,000, or a few when
// it is only tried, with -benchtime=1x.
func BenchmarkDeliveries(b *testing.B) {
	o := start(b).Outbox
	others := 100_000
	if f := flag.Lookup("test.benchtime"); f != nil && f.Value.String() == "1x" {
		others = 100
	}
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			for i := range others / 16 {
				if err := o.Put(b.Context(), []string{"slack", "mail"}[i%2], backout.Notice{ID: fmt.Sprintf("CHG%d-%d-r1.%d.0", w, i/30, i%30), RollbackID: "r"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	for i := range 30 {
		for _, channel := range []string{"slack", "mail"} {
			if err := o.Put(b.Context(), channel, backout.Notice{ID: fmt.Sprintf("CHG-r1.%d.0", i), RollbackID: "r"}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		for i := range 30 {
			if list, err := o.Deliveries(b.Context(), fmt.Sprintf("CHG-r1.%d.0", i)); err != nil || len(list) != 2 {
				b.Fatal(list, err)
			}
		}
	}
}
