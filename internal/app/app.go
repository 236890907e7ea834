package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/auth"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/dashboard"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/remote"
	"github.com/backout-io/backout/internal/retry"
	"github.com/backout-io/backout/internal/slackedge"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/webconfig"
)

// Options are how a server is run.
type Options struct {
	// Config is the path of backout.yaml.
	Config  string
	Log     *slog.Logger
	Version string
	// Listener is served instead of the config's address, for tests.
	Listener net.Listener
	// Attempts is where the attempts of local targets are kept, for tests; empty
	// means the usual place.
	Attempts string
	// Accounts tells whose a Slack account is, for demos and tests; nil means that
	// nobody has linked any.
	Accounts handlers.Accounts
}

// App is one server.
type App struct {
	o Options

	bus    *bus.Bus
	store  *store.Store
	outbox *outbox.Outbox
	engine *engine.Engine
	slack  *slackedge.Edge
	// edge is slack, for whoever may ask before it is there.
	edge  atomic.Pointer[slackedge.Edge]
	hosts *host.Registry
	// runners speaks to those near the targets; nil while no site has any.
	runners *remote.Hub
	// mark tells this store's attempts on a target from another's.
	mark string
	// oldHosts are those of configs before; steps that run hold them.
	oldHosts []*host.Registry
	auth     *handlers.Auth
	senders  *handlers.Senders
	// web is the web config file as it stands; nil without one.
	web *webconfig.Live
	// login is nil where nobody signs in.
	login *auth.Service
	// settings are current's. They are apart because a.mu is held by a reload, which
	// waits for web, while web asks for them.
	settings atomic.Pointer[config.Settings]
	// running is current, for whoever must not wait for a reload.
	running  atomic.Pointer[loaded]
	examiner *examiner
	handler  *handlers.Handler
	addr     net.Addr

	replays replays

	// mu lets one reload run at a time.
	mu      sync.Mutex
	current *loaded

	// refusing is set while the store is known to take no writes.
	refusing atomic.Bool
	presence *bus.Presence
	namesake namesake
	cleanup  []func() error
	failed   chan error
}

// New builds the server from its files and starts everything but the listener. On
// an error everything is ended again; problems in the files come as
// [backout.Problems].
func New(ctx context.Context, o Options) (*App, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, failed: make(chan error, 1), replays: newReplays()}
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.undo())
	}
	return a, nil
}

func (a *App) build(ctx context.Context) error {
	l, problems := load(a.o.Config)
	if err := problems.Fatal(); err != nil {
		return err
	}
	for _, p := range problems {
		a.o.Log.Warn("config warning", "problem", p.String())
	}
	a.current = l
	if err := a.openStore(ctx, l.config); err != nil {
		return err
	}
	if err := a.startOutbox(ctx, l); err != nil {
		return err
	}
	return a.startEngine(ctx, l)
}

func (a *App) later(fn func() error) { a.cleanup = append(a.cleanup, fn) }

// undo ends what was begun, last first.
func (a *App) undo() error {
	var errs []error
	for i := len(a.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, a.cleanup[i]())
	}
	a.cleanup = nil
	return errors.Join(errs...)
}

func (a *App) openStore(ctx context.Context, cfg *config.Config) error {
	err := a.patiently(ctx, func() (err error) { a.bus, err = bus.Open(ctx, busOptions(cfg, a.o.Log, false)); return err })
	if err != nil {
		return err
	}
	a.later(a.bus.Close)
	err = a.patiently(ctx, func() (err error) { a.store, err = store.Open(ctx, storeOptions(cfg, a.bus, a.o.Log)); return err })
	if err != nil {
		return err
	}
	a.later(a.store.Close)
	err = a.patiently(ctx, func() (err error) { a.mark, err = storeMark(ctx, a.store, abandoned(cfg)); return err })
	if err != nil {
		return err
	}
	if err := a.announce(cfg); err != nil {
		return err
	}
	watching, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { a.watchHealth(watching) })
	a.later(func() error {
		stop()
		watch.Wait()
		return nil
	})
	return nil
}

func (a *App) startOutbox(ctx context.Context, l *loaded) error {
	a.outbox = outbox.New(outbox.Options{Store: a.store.Outbox, Answers: a.answers, Log: a.o.Log})
	a.later(func() error { a.outbox.Close(); return nil })
	cfg, err := l.outboxConfig(ctx)
	if err != nil {
		return err
	}
	return a.patiently(ctx, func() error { return a.outbox.Update(ctx, cfg) })
}

// startPatience is how long a start waits for a cluster that elects a leader.
const startPatience = time.Minute

// patiently tries again what the store cannot answer yet.
func (a *App) patiently(ctx context.Context, try func() error) error {
	said := false
	return retry.Do(ctx, retry.Policy{First: 250 * time.Millisecond, Most: 2 * time.Second, Total: startPatience}, func(ctx context.Context) error {
		err := try()
		if !errors.Is(err, backout.ErrUnavailable) {
			return backout.Permanent(err)
		}
		if !said {
			a.o.Log.WarnContext(ctx, "the store does not answer yet, waiting for it", "error", err)
			said = true
		}
		return err
	})
}

func (a *App) startEngine(ctx context.Context, l *loaded) error {
	hosts, err := newHosts(l.config, a.o.Attempts, a.mark)
	if err != nil {
		return err
	}
	a.hosts = hosts
	a.later(func() error {
		// Steps may hold the connections of configs before this one.
		errs := []error{a.hosts.Close()}
		for _, old := range a.oldHosts {
			errs = append(errs, old.Close())
		}
		return errors.Join(errs...)
	})
	a.arm(ctx, hosts, l.config)
	cfg, err := l.engineConfig(hosts, a.o.Log)
	if err == nil {
		cfg.Sites, err = a.sites(l.config)
	}
	if err != nil {
		return err
	}
	cfg.Reach = a.outbox
	o := engine.Options{Store: a.store, Server: l.config.ServerName, Sole: l.config.NATS.URL == "", Sender: a.outbox, Log: a.o.Log}
	if a.presence != nil {
		o.Peers = a.presence
	}
	a.engine = engine.New(o, cfg)
	a.later(func() error { a.engine.Close(); return nil })
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	if a.presence != nil {
		a.presence.Begin()
	}
	a.watchEngine()
	a.settings.Store(&l.config.Settings)
	a.running.Store(l)
	a.examiner = a.newExaminer()
	services, made := a.guarded(), a.tokens()
	if err := a.startLogin(l); err != nil {
		return err
	}
	a.startSlack(l, services.Rollbacks)
	api, intake := l.tokens()
	if a.auth, err = handlers.NewAuth(api, intake); err != nil {
		return err
	}
	if err := a.openSenders(l); err != nil {
		return err
	}
	metrics := handlers.NewMetrics()
	if err := metrics.Registry.Register(a.engine.Metrics()); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	options := handlers.Options{
		Intake: admission{a}, Changes: services.Changes, Baselines: services.Baselines, Rollbacks: services.Rollbacks, Rules: services.Rules, Control: services.Control, Insight: services.Insight,
		Slack: a.slack, Auth: a.auth, Senders: a.senders, Tokens: made, Bearers: made, Log: a.o.Log,
		Limits:  handlers.Limits{MaxBody: int64(l.config.Intake.MaxBody), MaxWaiting: l.config.Intake.MaxWaiting},
		Metrics: metrics, ExternalURL: l.config.ExternalURL, Version: a.o.Version,
	}
	pages := dashboard.New(dashboard.Options{
		Services: services, Tokens: made, People: a.login != nil, Base: handlers.BasePath(l.config.ExternalURL), ExternalURL: l.config.ExternalURL, Version: a.o.Version,
	})
	a.later(func() error { pages.Close(); return nil })
	options.Pages, options.ErrorPage = pages.Pages(), pages.Error
	if a.login != nil {
		options.Sessions, options.Pages = a.login, append(options.Pages, a.login.Routes()...)
	}
	a.handler = handlers.New(options)
	return nil
}

// watchEngine ends the server with its engine: one that does not hear what others do
// must not be thought there.
func (a *App) watchEngine() {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case err := <-a.engine.Failed():
			select {
			case a.failed <- err:
			default:
			}
		case <-done:
		}
	})
	a.later(func() error {
		close(done)
		watch.Wait()
		return nil
	})
}

func newHosts(cfg *config.Config, attempts, mark string) (*host.Registry, error) {
	return host.New(host.Options{Mark: mark, Local: local.Options{Dir: attempts}, SSH: sshOptions(cfg.SSH)})
}

// arm makes the first step on a local target start as fast as the later ones.
// Without it that step makes do, and says what is wrong.
func (a *App) arm(ctx context.Context, hosts *host.Registry, cfg *config.Config) {
	for _, t := range cfg.Inventory {
		if t.Transport != "local" {
			continue
		}
		if err := hosts.Arm(ctx); err != nil {
			a.o.Log.Warn("local host not armed", "error", err)
		}
		return
	}
}

// Start listens and serves.
func (a *App) Start() error {
	cfg := a.current.config
	listener := a.o.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
		}
	}
	o := handlers.ServerOptions{Log: a.o.Log}
	var err error
	if o.TLS, err = a.serverTLS(cfg); err != nil {
		return errors.Join(err, listener.Close())
	}
	a.addr = listener.Addr()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		err := handlers.Serve(ctx, listener, a.handler, o)
		if err != nil && ctx.Err() == nil {
			a.failed <- err
		}
		served <- err
	}()
	a.later(func() error {
		stop()
		return <-served
	})
	a.o.Log.Info("serving", "address", a.addr.String(), "tls", cfg.ServesTLS())
	return nil
}

// Addr is where it listens, once started.
func (a *App) Addr() string { return a.addr.String() }

// Handler answers requests without a listener, for tests in virtual time.
func (a *App) Handler() http.Handler { return a.handler }

// Failed gives the error that ended serving.
func (a *App) Failed() <-chan error { return a.failed }

// Close ends the server: no more requests, then the engine, the outbox, the
// store, the bus. Steps on targets go on, and are found again.
func (a *App) Close() error { return a.undo() }

// Reload reads every file again and swaps what they say, or changes nothing and
// returns the problems.
func (a *App) Reload(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, out, _, err := a.readAgain(ctx, a.current)
	if err != nil {
		return err
	}
	hosts, err := a.hostsFor(ctx, l.config)
	if err != nil {
		return err
	}
	cfg, err := l.engineConfig(hosts, a.o.Log)
	if err == nil {
		cfg.Sites, err = a.sites(l.config)
	}
	if err == nil {
		err = a.outbox.Update(ctx, out)
	}
	if err != nil {
		if hosts != a.hosts {
			err = errors.Join(err, hosts.Close())
		}
		return err
	}
	cfg.Reach = a.outbox
	// First who is in which group: a vote by the old groups is held against the old
	// ones, and voided below.
	api, intake := l.tokens()
	if err := a.auth.Set(api, intake); err != nil {
		return err // what readAgain took, Set takes
	}
	if err := a.senders.SetSigners(l.signers()); err != nil {
		return err // as above
	}
	if a.login != nil {
		a.login.Set(l.loginConfig())
	}
	a.settings.Store(&l.config.Settings)
	a.running.Store(l)
	if a.web != nil {
		a.web.Replace(l.config.Web)
	}
	a.engine.Reconfigure(cfg)
	if hosts != a.hosts {
		a.oldHosts = append(a.oldHosts, a.hosts)
	}
	a.hosts, a.current = hosts, l
	a.slack.Update(l.slackChannels())
	a.o.Log.Info("config reloaded", "plans", len(l.config.Plans), "rules", l.rules.Len(), "targets", len(l.config.Inventory))
	return nil
}

// readAgain reads every file as a reload does. An error says what would keep it from
// taking the place of old; there may be something read all the same, which is then only
// good for being looked at. Warnings come either way.
func (a *App) readAgain(ctx context.Context, old *loaded) (l *loaded, out outbox.Config, warnings backout.Problems, err error) {
	l, problems := load(a.o.Config)
	warnings = slices.DeleteFunc(slices.Clone(problems), func(p backout.Problem) bool { return !p.Warning })
	if err = problems.Fatal(); err == nil {
		was := *old.config
		was.Web = a.webNow(was.Web)
		err = sameProcess(&was, l.config)
	}
	if err == nil {
		out, err = l.outboxConfig(ctx)
	}
	if err == nil {
		_, err = handlers.NewAuth(l.tokens())
	}
	if err == nil {
		_, err = handlers.NewSenders(nil, l.signers())
	}
	return l, out, warnings, err
}

// hostsFor keeps the connections there are when the ssh section is the same.
func (a *App) hostsFor(ctx context.Context, cfg *config.Config) (*host.Registry, error) {
	old, now := a.current.config.SSH, cfg.SSH
	sameKey := old.Key.Reveal() == now.Key.Reveal()
	old.Key, now.Key = backout.Secret{}, backout.Secret{}
	if sameKey && old == now {
		a.arm(ctx, a.hosts, cfg)
		return a.hosts, nil
	}
	hosts, err := newHosts(cfg, a.o.Attempts, a.mark)
	if err != nil {
		return nil, err
	}
	a.arm(ctx, hosts, cfg)
	return hosts, nil
}

// restartFix is what to do about a change that no reload can make.
const restartFix = "restart the server for it, or change it back"

// sameProcess refuses what a reload cannot change.
func sameProcess(old, now *config.Config) error {
	var moved backout.Problems
	differs := func(key string, same bool) {
		if !same {
			moved = append(moved, backout.Problem{File: "backout.yaml", What: key + " changed", Fix: restartFix})
		}
	}
	differs("listen", old.Listen == now.Listen)
	differs("data_dir", old.DataDir == now.DataDir)
	differs("nats.url", old.NATS.URL == now.NATS.URL)
	differs("server_name", old.ServerName == now.ServerName)
	differs("tls", old.TLS == now.TLS)
	differs("web_config", old.WebConfig == now.WebConfig && old.Web.TLS() == now.Web.TLS())
	differs("external_url", old.ExternalURL == now.ExternalURL)
	differs("whether people sign in (auth.oidc, auth.users)", old.Auth.SignIn() == now.Auth.SignIn())
	// A file that lost its tokens, in whatever way, must not open a server that runs.
	differs("whether anybody must say who they are (auth, intake)", old.Open() || !now.Open())
	differs("intake.max_body", old.Intake.MaxBody == now.Intake.MaxBody)
	differs("intake.max_waiting", old.Intake.MaxWaiting == now.Intake.MaxWaiting)
	differs("retention", old.Retention == now.Retention)
	differs("nats.replicas", old.NATS.Replicas == now.NATS.Replicas)
	differs("nats.tls_ca", old.NATS.TLSCA == now.NATS.TLSCA)
	differs("nats.credentials", old.NATS.Credentials.Reveal() == now.NATS.Credentials.Reveal())
	was, is := old.Runners.SigningKey, now.Runners.SigningKey
	differs("runners.signing_key", was.IsZero() || is.IsZero() || was.Reveal() == is.Reveal())
	if len(moved) > 0 {
		return moved
	}
	return nil
}
