package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/store"
)

// TestServerRefusesWhatItCannotTrust: what a newer release wrote, and what has
// lost something, is refused before anything is done, in words that say what to
// do.
func TestServerRefusesWhatItCannotTrust(t *testing.T) {
	publish := func(subject, text string) func(context.Context, string, jetstream.JetStream) error {
		return func(ctx context.Context, _ string, js jetstream.JetStream) error {
			_, err := js.Publish(ctx, subject, []byte(text), jetstream.WithExpectLastSequencePerSubject(0))
			return err
		}
	}
	marker := func(old, now string) func(context.Context, string, jetstream.JetStream) error {
		return func(_ context.Context, data string, _ jetstream.JetStream) error {
			file := filepath.Join(data, "backout-store.json")
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return os.WriteFile(file, []byte(strings.Replace(string(text), old, now, 1)), 0o600)
		}
	}
	const event = `{"v":1,"op":"x","at":"2026-03-01T02:00:00Z","events":[{"kind":"not_yet_known","data":{}}]}`
	tests := []struct {
		name   string
		tamper func(ctx context.Context, data string, js jetstream.JetStream) error
		want   []string
	}{
		{"a newer record", publish("backout.changes.CHG9", `{"v":99,"op":"x","at":"2026-03-01T02:00:00Z","events":[]}`), []string{"BACKOUT_CHANGES at 2", "newer"}},
		{"a newer event", publish("backout.rollbacks.CHG9-r1", event), []string{"BACKOUT_ROLLBACKS at 1", "not_yet_known", "newer"}},
		{"a newer batch of alerts", publish("backout.alerts", "\x09"), []string{"BACKOUT_ALERTS at 1", "batch version 9", "newer"}},
		{"a newer layout of a stream", func(ctx context.Context, _ string, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "BACKOUT_NOTICES")
			if err != nil {
				return err
			}
			cfg := stream.CachedInfo().Config
			cfg.Metadata = map[string]string{"backout.layout": "2"}
			_, err = js.UpdateStream(ctx, cfg)
			return err
		}, []string{"BACKOUT_NOTICES", "newer release"}},
		{"a newer layout of the directory", marker(`"version": 1`, `"version": 2`), []string{"newer release"}},
		{"a cluster's directory", marker(`"kind": "single"`, `"kind": "cluster"`), []string{"cluster", "data_dir"}},
		{"an unfinished restore", marker(`"kind": "single"`, `"filling": true, "kind": "single"`), []string{"restore that was not finished"}},
		{"a lost end", marker(`"BACKOUT_CHANGES": 1`, `"BACKOUT_CHANGES": 8`), []string{"BACKOUT_CHANGES ends at 1", "8 was stored", "backup"}},
		{"lost documents", func(ctx context.Context, _ string, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "KV_BACKOUT_CONTROL")
			if err != nil {
				return err
			}
			return stream.Purge(ctx)
		}, []string{"KV_BACKOUT_CONTROL lacks", "backup"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			releaseFiles(t, dir, "http://127.0.0.1:1")
			if err := startOnce(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(dir, "data")
			withData(t, data, func(js jetstream.JetStream, s *store.Store) error {
				_, err := s.Changes.Append(t.Context(), "CHG1", 0, backout.Record{Op: "a", At: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)})
				return err
			})
			b, err := bus.Open(t.Context(), bus.Options{DataDir: data})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.tamper(t.Context(), data, b.JetStream()); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			err = startOnce(t.Context(), dir)
			if err == nil {
				t.Fatal("the server started")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not tell %q", err, part)
				}
			}
		})
	}
}

// startOnce starts a server and ends it.
func startOnce(ctx context.Context, dir string) error {
	a, err := app.New(ctx, app.Options{Config: filepath.Join(dir, "backout.yaml"), Attempts: filepath.Join(dir, "attempts")})
	if err != nil {
		return err
	}
	return a.Close()
}

func withData(t *testing.T, data string, do func(js jetstream.JetStream, s *store.Store) error) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	marks, _ := b.Marks()
	s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "one", Marks: marks, AlertsMaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(errors.Join(err, b.Close()))
	}
	if err := errors.Join(do(b.JetStream(), s), s.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}
