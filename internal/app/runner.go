package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/local"
	"github.com/backout-io/backout/internal/host/ssh"
	"github.com/backout-io/backout/internal/remote"
	"github.com/backout-io/backout/internal/retry"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/secret"
)

// RunnerOptions are how a runner near the targets is run.
type RunnerOptions struct {
	// Config is the path of runner.yaml.
	Config  string
	Log     *slog.Logger
	Version string
	// Attempts is where the attempts of local targets are kept, for tests; empty
	// means the usual place.
	Attempts string
}

// Runner runs a runner near the targets until ctx ends. A NATS that cannot be
// reached is waited for. Steps on targets go on when it ends, and are found again.
func Runner(ctx context.Context, o RunnerOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r, kinds, problems := loadRunner(o.Config)
	if err := problems.Fatal(); err != nil {
		return err
	}
	for _, p := range problems {
		o.Log.Warn("config warning", "problem", p.String())
	}
	hosts, err := host.New(host.Options{Local: local.Options{Dir: o.Attempts}, SSH: sshOptions(r.SSH)})
	if err != nil {
		return err
	}
	wire, err := dial(ctx, r, o.Log)
	if err != nil {
		return errors.Join(err, hosts.Close())
	}
	agent, err := startAgent(r, kinds, wire, hosts, o)
	if err != nil {
		wire.Close()
		return errors.Join(err, hosts.Close())
	}
	o.Log.Info("waiting for steps", "runner", r.Name, "site", r.Site)
	<-ctx.Done()
	o.Log.Info("stopping, what runs on targets goes on")
	agent.Close()
	wire.Close()
	return hosts.Close()
}

// CheckRunner returns every problem of the file of a runner, and what would keep it
// from reaching targets. It reaches nobody.
func CheckRunner(_ context.Context, path string) backout.Problems {
	_, _, problems := loadRunner(path)
	return problems
}

func loadRunner(path string) (*config.Runner, config.Kinds, backout.Problems) {
	kinds, err := Kinds()
	if err != nil {
		return nil, kinds, backout.Problems{{File: path, What: err.Error()}}
	}
	r, problems := config.LoadRunner(path, kinds, func(text string) error {
		_, err := remote.ParsePublicKey(text)
		return err
	})
	if r != nil {
		problems = append(problems, checkSSH(path, r.SSH)...)
	}
	return r, kinds, problems
}

func dial(ctx context.Context, r *config.Runner, log *slog.Logger) (wire *bus.Wire, err error) {
	o := bus.Options{URL: r.NATS.URL, Credentials: r.NATS.Credentials, CAFile: r.NATS.TLSCA, Name: "runner " + r.Name, Logger: log}
	err = retry.Do(ctx, retry.Policy{First: time.Second, Most: 15 * time.Second}, func(ctx context.Context) error {
		var err error
		if wire, err = bus.Dial(ctx, o); err != nil {
			log.Warn("not connected, trying again", "error", err)
		}
		return err
	})
	return wire, err
}

func startAgent(r *config.Runner, kinds config.Kinds, wire *bus.Wire, hosts *host.Registry, o RunnerOptions) (*remote.Agent, error) {
	probes, err := checks.NewRegistry(checks.All(checks.Options{PrometheusURL: r.Prometheus.URL, PrometheusToken: r.Prometheus.Token})...)
	if err != nil {
		return nil, err
	}
	keys := make([]remote.PublicKey, len(r.ServerKeys))
	for i, text := range r.ServerKeys {
		if keys[i], err = remote.ParsePublicKey(text); err != nil {
			return nil, fmt.Errorf("server_keys[%d]: %w", i, err)
		}
	}
	return remote.Start(remote.AgentOptions{
		Conn: wire, Name: r.Name, Site: r.Site, Keys: keys, Executors: r.Executors, Checks: r.Checks, Slots: r.MaxSteps, Release: o.Version, Log: o.Log,
		Known: func(uses string) bool { _, ok := kinds.Executors.Lookup(uses); return ok },
		Runner: func(mark string) *runner.Runner {
			return runner.New(runner.Options{
				Executors: kinds.Executors, Checks: probes, Hosts: hosts.Marked(mark), Resolve: r.ResolveSecrets, Secrets: secret.All(r), Log: o.Log,
			})
		},
	})
}

func sshOptions(s config.SSH) ssh.Options {
	return ssh.Options{
		User: s.User, Key: s.Key, KnownHosts: s.KnownHosts, Port: s.Port, ConnectTimeout: time.Duration(s.ConnectTimeout), Sudo: s.Sudo,
		Armed: s.Armed,
	}
}
