package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/store"
)

// backUp copies the store of the config in dir into a file.
func backUp(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "one.backup")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := app.Backup(t.Context(), app.Options{Config: filepath.Join(dir, "backout.yaml"), Version: "test"}, f); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRestoredStoreMeansTheSame: every state that a release left is the same
// after a backup and a restore, and the pause switch is on.
func TestRestoredStoreMeansTheSame(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	unpack(t, filepath.Join("testdata", "release-0.1", "data.tar.gz"), filepath.Join(from, "data"))
	for _, dir := range []string{from, to} {
		releaseFiles(t, dir, "http://127.0.0.1:1")
	}
	want := stored(t, filepath.Join(from, "data"))
	file := backUp(t, from)
	if _, err := app.Restore(t.Context(), app.Options{Config: filepath.Join(to, "backout.yaml")}, file); err != nil {
		t.Fatal(err)
	}
	got := stored(t, filepath.Join(to, "data"))
	if !got.Pause.On || got.Pause.By != "backout restore" || !strings.Contains(got.Pause.Reason, "backout resume") {
		t.Errorf("the pause switch is %+v", got.Pause)
	}
	got.Pause = want.Pause
	if diff := cmp.Diff(tree(t, want), tree(t, got)); diff != "" {
		t.Errorf("the states differ (-before +restored):\n%s", diff)
	}
	goesOn(t, to, want)
}

// TestRestoreKeepsHowFarPeopleWereTold: a server of a cluster goes on where the
// sole one was, and does not tell a year's news again.
func TestRestoreKeepsHowFarPeopleWereTold(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	unpack(t, filepath.Join("testdata", "release-0.1", "data.tar.gz"), filepath.Join(from, "data"))
	for _, dir := range []string{from, to} {
		releaseFiles(t, dir, "http://127.0.0.1:1")
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: bus.MaxPayload})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	config := filepath.Join(to, "backout.yaml")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, fmt.Appendf(text, "nats: {url: %q}\n", s.ClientURL()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Restore(t.Context(), app.Options{Config: config}, backUp(t, from)); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), bus.Options{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	moved, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "reader", AlertsMaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = moved.Close() }()
	before, err := moved.Control.Get(t.Context(), "relay")
	if err != nil {
		t.Fatal(err)
	}
	if now, err := moved.Control.Get(t.Context(), "relay.recorded"); err != nil || string(now.Value) != string(before.Value) {
		t.Errorf("told up to %q, %v, want %q", now.Value, err, before.Value)
	}
}
