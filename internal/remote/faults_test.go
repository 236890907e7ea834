package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
	"github.com/backout-io/backout/internal/runner"
)

// faulty loses, doubles and holds up messages as the dice fall, in both
// directions.
type faulty struct {
	Conn
	mu   sync.Mutex
	dice *rand.Rand
	late sync.WaitGroup
	// none ends all faults, so that a test comes to its end.
	none bool
}

// fate says how often a message goes on, and after which pauses. The caller holds
// mu.
func (f *faulty) fate() []time.Duration {
	if f.none {
		return []time.Duration{0}
	}
	pause := func() time.Duration { return time.Duration(f.dice.IntN(150)) * time.Millisecond }
	switch f.dice.IntN(10) {
	case 0:
		return nil
	case 1, 2, 3:
		return []time.Duration{0, pause()}
	case 4, 5:
		return []time.Duration{pause()}
	}
	return []time.Duration{0}
}

func (f *faulty) send(do func()) {
	now := false
	f.mu.Lock()
	for _, pause := range f.fate() {
		if pause == 0 {
			now = true
			continue
		}
		f.late.Go(func() {
			wait(context.Background(), pause)
			do()
		})
	}
	f.mu.Unlock()
	if now {
		do()
	}
}

// end ends all faults, and waits for what is late.
func (f *faulty) end() {
	f.mu.Lock()
	f.none = true
	f.mu.Unlock()
	f.late.Wait()
}

// Publish implements Conn; runners answer with it.
func (f *faulty) Publish(m bus.Message) error {
	f.send(func() { _ = f.Conn.Publish(m) })
	return nil
}

// Subscribe implements Conn; runners hear with it.
func (f *faulty) Subscribe(subject, queue string, handle func(bus.Message)) (func(), error) {
	var one sync.Mutex
	return f.Conn.Subscribe(subject, queue, func(m bus.Message) {
		f.send(func() {
			one.Lock()
			defer one.Unlock()
			handle(m)
		})
	})
}

// TestMessagesLostDoubledAndLate: whatever happens to messages at any point, each
// effect happens once and the output is whole.
func TestMessagesLostDoubledAndLate(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i, name := range []string{"fra-1", "fra-2"} {
				f := &faulty{Conn: w.dial(name, w.nats), dice: rand.New(rand.NewPCG(seed, uint64(i)))}
				w.agentOver(f, name)
				t.Cleanup(f.end)
			}
			site := w.hub().Site("fra")
			var all sync.WaitGroup
			for i := range 4 {
				effects := w.file(fmt.Sprint("effects-", i))
				j, c := job(here, i+1, step(`echo x >>"$1"; for i in 1 2 3 4 5; do echo "line $i"; sleep 0.1; done`, effects))
				all.Go(func() {
					r := run(t.Context(), site, j)
					wantDone(t, r)
					const want = "line 1\nline 2\nline 3\nline 4\nline 5\n"
					if string(r.Output) != want || c.output() != want {
						t.Errorf("output %q, live %q", r.Output, c.output())
					}
					if n := lines(effects); n != 1 || len(c.claimed()) != 1 {
						t.Errorf("%d effects, %d claims", n, len(c.claimed()))
					}
				})
			}
			all.Wait()
		})
	}
}

// start runs a runner in a process of its own, and returns how to kill it.
func (w *world) start(name string) *exec.Cmd {
	w.t.Helper()
	site, _, _ := strings.Cut(name, "-")
	text, err := json.Marshal(process{URL: "nats://" + name + ":pass@" + w.nats, Name: name, Site: site, Key: w.key.Public(), Attempts: w.attempts()})
	if err != nil {
		w.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "BACKOUT_TEST_RUNNER="+string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		w.t.Fatalf("the runner says %q, %v", line, err)
	}
	return cmd
}

// slow says it began, and ends once the file is there.
func slow(w *world) backout.Step {
	return step(`echo x >>"$1"; echo begun; while [ ! -e "$2" ]; do sleep 0.02; done; echo ended`, w.file("effects"), w.file("go"))
}

func (w *world) goOn() {
	w.t.Helper()
	if err := os.WriteFile(w.file("go"), nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// wholeOnce wants the slow step's result: one effect, one claim, all output once.
func wholeOnce(t *testing.T, w *world, r runner.Result, c *claims, more ...*claims) {
	t.Helper()
	wantDone(t, r)
	n, live := len(c.claimed()), c.output()
	for _, m := range more {
		n += len(m.claimed())
		live = m.output()
	}
	if string(r.Output) != "begun\nended\n" || live != "begun\nended\n" || lines(w.file("effects")) != 1 || n != 1 {
		t.Errorf("output %q, live %q, %d effects, %d claims", r.Output, live, lines(w.file("effects")), n)
	}
}

// TestKilledRunner: kill -9 in the middle of a step. The same runner started again
// finds the attempt by probing.
func TestKilledRunner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start("fra-1")
	j, c := job(here, 1, slow(w))
	site := w.hub().Site("fra")
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	w.start("fra-1")
	w.goOn()
	wholeOnce(t, w, <-got, c)
}

// TestAnotherRunnerTakesOver from one that is killed, with the target on SSH.
func TestAnotherRunnerTakesOver(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	w := newWorld(t)
	w.hosts = w.openHosts(ssh.Options{User: s.User, Key: s.KeySecret, KnownHosts: s.KnownHosts, Port: s.Port, Dir: s.Attempts})
	target := s.Targets[0]
	target.Site = "fra"
	first := newLink(t, w.nats)
	w.agentOver(w.dial("fra-1", first.address()), "fra-1")
	j, c := job(target, 1, step(`echo x >>"$1/effects"; echo begun; sleep 5; echo ended; cat "$1/effects"`, s.Attempts))
	site := w.hub().Site("fra")
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	w.agent("fra-2")
	first.set(true)
	r := <-got
	wantDone(t, r)
	if string(r.Output) != "begun\nended\nx\n" || c.output() != string(r.Output) || len(c.claimed()) != 1 {
		t.Errorf("output %q, live %q, %d claims", r.Output, c.output(), len(c.claimed()))
	}
}

// TestRunnersLinkIsCutAndHealed: it goes on meanwhile, and tells afterwards.
func TestRunnersLinkIsCutAndHealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	way := newLink(t, w.nats)
	w.agentOver(w.dial("fra-1", way.address()), "fra-1")
	j, c := job(here, 1, slow(w))
	site := w.hub().Site("fra")
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	way.set(true)
	w.goOn()
	wait(t.Context(), absence+time.Second)
	way.set(false)
	wholeOnce(t, w, <-got, c)
}

func TestServersLinkIsCutAndHealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.agent("fra-1")
	way := newLink(t, w.nats)
	site := w.hubOver(w.dial("server", way.address())).Site("fra")
	j, c := job(here, 1, slow(w))
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	way.set(true)
	w.goOn()
	wait(t.Context(), silence+time.Second)
	way.set(false)
	wholeOnce(t, w, <-got, c)
}

// TestAnotherServerTakesOver: the one that followed is gone, or only thought to
// be; the one that resumes follows from then on, whatever the first still says.
func TestAnotherServerTakesOver(t *testing.T) {
	for _, dead := range []bool{true, false} {
		t.Run(fmt.Sprint("dead ", dead), func(t *testing.T) {
			w := newWorld(t)
			w.agent("fra-1")
			j, c := job(here, 1, slow(w))
			ctx, die := context.WithCancel(t.Context())
			defer die()
			first := make(chan runner.Result, 1)
			site := w.hub().Site("fra")
			go func() { first <- run(ctx, site, j) }()
			eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
			if dead {
				die()
			}
			again, other := job(here, 1, slow(w))
			again.Claim, again.Boot = nil, c.claimed()[0].Boot
			second := make(chan runner.Result, 1)
			next := w.hub().Site("fra")
			go func() { second <- next.Resume(t.Context(), again) }()
			if r := <-first; !r.Interrupted {
				t.Errorf("the first server's result: %+v", r)
			}
			eventually(t, "the second has the output", func() bool { return other.output() == "begun\n" })
			w.goOn()
			wholeOnce(t, w, <-second, c, other)
		})
	}
}

// TestServerDiesBetweenClaimAndStart: the claim stands in the log, the runner has
// not heard of it. The server that resumes tells it.
func TestServerDiesBetweenClaimAndStart(t *testing.T) {
	w := newWorld(t)
	w.agent("fra-1")
	j, c := job(here, 1, step(`echo x >>"$1"`, w.file("effects")))
	ctx, die := context.WithCancel(t.Context())
	defer die()
	j.Claim = func(context.Context, runner.Claimed) (time.Time, error) {
		die()
		<-ctx.Done()
		return time.Time{}, nil
	}
	w.hub().Site("fra").Run(ctx, j)
	j.Claim = func(context.Context, runner.Claimed) (time.Time, error) {
		t.Error("it was claimed a second time")
		return time.Time{}, nil
	}
	wantDone(t, w.hub().Site("fra").Resume(t.Context(), j))
	if lines(w.file("effects")) != 1 || c.begins != 1 {
		t.Errorf("%d effects, %d begins", lines(w.file("effects")), c.begins)
	}
}

// TestARunnerThatStopsLetsGo: what runs goes on, and the next runner follows it at
// once.
func TestARunnerThatStopsLetsGo(t *testing.T) {
	w := newWorld(t)
	a := w.agent("fra-1")
	j, c := job(here, 1, slow(w))
	site := w.hub().Site("fra")
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), site, j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	tape := &recorder{Conn: w.dial("fra-2", w.nats)}
	w.agentOver(tape, "fra-2")
	began := time.Now()
	a.Close()
	w.goOn()
	wholeOnce(t, w, <-got, c)
	for _, m := range tape.all() {
		var o order
		if err := json.Unmarshal(m.Data, &o); err != nil || o.Work != nil && (!o.Work.Resume || o.Work.Boot == "") {
			t.Errorf("the next runner was told to %s without knowing that it was claimed: %v", o.Op, err)
		}
	}
	if took := time.Since(began); took > absence {
		t.Errorf("the hand-over took %v", took)
	}
}

// TestARunnerThatReachesNoTargetHandsOver to another one of its site, and keeps the
// attempt while it is the only one.
func TestARunnerThatReachesNoTargetHandsOver(t *testing.T) {
	w := newWorld(t)
	a := w.agent("fra-1", func(o *AgentOptions) { o.Slots = 1000 })
	j, c := job(here, 1, slow(w))
	hub := w.hub()
	got := make(chan runner.Result, 1)
	go func() { got <- run(t.Context(), hub.Site("fra"), j) }()
	eventually(t, "it has begun", func() bool { return c.output() == "begun\n" })
	has := a.find(j.Task.AttemptID)
	if has.handOver(t.Context()) {
		t.Fatal("it may hand over to nobody")
	}
	b := w.agent("fra-2")
	eventually(t, "both are seen", func() bool { return len(hub.Runners()) == 2 })
	if !has.handOver(t.Context()) {
		t.Fatal("it may not hand over")
	}
	has.finish(runner.Result{Err: errors.New("handed over"), Interrupted: true})
	eventually(t, "the other has it", func() bool { return b.find(j.Task.AttemptID) != nil })
	if a.find(j.Task.AttemptID) != has {
		t.Error("it got it back, while the other had not tried")
	}
	w.goOn()
	wholeOnce(t, w, <-got, c)
}

// recorder keeps every message that a runner hears.
type recorder struct {
	Conn
	mu    sync.Mutex
	heard []bus.Message
	again []func(bus.Message)
}

// Subscribe implements Conn.
func (r *recorder) Subscribe(subject, queue string, handle func(bus.Message)) (func(), error) {
	r.mu.Lock()
	r.again = append(r.again, handle)
	r.mu.Unlock()
	return r.Conn.Subscribe(subject, queue, func(m bus.Message) {
		r.mu.Lock()
		r.heard = append(r.heard, m)
		r.mu.Unlock()
		handle(m)
	})
}

func (r *recorder) all() []bus.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]bus.Message(nil), r.heard...)
}

// TestRecordedMessagesDoNothing: all that was ever said, said again, to the same
// runner after its attempt has been forgotten everywhere, and to the next one.
func TestRecordedMessagesDoNothing(t *testing.T) {
	w := newWorld(t)
	tape := &recorder{Conn: w.dial("fra-1", w.nats)}
	a := w.agentOver(tape, "fra-1")
	site := w.hub().Site("fra")
	j, c := job(here, 1, step(`echo x >>"$1"`, w.file("effects")))
	wantDone(t, run(t.Context(), site, j))
	wantDone(t, site.Resume(t.Context(), j))
	if err := site.Forget(t.Context(), here, []string{j.Task.AttemptID}); err != nil {
		t.Fatal(err)
	}
	tape.mu.Lock()
	heard, handle := append([]bus.Message(nil), tape.heard...), tape.again[0]
	tape.mu.Unlock()
	if len(heard) < 6 {
		t.Fatalf("only %d messages were heard", len(heard))
	}
	d := &desk{Conn: w.dial("fra-2", w.nats)}
	b := w.agentOver(d, "fra-2")
	for i, m := range heard {
		for who, hear := range map[string]func(bus.Message){"same": handle, "other": b.hear} {
			m.Reply = fmt.Sprint("nowhere.", who, i)
			hear(m)
			if strings.Contains(m.Subject, ".to.") && who == "other" {
				if r := d.said(t, m.Reply); !strings.Contains(r.Refused, "for runner fra-1") {
					t.Errorf("another runner obeys: %+v", r)
				}
			}
		}
	}
	eventually(t, "all is answered", func() bool { return len(a.running()) == 0 && len(b.running()) == 0 })
	if lines(w.file("effects")) != 1 || len(c.claimed()) != 1 {
		t.Errorf("%d effects, %d claims", lines(w.file("effects")), len(c.claimed()))
	}
}

// running lists what is being carried out.
func (a *Agent) running() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, c := range a.carried {
		if c.running() {
			ids = append(ids, id)
		}
	}
	return ids
}
