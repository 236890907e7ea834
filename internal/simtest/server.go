package simtest

import (
	"errors"

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
	"github.com/backout-io/backout/notifier"
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
	closed  bool
}

// Engine is the server's engine.
func (s *Server) Engine() *engine.Engine { return s.engine }

// Store is the server's store.
func (s *Server) Store() *store.Store { return s.store }

// start opens everything, as the server's command does.
func (w *World) start(name string) *Server {
	w.t.Helper()
	s := &Server{w: w, name: name, js: &faulty{JetStream: w.bus.JetStream()}}
	log := w.log.With("server", name)
	var err error
	if s.store, err = store.Open(w.t.Context(), store.Options{JS: s.js, Server: name, Logger: log}); err != nil {
		w.t.Fatal(err)
	}
	s.outbox = outbox.New(outbox.Options{Store: s.store.Outbox, Log: log})
	if err := s.outbox.Update(w.t.Context(), w.outboxConfig()); err != nil {
		w.t.Fatal(err)
	}
	s.engine = engine.New(engine.Options{
		Store: s.store, Server: name, Sender: s.outbox, Log: log, SnapshotEvery: w.setup.SnapshotEvery,
	}, w.engineConfig())
	if err := s.engine.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	auth, err := handlers.NewAuth(nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s.handler = handlers.New(handlers.Options{
		Intake: s.engine, Changes: s.engine, Rollbacks: s.engine, Auth: auth, Log: log, Metrics: handlers.NewMetrics(),
	})
	return s
}

// Close ends the server in order.
func (s *Server) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.engine.Close()
	s.outbox.Close()
	if err := s.store.Close(); err != nil {
		s.w.t.Errorf("close store: %v", err)
	}
}

func (w *World) engineConfig() *engine.Config {
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
		Plans: map[string]backout.Plan{}, Inventory: map[string]backout.Target{}, Rules: set, Executors: ex, Checks: kinds,
		Runner: runner.New(runner.Options{Executors: ex, Hosts: w, Log: w.log}), Groups: w.setup.Groups, Hosts: w,
		Alerts: w.setup.Alerts, ExternalURL: "https://backout.test",
	}
	for _, p := range w.setup.Plans {
		cfg.Plans[p.Name] = p
	}
	for _, name := range w.setup.Inventory {
		cfg.Inventory[name] = backout.Target{Name: name, Transport: "ssh"}
	}
	return cfg
}

func (w *World) outboxConfig() outbox.Config {
	cfg := outbox.Config{Channels: map[string]outbox.Channel{}, Audiences: map[string][]string{}, Templates: notifier.Default()}
	for name, inbox := range w.inboxes {
		cfg.Channels[name] = outbox.Channel{Notifier: inbox}
		cfg.Audiences[name] = []string{name}
	}
	return cfg
}

func (w *World) healthCheck() checks.Kind {
	return plugin.Define("health", "whether the simulated target is healthy", w.buildHealth)
}
