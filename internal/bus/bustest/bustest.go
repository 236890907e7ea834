// Package bustest starts an embedded JetStream for tests.
//
// It works inside a testing/synctest bubble too: the server then lives in
// virtual time, and half an hour passes in milliseconds. One goroutine of the
// server would stop that clock: the ticker of its package ats, which the first
// store starts and which would then belong to the bubble although its channel
// does not. So the ticker has to be started once outside of every bubble. [Main]
// does it; a package whose tests use this one writes
//
//	func TestMain(m *testing.M) { bustest.Main(m) }
//
// or, with a TestMain of its own, calls [Register] first.
package bustest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"

	"github.com/backout-io/backout/internal/bus"
)

// Main prepares virtual time, runs the tests, and fails when one left a
// goroutine behind.
func Main(m *testing.M, options ...goleak.Option) {
	Register()
	goleak.VerifyTestMain(m, append(options, IgnoreTicker())...)
}

// Register starts the ticker outside of every bubble; see the package comment.
func Register() { ats.Register() }

// IgnoreTicker excuses the ticker that [Register] starts.
func IgnoreTicker() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")
}

// Start runs an embedded server in a new directory until the test ends.
func Start(t testing.TB) *bus.Bus {
	t.Helper()
	return StartIn(t, t.TempDir())
}

// StartIn runs an embedded server in dir until the test ends or the bus is
// closed. Closing and starting again is how a test restarts a server.
func StartIn(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Name: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("start embedded JetStream: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("stop embedded JetStream: %v", err)
		}
	})
	return b
}

// External runs a NATS server of its own on a free port, with JetStream and the
// text of a configuration file, until the test ends. It returns the address.
func External(t testing.TB, config string) string {
	t.Helper()
	o := &server.Options{}
	if err := o.ProcessConfigString(config); err != nil {
		t.Fatalf("read configuration of NATS: %v\n%s", err, config)
	}
	o.Host, o.Port, o.NoSigs, o.NoLog, o.JetStream, o.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, true, true, t.TempDir()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatalf("start NATS: %v", err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("NATS is not ready")
	}
	return s.Addr().String()
}
