package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/store"
)

// buildNATS builds the real server, once for all tests of a run.
func buildNATS(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		missing(t, "building a NATS server takes up to a minute: not in short mode")
	}
	binary := filepath.Join(t.TempDir(), "nats-server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		missing(t, "build nats-server with the go command: %v\n%s", err, out)
	}
	return binary
}

// natsProcess is a real NATS server in a process of its own.
type natsProcess struct {
	t           *testing.T
	binary, dir string
	port        int
	cmd         *exec.Cmd
}

func startNATS(t *testing.T, binary string) *natsProcess {
	t.Helper()
	n := &natsProcess{t: t, binary: binary, dir: t.TempDir(), port: -1}
	n.start()
	t.Cleanup(n.kill)
	return n
}

// start runs the server and waits until it is ready. The first start lets the
// server choose its port.
func (n *natsProcess) start() {
	n.t.Helper()
	conf := filepath.Join(n.dir, "nats.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\nmax_payload: 8MB\nports_file_dir: %q\njetstream { store_dir: %q, max_file_store: 64GB, sync_interval: always }\n", n.port, n.dir, n.dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.cmd = exec.Command(n.binary, "-c", conf, "-l", filepath.Join(n.dir, "nats.log"))
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	if n.port < 0 {
		n.port = n.chosenPort()
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		b, err := bus.Open(n.t.Context(), bus.Options{URL: n.url()})
		if err == nil {
			_ = b.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(n.dir, "nats.log"))
			n.t.Fatalf("nats-server is not ready: %v\n%s", err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// chosenPort reads the port from the file that the server writes.
func (n *natsProcess) chosenPort() int {
	n.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		files, _ := filepath.Glob(filepath.Join(n.dir, "*.ports"))
		if len(files) == 1 {
			if data, err := os.ReadFile(files[0]); err == nil {
				if port, ok := portIn(string(data)); ok {
					return port
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	n.t.Fatal("nats-server did not say its port")
	return 0
}

func portIn(text string) (int, bool) {
	const mark = "nats://127.0.0.1:"
	for i := 0; i+len(mark) < len(text); i++ {
		if text[i:i+len(mark)] != mark {
			continue
		}
		end := i + len(mark)
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		port, err := strconv.Atoi(text[i+len(mark) : end])
		return port, err == nil && end < len(text)
	}
	return 0, false
}

func (n *natsProcess) url() string {
	return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port))
}

func (n *natsProcess) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

func (n *natsProcess) connect() *bus.Bus {
	n.t.Helper()
	b, err := bus.Open(n.t.Context(), bus.Options{URL: n.url(), Name: "test"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestExternal(t *testing.T) {
	binary := buildNATS(t)
	suite(t, func(t *testing.T) jetstream.JetStream { return startNATS(t, binary).connect().JetStream() })
	t.Run("following outlives a killed server", func(t *testing.T) { testKilledNATS(t, binary) })
}

func testKilledNATS(t *testing.T, binary string) {
	n := startNATS(t, binary)
	s := open(t, n.connect().JetStream())
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan store.Entry, 16)
	done := make(chan error, 1)
	go func() {
		done <- s.Changes.Follow(ctx, 0, func(e store.Entry) error { seen <- e; return nil }, nil)
	}()
	last := mustAppend(t, s.Changes, "CHG1", 0, "before")
	receive(t, seen)
	n.kill()
	n.start()
	deadline := time.Now().Add(30 * time.Second)
	for {
		seq, err := s.Changes.Append(t.Context(), "CHG1", last, record("after"))
		if err == nil {
			last = seq
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Append after the restart: %v", err)
		}
	}
	if got := receive(t, seen); got.Seq != last || got.Record.Op != "after" {
		t.Errorf("followed %+v after the restart, want the record at %d", got, last)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow: %v", err)
	}
	mustAppend(t, s.Changes, "CHG1", last, "last")
}
