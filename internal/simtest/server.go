package simtest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// Server is one backout server on the world's JetStream.
type Server struct {
	w       *World
	name    string
	js      *faulty
	store   *store.Store
	outbox  *outbox.Outbox
	engine  *engine.Engine
	handler *handlers.Handler
	// here is the machine that it runs on.
	here *Host
	// began is when it was started.
	began  time.Time
	mu     sync.Mutex
	closed bool
	// cut are the targets that this server cannot reach.
	cut map[string]bool
}

// Engine is the server's engine.
func (s *Server) Engine() *engine.Engine { return s.engine }

// Store is the server's store.
func (s *Server) Store() *store.Store { return s.store }

// start opens everything, as the server's command does.
func (w *World) start(name string) *Server {
	w.t.Helper()
	s := &Server{w: w, name: name, js: &faulty{JetStream: w.bus.JetStream(), server: name, sky: w.sky}, cut: map[string]bool{}, here: newHost(name), began: time.Now()}
	s.js.ended = s.ended
	log := w.log.With("server", name)
	var err error
	if s.store, err = store.Open(w.t.Context(), store.Options{JS: s.js, Server: name, Logger: log}); err != nil {
		w.t.Fatal(err)
	}
	s.outbox = outbox.New(outbox.Options{Store: s.store.Outbox, Log: log})
	if err := s.outbox.Update(w.t.Context(), s.outboxConfig()); err != nil {
		w.t.Fatal(err)
	}
	s.engine = engine.New(engine.Options{
		Store: s.store, Server: name, Sole: w.setup.Sole, Sender: s.outbox, Log: log, Peers: peers{w, name},
		SnapshotEvery: w.setup.SnapshotEvery,
	}, s.engineConfig())
	if err := s.engine.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	auth, err := handlers.NewAuth(nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s.handler = handlers.New(handlers.Options{
		Intake: s.engine, Changes: s.engine, Baselines: s.engine, Rollbacks: s.engine, Auth: auth, Log: log, Metrics: handlers.NewMetrics(),
	})
	s.js.armed.Store(true)
	w.quiet(name, false)
	return s
}

// ended notes that a server ends now: a notice that was being delivered may be
// delivered again.
func (s *Server) ended() {
	s.w.endsMu.Lock()
	defer s.w.endsMu.Unlock()
	s.w.ends = append(s.w.ends, time.Now())
}

// breaks are the times at which a server ended.
func (w *World) breaks() []time.Time {
	w.endsMu.Lock()
	defer w.endsMu.Unlock()
	return slices.Clone(w.ends)
}

// Kill ends the server as kill -9 does: from now on nothing of it reaches the
// store, a target or a person.
func (s *Server) Kill() {
	s.js.dead.Store(true)
	s.Close()
}

// Close ends the server in order.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.mu.Unlock()
	s.w.quiet(s.name, true)
	s.ended()
	s.engine.Close()
	s.outbox.Close()
	if err := s.store.Close(); err != nil {
		s.w.t.Errorf("close store: %v", err)
	}
	s.ended() // a notice may have been delivered until now
}

func (s *Server) engineConfig() *engine.Config {
	w := s.w
	w.t.Helper()
	ex, err := executors.NewRegistry(command.Kind())
	kinds, err2 := plugin.NewRegistry(w.healthCheck())
	if err := errors.Join(err, err2); err != nil {
		w.t.Fatal(err)
	}
	set, problems := rules.Load(map[string][]byte{"rules.yaml": []byte(w.setup.Rules)})
	if err := problems.Fatal(); err != nil {
		w.t.Fatal(err)
	}
	cfg := &engine.Config{
		Plans: map[string]backout.Plan{}, Inventory: map[string]backout.Target{}, Rules: set,
		Runner: runner.New(runner.Options{Executors: ex, Checks: kinds, Hosts: s, Log: w.log}), Groups: w.setup.Groups,
		WantsDelta: func(string) bool { return w.setup.WantsDelta },
		Alerts:     w.setup.Alerts, Monitoring: w.setup.Monitoring, ExternalURL: "https://backout.test",
		Promotion: w.setup.Promotion, Reach: s.outbox,
	}
	for _, p := range w.setup.Plans {
		cfg.Plans[p.Name] = p
	}
	for _, name := range w.setup.Inventory {
		cfg.Inventory[name] = backout.Target{Name: name, Transport: "ssh"}
	}
	return cfg
}

func (s *Server) outboxConfig() outbox.Config {
	cfg := outbox.Config{Channels: map[string]outbox.Channel{}, Audiences: map[string][]string{}, Templates: s.w.templates()}
	for name, inbox := range s.w.inboxes {
		cfg.Channels[name] = outbox.Channel{Notifier: way{inbox, name, s}}
		cfg.Audiences[name] = []string{name}
	}
	return cfg
}

func (w *World) healthCheck() checks.Kind {
	return plugin.Define("health", "whether the simulated target is healthy", w.buildHealth)
}

// ForgetTarget gives the server an inventory without the target.
func (s *Server) ForgetTarget(name string) {
	cfg := s.engineConfig()
	delete(cfg.Inventory, name)
	s.engine.Reconfigure(cfg)
}
