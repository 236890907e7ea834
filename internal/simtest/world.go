package simtest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/notifier"
)

// Setup is what a story begins with. Zero fields get what most stories need.
type Setup struct {
	// Plans by their names; none means [Plan].
	Plans []backout.Plan
	// Rules is a rule file; empty means [AutoRule].
	Rules string
	// Inventory names the targets; none means web-1 to web-4.
	Inventory []string
	// Groups are who may vote; nil means sre: ann, bob, carl.
	Groups map[string][]string
	// Alerts answers for Alertmanager's API; nil asks nobody.
	Alerts engine.FiringAlerts
	// Monitoring is the dead-man's switch; nil has none.
	Monitoring *engine.Monitoring
	// Sole says that the one server there is uses the store alone.
	Sole bool
	// SnapshotEvery is after how many records a server stores its fold; 0 means
	// as many as no story has.
	SnapshotEvery int
	// WantsDelta makes every step one that undoes what the patch changed.
	WantsDelta bool
	// Promotion is what rules need before they may act.
	Promotion trigger.Policy
	// Lawless leaves out the check of the laws, for stories that forge a log.
	Lawless bool
}

// World is everything around the servers, and the servers.
type World struct {
	t       *testing.T
	setup   Setup
	dir     string
	log     *slog.Logger
	bus     *bus.Bus
	mu      sync.Mutex // guards changes of servers, and silences
	servers []*Server
	// silences are when a server was not heard, by its name.
	silences map[string][]span
	hosts    map[string]*Host
	inboxes  map[string]*Inbox
	since    map[string]time.Time
	// posted are the bodies of alerts that a server said it has.
	posted [][]byte
	// ends are when servers ended.
	endsMu sync.Mutex
	ends   []time.Time
	// missed are when calls of a server to a target failed, by "server target".
	missedMu sync.Mutex
	missed   map[string][]time.Time
	// templates are the built-in ones, made once.
	templates func() *notifier.Templates
	// The rest is there in simulations only.
	sky   *sky
	story *story
}

// Story runs tell in virtual time in a world of its own, with one server, and
// checks the laws afterwards.
func Story(t *testing.T, s Setup, tell func(t *testing.T, w *World)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s)
		defer w.close()
		tell(t, w)
		synctest.Wait()
		if !t.Failed() && !w.setup.Lawless {
			w.CheckLaws()
		}
	})
}

func newWorld(t *testing.T, s Setup) *World {
	if s.Plans == nil {
		s.Plans = []backout.Plan{Plan()}
	}
	if s.Rules == "" {
		s.Rules = AutoRule
	}
	if s.Inventory == nil {
		s.Inventory = []string{"web-1", "web-2", "web-3", "web-4"}
	}
	if s.Groups == nil {
		s.Groups = map[string][]string{"sre": {"ann", "bob", "carl"}}
	}
	w := &World{
		t: t, setup: s, dir: t.TempDir(), hosts: map[string]*Host{}, inboxes: map[string]*Inbox{}, since: map[string]time.Time{}, silences: map[string][]span{}, missed: map[string][]time.Time{},
		templates: sync.OnceValue(notifier.Default),
	}
	w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	for _, name := range s.Inventory {
		w.hosts[name] = newHost(name)
	}
	for _, name := range audiences(s.Plans) {
		w.inboxes[name] = &Inbox{}
	}
	w.bus = bustest.StartIn(t, w.dir)
	first := w.start("server-1")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = []*Server{first}
	return w
}

// audiences are those the plans name.
func audiences(plans []backout.Plan) []string {
	var out []string
	for _, p := range plans {
		out = append(out, p.Audience...)
		for _, l := range p.Levels {
			out = append(out, l.Audience...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (w *World) close() {
	for _, s := range w.servers {
		s.Close()
	}
	for _, h := range w.hosts {
		h.close()
	}
	if w.bus == nil {
		return
	}
	if err := w.bus.Close(); err != nil {
		w.t.Errorf("close bus: %v", err)
	}
}

// Server is the first server.
func (w *World) Server() *Server { return w.servers[0] }

// Join starts one more server on the same store.
func (w *World) Join(name string) *Server {
	w.t.Helper()
	s := w.start(name)
	w.mu.Lock()
	w.servers = append(w.servers, s)
	w.mu.Unlock()
	synctest.Wait()
	return s
}

// Restart ends every server and the store in order and starts them again on the
// same directory.
func (w *World) Restart() {
	w.t.Helper()
	w.stop()
	w.Start()
}

// Crash takes the store away from under every server, as a power cut does:
// nothing that was not on disk gets there. [World.Start] follows.
func (w *World) Crash() {
	w.t.Helper()
	w.rest()
	if err := w.bus.Close(); err != nil {
		w.t.Fatalf("close bus: %v", err)
	}
	for _, s := range w.servers {
		s.Close()
	}
}

// rest lets everything come to rest. The NATS server sleeps with a lock held when it
// ends; whoever waits for that lock in a bubble, such as a consumer being made,
// would keep the time from passing.
func (w *World) rest() { synctest.Wait() }

func (w *World) stop() {
	w.rest()
	for _, s := range w.servers {
		s.Close()
	}
	if err := w.bus.Close(); err != nil {
		w.t.Fatalf("close bus: %v", err)
	}
}

// Start starts the servers again after a crash.
func (w *World) Start() {
	w.t.Helper()
	w.bus = bustest.StartIn(w.t, w.dir)
	for i, s := range w.servers {
		started := w.start(s.name)
		w.mu.Lock()
		w.servers[i] = started
		w.mu.Unlock()
	}
	synctest.Wait()
}

// Reconfigure gives every server new plans and rules.
func (w *World) Reconfigure(change func(*Setup)) {
	change(&w.setup)
	for _, s := range w.servers {
		s.engine.Reconfigure(s.engineConfig())
	}
	synctest.Wait()
}

// Advance lets the time pass, and everything happen that follows.
func (w *World) Advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Host is a target's far end.
func (w *World) Host(name string) *Host { return w.hosts[name] }

// Inbox is what an audience has read.
func (w *World) Inbox(audience string) *Inbox { return w.inboxes[audience] }

// Effects are the starts that happened on all targets, oldest first.
func (w *World) Effects() []Effect {
	var out []Effect
	for _, name := range w.setup.Inventory {
		out = append(out, w.hosts[name].Effects()...)
	}
	slices.SortStableFunc(out, func(a, b Effect) int { return a.At.Compare(b.At) })
	return out
}

// Did lists the effects as "target level".
func (w *World) Did() []string {
	out := []string{}
	for _, e := range w.Effects() {
		out = append(out, e.Target+" "+e.Level)
	}
	return out
}

// Break makes targets unhealthy, as a bad patch does.
func (w *World) Break(targets ...string) {
	for _, name := range targets {
		w.hosts[name].SetHealthy(false)
	}
}

type healthChecker struct{ w *World }

func (w *World) buildHealth(context.Context, struct{}) (checks.Checker, error) {
	return healthChecker{w}, nil
}

// Check implements [checks.Checker].
func (c healthChecker) Check(_ context.Context, s checks.Subject) checks.Result {
	if c.w.hosts[s.Target.Name].Healthy() {
		return checks.Result{Green: true}
	}
	return checks.Result{Detail: "answers 500"}
}

// as is who acts in a story.
func as(name string) handlers.Actor {
	return handlers.Actor{Name: name, Groups: []string{"sre"}, Via: "api"}
}

// ForgetReceipts takes from the store what tells that a notice was delivered, as
// time does, and the notices with it.
func (w *World) ForgetReceipts() {
	w.t.Helper()
	for _, name := range []string{"KV_BACKOUT_RECEIPTS", "BACKOUT_NOTICES"} {
		stream, err := w.bus.JetStream().Stream(w.t.Context(), name)
		if err == nil {
			err = stream.Purge(w.t.Context())
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// Drop forgets a server that has ended for good.
func (w *World) Drop(s *Server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = slices.DeleteFunc(w.servers, func(o *Server) bool { return o == s })
}
