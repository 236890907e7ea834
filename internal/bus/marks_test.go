package bus_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
)

func TestMarksAreKeptBesideTheStreams(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	b := bustest.StartIn(t, dir)
	marks, ok := b.Marks()
	if !ok {
		t.Fatal("an embedded server has no place for marks")
	}
	want := map[string]uint64{"LOG": 1}
	if err := errors.Join(marks.Save(t.Context(), want), b.Close()); err != nil {
		t.Fatal(err)
	}
	b = bustest.StartIn(t, dir)
	marks, _ = b.Marks()
	if got, err := marks.Load(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("marks after a restart: %v, %v, want %v", got, err, want)
	}
	// A stream that is deleted on purpose is not missed.
	if err := b.JetStream().DeleteStream(t.Context(), "LOG"); err != nil {
		t.Fatal(err)
	}
	if got, err := marks.Load(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("marks of a deleted stream: %v, %v", got, err)
	}
}

func TestExternalServerHasNoMarks(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Options{URL: "nats://" + external(t, server.Options{JetStream: true})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if _, ok := b.Marks(); ok {
		t.Error("there is no directory to keep marks in")
	}
}

func TestBulkDirectoryIsRefusedUntilItIsClosed(t *testing.T) {
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	if b.SyncsAlways() {
		t.Error("every write is synced")
	}
	js := b.JetStream()
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}})
	if err == nil {
		_, err = js.Publish(t.Context(), "log", []byte("kept"))
	}
	if err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	wantError(t, openDir(t, crashed), crashed, "not finished", "empty directory")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = bustest.StartIn(t, dir)
	stream, err := b.JetStream().Stream(t.Context(), "LOG")
	if err != nil || stream.CachedInfo().State.Msgs != 1 || !b.SyncsAlways() {
		t.Errorf("after Close: %v, syncs %t", err, b.SyncsAlways())
	}
}

func TestInUseIsRecognised(t *testing.T) {
	dir := t.TempDir()
	bustest.StartIn(t, dir)
	if err := openDir(t, dir); !errors.Is(err, bus.ErrInUse) {
		t.Errorf("%v, want ErrInUse", err)
	}
}

func TestHoldsStore(t *testing.T) {
	dir := t.TempDir()
	if bus.HoldsStore(dir) || bus.HoldsStore(filepath.Join(dir, "nothing")) {
		t.Error("nothing is taken for a store")
	}
	bustest.StartIn(t, dir)
	if bus.HoldsStore(dir) {
		t.Error("a directory without streams is taken for a store")
	}
	fillDir(t, filepath.Join(dir, "full"))
	if !bus.HoldsStore(filepath.Join(dir, "full")) {
		t.Error("a store is not recognised")
	}
}
