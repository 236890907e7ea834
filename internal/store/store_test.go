package store_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// childEnv makes the test binary play the server that gets killed.
const childEnv = "BACKOUT_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		writeUntilKilled(dir)
		return
	}
	bustest.Main(m)
}

// open opens a store on js until the test ends.
func open(t testing.TB, js jetstream.JetStream) *store.Store {
	t.Helper()
	return openAs(t, js, "one")
}

func openAs(t testing.TB, js jetstream.JetStream, server string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{JS: js, Server: server})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// start opens a store on an embedded server of its own.
func start(t testing.TB) *store.Store {
	t.Helper()
	return open(t, bustest.Start(t).JetStream())
}

var testTime = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

// record is a small valid record.
func record(op string) backout.Record {
	return backout.Record{Op: op, By: "one", At: testTime, Events: []backout.Event{backout.Resumed{By: "someone"}}}
}

func mustAppend(t testing.TB, l *store.Log, id string, expected uint64, op string) uint64 {
	t.Helper()
	seq, err := l.Append(t.Context(), id, expected, record(op))
	if err != nil {
		t.Fatalf("Append(%q after %d, op %s): %v", id, expected, op, err)
	}
	return seq
}

func mustLoad(t testing.TB, l *store.Log, id string) []store.Entry {
	t.Helper()
	entries, err := l.Load(t.Context(), id)
	if err != nil {
		t.Fatalf("Load(%q): %v", id, err)
	}
	return entries
}

// ops lists the operations of entries, to compare histories by.
func ops(entries []store.Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Record.Op)
	}
	return list
}

// followUntil follows the log until done says so, and returns what it read.
func followUntil(ctx context.Context, l *store.Log, from uint64, done func([]store.Entry) bool) ([]store.Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var entries []store.Entry
	err := l.Follow(ctx, from, func(e store.Entry) error {
		entries = append(entries, e)
		if done(entries) {
			cancel()
		}
		return nil
	}, nil)
	return entries, err
}

func post(n int) store.Post {
	return store.Post{Kind: "webhook", Source: "alertmanager", ReceivedAt: testTime.Add(time.Duration(n) * time.Second), Body: fmt.Appendf(nil, `{"post":%d}`, n)}
}
