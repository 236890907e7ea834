package store_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	b := bustest.StartIn(t, dir)
	s := open(t, b.JetStream())
	ctx := t.Context()
	seq := mustAppend(t, s.Changes, "CHG1", 0, "a")
	mustAppend(t, s.Rollbacks, "CHG1-r1", 0, "a")
	pos, err := s.Alerts.Append(ctx, post(1))
	err = errors.Join(err, s.Control.SetPause(ctx, store.PauseState{On: true, By: "alice"}), s.Artifacts.PutOutput(ctx, "a1", []byte("out")))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.Outbox, "slack", "n1")
	if err := errors.Join(s.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}

	s = open(t, bustest.StartIn(t, dir).JetStream())
	if got := mustLoad(t, s.Changes, "CHG1"); len(got) != 1 || got[0].Seq != seq {
		t.Errorf("history = %+v", got)
	}
	mustAppend(t, s.Changes, "CHG1", seq, "b")
	if seq, err := s.Rollbacks.Append(ctx, "CHG1-r1", 0, record("a")); err != nil || seq != 1 {
		t.Errorf("the same append after the restart = %d, %v, want the stored one", seq, err)
	}
	if got := storedPosts(t, s); len(got) != 1 || pos.Seq != 1 || got[`{"post":1}`] {
		t.Errorf("posts = %v, want one, of an earlier run", got)
	}
	if p, err := s.Control.Pause(ctx); err != nil || !p.On || p.By != "alice" {
		t.Errorf("Pause = %+v, %v", p, err)
	}
	if w, err := s.Outbox.Waiting(ctx); err != nil || len(w) != 1 {
		t.Errorf("Waiting = %+v, %v", w, err)
	}
	if out, err := s.Artifacts.GetOutput(ctx, "a1"); err != nil || string(out) != "out" {
		t.Errorf("GetOutput = %q, %v", out, err)
	}
}

// writeUntilKilled is the child of TestKilledServerLosesNothing: it appends with
// several writers and prints what was acknowledged.
func writeUntilKilled(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Options{DataDir: dir})
	if err != nil {
		fail(err)
	}
	s, err := store.Open(ctx, store.Options{JS: b.JetStream(), Server: "child"})
	if err != nil {
		fail(err)
	}
	var out sync.Mutex
	acknowledged := func(what string) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what)
	}
	for w := range 4 {
		id := fmt.Sprintf("CHG%d.%d", w, os.Getpid())
		go func() {
			var last uint64
			var err error
			for i := 0; ; i++ {
				if last, err = appendOne(ctx, s.Changes, id, last, i); err != nil {
					fail(err)
				}
				acknowledged(fmt.Sprintf("change %s %d", id, i))
			}
		}()
		go func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("%s/%d", id, i)
				if _, err := s.Alerts.Append(ctx, store.Post{Kind: "webhook", Body: []byte(body)}); err != nil {
					fail(err)
				}
				acknowledged("post " + body)
			}
		}()
	}
	select {}
}

func appendOne(ctx context.Context, l *store.Log, id string, last uint64, i int) (uint64, error) {
	return l.Append(ctx, id, last, backout.Record{Op: fmt.Sprintf("%s/%d", id, i), By: "child", At: testTime})
}

func TestKilledServerLosesNothing(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for range 3 {
		acknowledged = append(acknowledged, runAndKill(t, dir, 150)...)
	}
	s := open(t, bustest.StartIn(t, dir).JetStream())
	posts := storedPosts(t, s)
	histories := make(map[string][]store.Entry)
	for _, line := range acknowledged {
		kind, rest, _ := strings.Cut(line, " ")
		if kind == "post" {
			if _, ok := posts[rest]; !ok {
				t.Errorf("acknowledged post %s is lost", rest)
			}
			continue
		}
		id, number, _ := strings.Cut(rest, " ")
		if histories[id] == nil {
			histories[id] = mustLoad(t, s.Changes, id)
		}
		if n, err := strconv.Atoi(number); err != nil || n >= len(histories[id]) || histories[id][n].Record.Op != id+"/"+number {
			t.Errorf("acknowledged record %s of %s is lost", number, id)
		}
	}
	t.Logf("%d acknowledged writes in 3 killed servers, none lost", len(acknowledged))
}

// runAndKill runs a server on dir, kills it after n acknowledged writes, and
// returns what it had acknowledged.
func runAndKill(t *testing.T, dir string, n int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	scan := bufio.NewScanner(out)
	for len(lines) < n && scan.Scan() {
		lines = append(lines, scan.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for scan.Scan() { // what was printed before the end counts too
		lines = append(lines, scan.Text())
	}
	_ = cmd.Wait()
	if len(lines) < n {
		t.Fatalf("the child ended after %d writes", len(lines))
	}
	return lines[:len(lines)-1] // the last line may be cut
}

func TestFullDiskLosesNothingAcknowledged(t *testing.T) {
	dir := smallDisk(t)
	b := openOn(t, dir)
	s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "one"})
	if err != nil {
		t.Fatal(err)
	}
	last, kept := uint64(0), 0
	for range 20 {
		last = mustAppend(t, s.Changes, "CHG1", last, fmt.Sprint(kept))
		kept++
	}
	posts := fillWithPosts(t, s)
	fill(t, filepath.Join(dir, "ballast"))
	_, err = s.Changes.Append(t.Context(), "CHG1", last, record(fmt.Sprint(kept)))
	for err == nil { // what the file system had promised before
		kept++
		entries := mustLoad(t, s.Changes, "CHG1")
		last = entries[len(entries)-1].Seq
		_, err = s.Changes.Append(t.Context(), "CHG1", last, record(fmt.Sprint(kept)))
	}
	if !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("Append on a full disk: %v, want ErrUnavailable", err)
	}
	if err := b.Health(t.Context()); !errors.Is(err, backout.ErrUnavailable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Health on a full disk: %v, want ErrUnavailable that names %s", err, dir)
	}
	_, _ = s.Close(), b.Close()
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	b = openOn(t, dir)
	s = open(t, b.JetStream())
	t.Cleanup(func() { _ = b.Close() })
	entries := mustLoad(t, s.Changes, "CHG1")
	if len(entries) < kept {
		t.Errorf("%d records after the restart, %d were acknowledged", len(entries), kept)
	}
	stored := storedPosts(t, s)
	for _, body := range posts {
		if _, ok := stored[body]; !ok {
			t.Errorf("an acknowledged post of %d bytes is lost", len(body))
		}
	}
	mustAppend(t, s.Changes, "CHG1", entries[len(entries)-1].Seq, "again")
}

func openOn(t *testing.T, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fillWithPosts appends posts until the store refuses, and returns the bodies of
// those that were acknowledged.
func fillWithPosts(t *testing.T, s *store.Store) []string {
	t.Helper()
	var kept []string
	for i := range 64 {
		noise := make([]byte, 1<<20) // packing must not make it fit
		_, _ = rand.Read(noise)
		body := fmt.Sprintf("%d %s", i, noise)
		_, err := s.Alerts.Append(t.Context(), store.Post{Kind: "webhook", Body: []byte(body)})
		if err != nil {
			if !errors.Is(err, backout.ErrUnavailable) {
				t.Errorf("Append on a full disk: %v, want ErrUnavailable", err)
			}
			return kept
		}
		kept = append(kept, body)
	}
	t.Fatal("64 MiB went onto a disk of 24 MiB")
	return nil
}

// smallDisk mounts a file system of 24 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		missing(t, "mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		t.Fatal(err)
	}
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk ended with %v", err)
	}
	_ = f.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// missing skips the test, or fails it where every part must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("BACKOUT_E2E") == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func TestHalfAnHourOfVirtualTime(t *testing.T) {
	began := time.Now()
	virtualHalfHour(t)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("half an hour of virtual time took %s", took)
	}
}
