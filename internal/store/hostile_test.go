package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/backup"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// TestBackupOfForeignSubjectsIsRefused: a restore would publish it with the rights
// of a server, and it may be an order to NATS.
func TestBackupOfForeignSubjectsIsRefused(t *testing.T) {
	b := bustest.Start(t)
	js := b.JetStream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	s := open(t, js)
	populate(t, s)
	good := takeBackup(t, s)
	for stream, subjects := range map[string][]string{
		"KV_BACKOUT_CONTROL":    {"$JS.API.STREAM.DELETE.ORDERS", "orders.evil", "$KV.BACKOUT_CONTROL.", "$KV.BACKOUT_CONTROL.a..b", "$KV.BACKOUT_CONTROL.>", "$KV.BACKOUT_CONTROL.*"},
		"BACKOUT_CHANGES":       {"backout.rollbacks.a", "backout.changes.a.b", "backout.changes.*", "backout.changes.", "backout.changes.a 1\r\nPUB orders.evil 0\r\n\r\n"},
		"BACKOUT_ALERTS":        {"backout.alerts.a", "backout.alert"},
		"KV_BACKOUT_RECEIPTS":   {"$KV.BACKOUT_CONTROL.pause"},
		"OBJ_BACKOUT_ARTIFACTS": {"$O.BACKOUT_ARTIFACTS.X.a"},
	} {
		for _, subject := range subjects {
			var out bytes.Buffer
			w, err := backup.NewWriter(&out, backup.Header{At: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			in, swapped := "", false
			_, err = backup.Read(bytes.NewReader(good), func(name string, m backup.Message) error {
				if name != in {
					in = name
					if err := w.Begin(name); err != nil {
						return err
					}
				}
				if name == stream && !swapped {
					m.Subject, swapped = subject, true
				}
				return w.Add(m)
			})
			_, e := w.Close()
			if err := errors.Join(err, e); err != nil || !swapped {
				t.Fatal(err, swapped)
			}
			_, err = store.CheckBackup(bytes.NewReader(out.Bytes()))
			wantError(t, "CheckBackup of "+subject, err, stream, "none of this stream")
			_, err = fillFrom(t.Context(), js, out.Bytes())
			wantError(t, "Restore of "+subject, err, stream, "none of this stream")
		}
	}
	orders, err := js.Stream(t.Context(), "ORDERS")
	if err != nil || orders.CachedInfo().State.Msgs != 0 {
		t.Errorf("another stream was touched: %v", err)
	}
}
