package app_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/store"
)

// What the benchmarks load: every open change has ten targets of its own. A run
// with -benchtime=1x only shows that the benchmarks work, with a tenth of it.
const (
	benchRules   = 1000
	benchChanges = 10_000
	benchTargets = 10
	benchToken   = "intake-token-0123456789abcdef"
)

// short tells whether the benchmarks are only to be tried.
func short() bool {
	f := flag.Lookup("test.benchtime")
	return testing.Short() || f != nil && f.Value.String() == "1x"
}

// scaled is a size, or a tenth of it.
func scaled(n int) int {
	if short() {
		return n / 10
	}
	return n
}

// benchWorld is a server's files with many open changes in them.
type benchWorld struct {
	dir     string
	run     string // part of every change's name: attempts are kept by it
	changes int
	// program stamps the time of its first instruction into the pipe.
	program, pipe string
	stamps        *os.File
}

func newBenchWorld(b *testing.B) *benchWorld { return newBenchWorldOf(b, scaled(benchChanges)) }

// newBenchWorldOf has so many open changes.
func newBenchWorldOf(b *testing.B, changes int) *benchWorld {
	b.Helper()
	w := &benchWorld{dir: b.TempDir(), run: rand.Text()[:8], changes: changes}
	w.pipe = filepath.Join(w.dir, "pipe")
	if err := syscall.Mkfifo(w.pipe, 0o600); err != nil {
		b.Fatal(err)
	}
	var err error
	if w.stamps, err = os.OpenFile(w.pipe, os.O_RDWR, 0); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.stamps.Close() })
	w.program = buildStamp(b, w.dir)
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(sink.Close)
	w.files(b, sink.URL)
	w.seed(b)
	return w
}

func (w *benchWorld) change(i int) string    { return fmt.Sprintf("CHG-%s-%d", w.run, i) }
func (w *benchWorld) target(i, j int) string { return fmt.Sprintf("web-%d-%d", i, j) }

// files writes the config. Every rule wants an alert's name, a severity and a
// measured difference; one change in ten has its targets in the inventory.
func (w *benchWorld) files(b *testing.B, sink string) {
	b.Helper()
	var rules, inventory strings.Builder
	rules.WriteString("groups:\n  - name: bench\n    rules:\n")
	for i := range scaled(benchRules) {
		fmt.Fprintf(&rules, `      - rule: Rule%d
        match: [alertname="Alert%d", severity=~"critical|page"]
        when: evidence.red_share_patched > evidence.red_share_unpatched and change.plan == "bench"
        mode: auto
`, i, i)
	}
	inventory.WriteString("targets:\n")
	for i := range w.changes / 10 {
		for j := range benchTargets {
			fmt.Fprintf(&inventory, "  - {name: %s, transport: local}\n", w.target(i, j))
		}
	}
	files := map[string]string{
		"rules.yaml": rules.String(), "inventory.yaml": inventory.String(), "intake.token": benchToken, "hook.secret": benchToken + "2", "ann.token": benchToken + "3",
		"plans.yaml": fmt.Sprintf(`plans:
  - name: bench
    audience: [ops]
    verify: {every: 1h}
    levels:
      - summary: stamp the time
        approval: none
        audience: [ops]
        steps: [{uses: command, with: {argv: [%s, %s]}}]
`, w.program, w.pipe),
		"backout.yaml": fmt.Sprintf(`listen: 127.0.0.1:0
data_dir: data
server_name: bench
intake:
  tokens: [{name: alertmanager, token: {file: intake.token}}]
auth:
  tokens: [{name: ann, token: {file: ann.token}}]
rules: [rules.yaml]
plans: [plans.yaml]
inventory: [inventory.yaml]
channels:
  hook: {type: webhook, url: "%s", secret: {file: hook.secret}}
audiences:
  ops: [hook]
`, sink),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// plan is the one every change was opened with.
func (w *benchWorld) plan() backout.FrozenPlan {
	return planhash.Freeze(backout.Plan{
		Name: "bench", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{Every: backout.Duration(time.Hour), HoldFor: backout.Duration(time.Minute)},
		Levels: []backout.Level{{
			Name: "L1", Summary: "stamp the time", EscalateAfter: backout.Duration(time.Hour), Audience: []string{"ops"},
			Approval: backout.Approval{Mode: backout.ApprovalNone},
			Steps: []backout.Step{{
				Name: "stamp", Uses: "command", With: fmt.Appendf(nil, `{"argv":[%q,%q]}`, w.program, w.pipe), OnOverdue: backout.OverdueStop,
			}},
		}},
	})
}

// seed writes the changes' logs.
func (w *benchWorld) seed(b *testing.B) {
	b.Helper()
	seedStore(b, filepath.Join(w.dir, "data"), func(s *store.Store) { w.write(b, s) })
}

// seedStore makes the store of a data directory and lets write fill it, without
// the sync of every record that a server makes: what is measured comes after it.
func seedStore(b testing.TB, data string, write func(*store.Store)) {
	b.Helper()
	first, err := bus.Open(b.Context(), bus.Options{DataDir: data, Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Options{JS: first.JetStream(), Server: "bench", AlertsMaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if err := first.Close(); err != nil {
		b.Fatal(err)
	}
	fast, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: data, MaxPayload: bus.MaxPayload})
	if err != nil {
		b.Fatal(err)
	}
	fast.Start()
	defer fast.WaitForShutdown()
	defer fast.Shutdown()
	if !fast.ReadyForConnections(time.Minute) {
		b.Fatal("the seeding store is not ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(fast))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	if s, err = store.Open(b.Context(), store.Options{JS: js, Server: "bench", AlertsMaxBytes: 1 << 30}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Control.Create(b.Context(), "attempts-mark", []byte(rand.Text()[:8])); err != nil { // as a server begins
		b.Fatal(err)
	}
	write(s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func (w *benchWorld) write(b *testing.B, s *store.Store) {
	b.Helper()
	frozen, at := w.plan(), time.Now().UTC().Add(-time.Hour)
	next := make(chan int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := range next {
				if _, err := s.Changes.Append(b.Context(), w.change(i), 0, w.record(i, frozen, at)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range w.changes {
		next <- i
	}
	close(next)
	all.Wait()
	// Their notices went out long ago.
	told := fmt.Appendf(nil, `{"changes":%d,"rollbacks":0}`, w.changes)
	if _, err := s.Control.Create(b.Context(), "relay", told); err != nil {
		b.Fatal(err)
	}
}

// record is one change from its planning to its open window.
func (w *benchWorld) record(i int, frozen backout.FrozenPlan, at time.Time) backout.Record {
	targets := make([]string, benchTargets)
	for j := range targets {
		targets[j] = w.target(i, j)
	}
	spec := backout.ChangeSpec{
		ID: w.change(i), Title: "web tier to 2.8", Targets: targets, Plan: "bench", Owner: "paul",
		Patch:  backout.Patch{Kind: "packages", IDs: []string{"shop-2.8"}, CVEs: []string{"CVE-2026-1"}},
		Window: backout.Window{Opens: at, Closes: at.Add(48 * time.Hour), Watch: backout.Duration(24 * time.Hour)},
	}
	return backout.Record{Op: "seed", By: "bench", At: at, Events: []backout.Event{
		backout.Planned{Spec: spec, By: "paul"}, backout.GatePassed{PlanHash: frozen.Hash, Targets: targets}, backout.WindowOpened{Frozen: frozen},
	}}
}

// serve runs the server until the benchmark ends.
func (w *benchWorld) serve(b *testing.B) *app.App {
	b.Helper()
	a, err := w.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		b.Fatal(err)
	}
	return a
}

func (w *benchWorld) open(ctx context.Context) (*app.App, error) {
	return app.New(ctx, app.Options{Config: filepath.Join(w.dir, "backout.yaml"), Attempts: filepath.Join(w.dir, "attempts")})
}

// buildStamp makes the program whose start is timed: static, and in C where there
// is a compiler, so that as little as possible happens before its first line.
func buildStamp(b *testing.B, dir string) string {
	b.Helper()
	program := filepath.Join(dir, "stamp")
	source, build := program+".c", []string{"cc", "-O2", "-static", "-o", program}
	text := `#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
	struct timespec t; char line[32];
	clock_gettime(CLOCK_REALTIME, &t);
	int n = snprintf(line, sizeof line, "%019lld\n", t.tv_sec * 1000000000LL + t.tv_nsec);
	int fd = open(argv[1], O_WRONLY);
	return write(fd, line, n) != n;
}
`
	if _, err := exec.LookPath("cc"); err != nil {
		source, build = program+".go", []string{"go", "build", "-o", program}
		text = `package main
import ("fmt"; "os"; "time")
func main() { os.WriteFile(os.Args[1], fmt.Appendf(nil, "%019d\n", time.Now().UnixNano()), 0) }
`
	}
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(build[0], append(build[1:], source)...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return program
}
