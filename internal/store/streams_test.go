package store_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func TestChangedStreamIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		stream string
		change func(*jetstream.StreamConfig)
		open   store.Options
		want   string
	}{
		{"expiry on a log", "BACKOUT_ROLLBACKS", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, store.Options{}, "expire"},
		{"discarding the oldest", "BACKOUT_CHANGES", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, store.Options{}, "discards"},
		{"stale reads", "KV_BACKOUT_CONTROL", func(c *jetstream.StreamConfig) { c.AllowDirect = true }, store.Options{}, "replicas that may be behind"},
		{"few messages", "BACKOUT_NOTICES", func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, store.Options{}, "number of messages"},
		{"other subjects", "BACKOUT_CHANGES", func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} }, store.Options{}, "subjects"},
		{"no acknowledgements", "BACKOUT_ALERTS", func(c *jetstream.StreamConfig) { c.NoAck = true }, store.Options{}, "before writing"},
		{"a newer layout", "BACKOUT_CHANGES", func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{"backout.layout": "2"} }, store.Options{}, "newer release"},
		{"fewer alerts", "BACKOUT_ALERTS", func(*jetstream.StreamConfig) {}, store.Options{AlertsMaxBytes: 1 << 20}, "would delete alerts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			js := bustest.Start(t).JetStream()
			if err := openAs(t, js, "one").Close(); err != nil {
				t.Fatal(err)
			}
			stream, err := js.Stream(t.Context(), tt.stream)
			if err != nil {
				t.Fatal(err)
			}
			cfg := stream.CachedInfo().Config
			tt.change(&cfg)
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatalf("change the stream: %v", err)
			}
			tt.open.JS, tt.open.Server = js, "one"
			_, err = store.Open(t.Context(), tt.open)
			wantError(t, "Open", err, tt.stream, tt.want)
		})
	}
}

func TestLimitsAreOnlyWidened(t *testing.T) {
	js := bustest.Start(t).JetStream()
	limit := func(want int64) {
		t.Helper()
		stream, err := js.Stream(t.Context(), "BACKOUT_ALERTS")
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.MaxBytes; got != want {
			t.Errorf("MaxBytes = %d, want %d", got, want)
		}
	}
	for _, step := range []struct{ ask, want int64 }{{0, 2 << 30}, {3 << 30, 3 << 30}, {0, 3 << 30}} {
		s, err := store.Open(t.Context(), store.Options{JS: js, Server: "one", AlertsMaxBytes: step.ask})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		limit(step.want)
	}
}

// TestAgeOfAlertsFollowsWhatIsAsked: both ways, but never by itself.
func TestAgeOfAlertsFollowsWhatIsAsked(t *testing.T) {
	js := bustest.Start(t).JetStream()
	const day = 24 * time.Hour
	for _, step := range []struct{ ask, want time.Duration }{{2 * day, 2 * day}, {0, 2 * day}, {30 * day, 30 * day}, {0, 30 * day}, {time.Hour, time.Hour}, {time.Hour, time.Hour}} {
		s, err := store.Open(t.Context(), store.Options{JS: js, Server: "one", AlertsMaxAge: step.ask})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]time.Duration{"BACKOUT_ALERTS": step.want, "BACKOUT_NOTICES": 30 * day, "BACKOUT_CHANGES": 0} {
			stream, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.CachedInfo().Config.MaxAge; got != want {
				t.Errorf("asked for %v, %s keeps %v, want %v", step.ask, name, got, want)
			}
		}
	}
	_, err := store.Open(t.Context(), store.Options{JS: js, Server: "one", AlertsMaxAge: time.Minute})
	wantError(t, "Open", err, "an hour at least")
}

func TestTooLittleRoomSaysWhatToDo(t *testing.T) {
	js := bustest.Start(t).JetStream()
	_, err := store.Open(t.Context(), store.Options{JS: js, Server: "one", AlertsMaxBytes: 1 << 50})
	wantError(t, "Open", err, "BACKOUT_ALERTS", "max_file_store")
}

func TestOpenNeedsItsOptions(t *testing.T) {
	_, err := store.Open(t.Context(), store.Options{})
	wantError(t, "Open", err, "JetStream", "name")
}
