package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/host/ssh"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/runner"
)

// TestMain runs the tests, or a runner that a test kills.
func TestMain(m *testing.M) {
	if text := os.Getenv("BACKOUT_TEST_RUNNER"); text != "" {
		runnerProcess(text)
		return
	}
	bustest.Main(m)
}

// process is what a runner in a process of its own is told.
type process struct {
	URL, Name, Site, Key, Attempts string
}

func runnerProcess(text string) {
	var p process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err)
	}
	key, err := ParsePublicKey(p.Key)
	if err != nil {
		panic(err)
	}
	hosts, err := host.New(host.Options{Local: local.Options{Dir: p.Attempts}})
	if err != nil {
		panic(err)
	}
	wire, err := bus.Dial(context.Background(), bus.Options{URL: p.URL, Name: p.Name})
	if err != nil {
		panic(err)
	}
	a, err := Start(agentOptions(wire, p.Name, p.Site, hosts, key))
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	a.Close()
	wire.Close()
	_ = hosts.Close()
}

func agentOptions(c Conn, name, site string, hosts *host.Registry, keys ...PublicKey) AgentOptions {
	known, err := executors.NewRegistry(all.Kinds()...)
	if err != nil {
		panic(err)
	}
	probes, err := checks.NewRegistry(checks.All(checks.Options{})...)
	if err != nil {
		panic(err)
	}
	return AgentOptions{
		Conn: c, Name: name, Site: site, Keys: keys, Release: "test",
		Known: func(uses string) bool { _, ok := known.Lookup(uses); return ok },
		Runner: func(mark string) *runner.Runner {
			return runner.New(runner.Options{
				Executors: known, Checks: probes, Hosts: hosts.Marked(mark), Secrets: []backout.Secret{backout.SecretValue("swordfish")},
			})
		},
	}
}

// world is a NATS with the users and permissions that "backout runner permissions"
// prints, one key, and one local target.
type world struct {
	t     testing.TB
	nats  string // host:port
	key   SigningKey
	dir   string
	hosts *host.Registry
	log   *slog.Logger
}

func natsConfig(t testing.TB) string {
	t.Helper()
	users := map[string]Permissions{"server": ServerPermissions()}
	for _, name := range []string{"fra-1", "fra-2", "nyc-1"} {
		site, _, _ := strings.Cut(name, "-")
		p, err := RunnerPermissions(site, name)
		if err != nil {
			t.Fatal(err)
		}
		users[name] = p
	}
	var b strings.Builder
	b.WriteString("authorization: {\n\tusers: [\n")
	for name, p := range users {
		fmt.Fprintf(&b, "\t\t{\n\t\t\tuser: %q, password: \"pass\"\n%s\t\t}\n", name, p.Config(3))
	}
	b.WriteString("\t]\n}\n")
	return b.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	key, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, nats: bustest.External(t, natsConfig(t)), key: key, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(logTo{t}, nil))}
	w.hosts = w.openHosts(ssh.Options{})
	return w
}

func (w *world) attempts() string { return filepath.Join(w.dir, "attempts") }

func (w *world) openHosts(o ssh.Options) *host.Registry {
	w.t.Helper()
	hosts, err := host.New(host.Options{Local: local.Options{Dir: w.attempts()}, SSH: o})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = hosts.Close()
		// A supervisor may be writing its result yet.
		for deadline := time.Now().Add(10 * time.Second); os.RemoveAll(w.attempts()) != nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	})
	return hosts
}

// logTo shows logs of failed tests. What comes after a test's end is dropped.
type logTo struct{ t testing.TB }

func (l logTo) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func (w *world) dial(user, address string) *bus.Wire {
	w.t.Helper()
	wire, err := bus.Dial(w.t.Context(), bus.Options{URL: "nats://" + user + ":pass@" + address, Name: user, Logger: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(wire.Close)
	return wire
}

func (w *world) hubOver(c Conn) *Hub {
	w.t.Helper()
	h, err := NewHub(HubOptions{Conn: c, Key: w.key, Mark: "m", Log: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(h.Close)
	return h
}

func (w *world) hub() *Hub { return w.hubOver(w.dial("server", w.nats)) }

func (w *world) public() PublicKey {
	key, err := ParsePublicKey(w.key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) agentOver(c Conn, name string, change ...func(*AgentOptions)) *Agent {
	w.t.Helper()
	site, _, _ := strings.Cut(name, "-")
	o := agentOptions(c, name, site, w.hosts, w.public())
	o.Log = w.log
	for _, f := range change {
		f(&o)
	}
	a, err := Start(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Close)
	return a
}

func (w *world) agent(name string, change ...func(*AgentOptions)) *Agent {
	return w.agentOver(w.dial(name, w.nats), name, change...)
}

var here = backout.Target{Name: "web1", Transport: "local", Site: "fra"}

func aPlan(steps ...backout.Step) backout.FrozenPlan {
	return planhash.Freeze(backout.Plan{
		Name: "web", Levels: []backout.Level{{Name: "L1", Steps: steps}, {Name: "L2", Steps: steps[:1]}},
		Verify: backout.Verify{Checks: []backout.Check{{Name: "runs", Uses: "command", With: json.RawMessage(`{"argv":["true"]}`)}}},
	})
}

func step(script string, args ...string) backout.Step {
	with, err := json.Marshal(map[string]any{"argv": append([]string{"sh", "-c", script, "sh"}, args...)})
	if err != nil {
		panic(err)
	}
	return backout.Step{Uses: "command", With: with}
}

// claims counts an engine's side of a job.
type claims struct {
	mu     sync.Mutex
	by     []runner.Claimed
	begins int
	out    bytes.Buffer
}

func (c *claims) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *claims) output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func (c *claims) claimed() []runner.Claimed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]runner.Claimed(nil), c.by...)
}

func job(target backout.Target, number int, s backout.Step) (runner.Job, *claims) {
	frozen := aPlan(s)
	c := &claims{}
	return runner.Job{
		Task: backout.Task{
			AttemptID: backout.AttemptID("CHG1-r1", 0, 0, 0, number), RollbackID: "CHG1-r1", ChangeID: "CHG1", Level: "L1",
			Step: frozen.Plan.Levels[0].Steps[0], Target: target, PlanHash: frozen.Hash, Facts: map[string]string{"BACKOUT_RULE": "r"},
		},
		Frozen: frozen, Gate: backout.GatePassed{PlanHash: frozen.Hash, Targets: []string{target.Name}},
		Live: c,
		Claim: func(_ context.Context, by runner.Claimed) (time.Time, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.by = append(c.by, by)
			return time.Time{}, nil
		},
		Begin: func(context.Context) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.begins++
			return nil
		},
	}, c
}

// run runs the job until somebody takes it, as the engine does.
func run(ctx context.Context, s *Site, j runner.Job) runner.Result {
	for {
		r := s.Run(ctx, j)
		if !r.Unclaimed || !wait(ctx, 50*time.Millisecond) {
			return r
		}
	}
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func lines(path string) int {
	data, _ := os.ReadFile(path)
	return strings.Count(string(data), "\n")
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func wantDone(t testing.TB, r runner.Result) {
	t.Helper()
	if r.Err != nil || r.Unclaimed || r.InDoubt || r.Interrupted {
		t.Errorf("result %v unclaimed=%v doubt=%v interrupted=%v", r.Err, r.Unclaimed, r.InDoubt, r.Interrupted)
	}
}

// link is a way to NATS that can be cut and healed.
type link struct {
	t       testing.TB
	l       net.Listener
	to      string
	mu      sync.Mutex
	cut     bool
	conns   map[net.Conn]bool
	workers sync.WaitGroup
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{t: t, l: l, to: to, conns: map[net.Conn]bool{}}
	k.workers.Go(k.accept)
	t.Cleanup(func() {
		k.set(true)
		_ = l.Close()
		k.workers.Wait()
	})
	return k
}

func (k *link) address() string { return k.l.Addr().String() }

func (k *link) accept() {
	for {
		in, err := k.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		k.mu.Lock()
		if k.cut {
			k.mu.Unlock()
			_, _ = in.Close(), out.Close()
			continue
		}
		k.conns[in], k.conns[out] = true, true
		k.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			k.workers.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_, _ = pair[0].Close(), pair[1].Close()
			})
		}
	}
}

// set cuts the link, or heals it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	if cut {
		for c := range k.conns {
			_ = c.Close()
		}
		clear(k.conns)
	}
}
