package simtest

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/engine"
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
	// SnapshotEvery is after how many records a server stores its fold; 0 means
	// as many as no story has.
	SnapshotEvery int
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
	servers []*Server
	hosts   map[string]*Host
	inboxes map[string]*Inbox
	since   map[string]time.Time
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
		t: t, setup: s, dir: t.TempDir(), hosts: map[string]*Host{}, inboxes: map[string]*Inbox{}, since: map[string]time.Time{},
	}
	w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	for _, name := range s.Inventory {
		w.hosts[name] = newHost(name)
	}
	for _, name := range audiences(s.Plans) {
		w.inboxes[name] = &Inbox{}
	}
	w.bus = bustest.StartIn(t, w.dir)
	w.servers = []*Server{w.start("server-1")}
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
	w.servers = append(w.servers, s)
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
	if err := w.bus.Close(); err != nil {
		w.t.Fatalf("close bus: %v", err)
	}
	for _, s := range w.servers {
		s.Close()
	}
}

func (w *World) stop() {
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
		w.servers[i] = w.start(s.name)
	}
	synctest.Wait()
}

// Reconfigure gives every server new plans and rules.
func (w *World) Reconfigure(change func(*Setup)) {
	change(&w.setup)
	for _, s := range w.servers {
		s.engine.Reconfigure(w.engineConfig())
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

// For implements the engine's Hosts.
func (w *World) For(t backout.Target) (backout.Host, error) {
	if h := w.hosts[t.Name]; h != nil {
		return h, nil
	}
	return nil, backout.ErrNotFound
}

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
