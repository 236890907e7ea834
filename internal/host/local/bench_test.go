package local_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// BenchmarkStart measures from the call to the first thing the command does,
// beside a bare os/exec of the same command and one sync of a new name in the
// same directory, taken in turn in the same run.
func BenchmarkStart(b *testing.B) {
	fifo := filepath.Join(b.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		b.Fatal(err)
	}
	pipe, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer pipe.Close()
	argv := []string{"/bin/sh", "-c", `echo x >"$0"`, fifo}
	h, dir := newHost(b)
	if err := h.Arm(b.Context()); err != nil {
		b.Fatal(err)
	}
	two := make([]byte, 2)
	first := func(start func() error) time.Duration {
		began := time.Now()
		if err := start(); err != nil {
			b.Fatal(err)
		}
		if _, err := pipe.Read(two); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var bare, started, ended, synced []time.Duration
	for n := 0; b.Loop(); n++ {
		var cmd *exec.Cmd
		bare = append(bare, first(func() error { cmd = exec.Command("/bin/sh", argv[1:]...); return cmd.Start() }))
		_ = cmd.Wait()

		id := fmt.Sprintf("a%d", n)
		started = append(started, first(func() error {
			return h.Start(b.Context(), id, backout.Exec{Argv: argv})
		}))
		began := time.Now()
		if r, _ := attach(b, h, id); r.State != backout.AttemptFinished || r.ExitCode != 0 {
			b.Fatalf("%+v", r)
		}
		ended = append(ended, time.Since(began))
		if err := h.Arm(b.Context()); err != nil {
			b.Fatal(err)
		}
		synced = append(synced, syncOnce(b, dir, n))
	}
	for name, d := range map[string][]time.Duration{"bare": bare, "start": started, "end": ended, "sync": synced} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)/2].Microseconds()), name+"-p50-us")
		b.ReportMetric(float64(d[len(d)*99/100].Microseconds()), name+"-p99-us")
	}
}

func syncOnce(b *testing.B, dir string, n int) time.Duration {
	began := time.Now()
	if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("s%d", n)), 0o700); err != nil {
		b.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
