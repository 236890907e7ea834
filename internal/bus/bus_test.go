package bus_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
)

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that tells %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not tell %q", err, part)
		}
	}
}

func openDir(t *testing.T, dir string) error {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir})
	if err == nil {
		err = b.Close()
	}
	return err
}

// fillDir makes a store with one stream that holds one message.
func fillDir(t *testing.T, dir string) {
	t.Helper()
	b := bustest.StartIn(t, dir)
	js := b.JetStream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "log", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatalf("Close twice: %v", err)
	}
}

func TestRestartKeepsTheStreams(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	fillDir(t, dir)
	b := bustest.StartIn(t, dir)
	if err := b.Health(t.Context()); err != nil {
		t.Errorf("Health: %v", err)
	}
	stream, err := b.JetStream().Stream(t.Context(), "LOG")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
		t.Errorf("message = %v, %v", m, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Health(t.Context()); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("Health when closed: %v, want ErrUnavailable", err)
	}
}

func TestLargeMessagesFit(t *testing.T) {
	js := bustest.Start(t).JetStream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "log", make([]byte, bus.MaxPayload-1024)); err != nil {
		t.Errorf("a message of nearly MaxPayload: %v", err)
	}
}

func TestSecondServerOnTheDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := bustest.StartIn(t, dir)
	wantError(t, openDir(t, dir), dir, "in use", "stop that one", "data_dir")
	if err := first.Health(t.Context()); err != nil {
		t.Errorf("the first server suffered: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, dir); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}

func TestUnusableDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	marked := func(text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "backout-store.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	foreign := t.TempDir()
	if err := os.MkdirAll(filepath.Join(foreign, "jetstream", "$G"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		want      []string
	}{
		{"a file", filepath.Join(file, "data"), []string{file, "cannot be written"}},
		{"a cluster's", marked(`{"version":1,"kind":"cluster","streams":[]}`), []string{"cluster", "another data_dir"}},
		{"a newer release's", marked(`{"version":9,"kind":"single","streams":[]}`), []string{"newer release"}},
		{"a broken marker", marked(`{`), []string{"backout-store.json", "backup"}},
		{"another NATS's", foreign, []string{foreign, "not backout's"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, openDir(t, tt.dir), tt.want...) })
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		missing(t, "mounting a read-only directory needs root: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantError(t, openDir(t, dir), dir, "read-only file system", "writable")
}

func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("BACKOUT_E2E") == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// TestCrashWhileItStarts: what a start that was killed has left is no damage.
func TestCrashWhileItStarts(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	left := []string{filepath.Join(dir, "jetstream", "_test_3832515886"), filepath.Join(dir, ".backout-try-1")}
	for _, name := range left {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := openDir(t, dir); err != nil {
		t.Error(err)
	}
	for _, name := range left {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestLostStreamIsAnError(t *testing.T) {
	streamDir := func(dir string) string { return filepath.Join(dir, "jetstream", "$G", "streams", "LOG") }
	tests := []struct {
		name   string
		damage func(dir string) error
	}{
		{"its directory is gone", func(dir string) error { return os.RemoveAll(streamDir(dir)) }},
		{"all directories are gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "jetstream")) }},
		{"its description is empty", func(dir string) error { return os.Truncate(filepath.Join(streamDir(dir), "meta.inf"), 0) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			fillDir(t, dir)
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			wantError(t, openDir(t, dir), dir, "LOG", "backup")
		})
	}
}

func TestDeletedStreamIsNotMissed(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	b := bustest.StartIn(t, dir)
	if err := b.JetStream().DeleteStream(t.Context(), "LOG"); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, dir); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, "backout-store.json"))
	if err != nil {
		t.Fatal(err)
	}
	var marker struct {
		Kind    string
		Streams []string
	}
	if err := json.Unmarshal(data, &marker); err != nil || marker.Kind != "single" || !slices.Equal(marker.Streams, []string{"LOG"}) {
		t.Errorf("marker = %s, %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".backout-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files left over: %v, %v", left, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []bus.Options{{}, {DataDir: "a", URL: "b"}, {DataDir: "a", MaxStore: -1}} {
		if _, err := bus.Open(t.Context(), o); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("Open(%+v): %v, want ErrInvalid", o, err)
		}
	}
}

// external runs a NATS server on a free port.
func external(t *testing.T, o server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, true, t.TempDir()
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.Addr().String()
}

func TestExternalServer(t *testing.T) {
	address := external(t, server.Options{JetStream: true, Username: "backout", Password: "s3cret"})
	b, err := bus.Open(t.Context(), bus.Options{URL: "nats://backout:s3cret@" + address})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Health(t.Context()); err != nil {
		t.Errorf("Health: %v", err)
	}
	if _, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG"}); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestExternalServerThatDoesNotDo(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	tests := []struct {
		name, url string
		want      []string
	}{
		{"wrong password", "nats://backout:s3cret@" + external(t, server.Options{JetStream: true, Username: "backout", Password: "other"}), []string{"nats.url", "uthorization"}},
		{"nobody there", "nats://backout:s3cret@" + nobody, []string{nobody, "nats.url"}},
		{"not a URL", "nats://backout:s3cret@[::1", []string{"nats.url"}},
		{"no JetStream", "nats://" + external(t, server.Options{}), []string{"enable JetStream"}},
		{"small messages", "nats://" + external(t, server.Options{JetStream: true, MaxPayload: 4096}), []string{"4096", "max_payload"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := bus.Open(t.Context(), bus.Options{URL: tt.url})
			wantError(t, err, tt.want...)
			if strings.Contains(fmt.Sprint(err), "s3cret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestServerLogGoesToSlog(t *testing.T) {
	var out bytes.Buffer
	b, err := bus.Open(t.Context(), bus.Options{DataDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `msg="nats server"`) {
		t.Errorf("log = %q", out.String())
	}
}

func TestEmbeddedServerSyncsAndDoesNotListen(t *testing.T) {
	b := bustest.Start(t)
	if !b.SyncsAlways() {
		t.Error("the embedded server acknowledges before it has synced")
	}
	if b.Listens() {
		t.Error("the embedded server listens")
	}
}
