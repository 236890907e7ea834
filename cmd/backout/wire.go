package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/backup"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/cli"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/demo"
	"github.com/backout-io/backout/internal/remote"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier/slack"
	"github.com/backout-io/backout/rules"
)

// wire gives the command line the functions that need the whole product.
func wire(o cli.Options) cli.Options {
	o.Serve = runServer
	o.Check = app.Check
	o.Doctor = app.Doctor
	o.SlackManifest = slack.Manifest
	o.Runner = runRunner
	o.RunnerKey = runnerKey
	o.RunnerPermissions = runnerPermissions
	o.CheckRunner = app.CheckRunner
	o.RulesCheck = app.CheckRules
	o.CheckPlans = app.CheckPlans
	o.NoticeRoutes = noticeRoutes
	o.PlanSudo = planSudo
	o.DriftDefaults = baseline.DefaultIgnores
	o.Demo = runDemo
	o.CheckTargets = checkTargets
	o.RulesFacts = facts
	o.RuleNames = app.RuleNames
	o.RulesTest = app.TestRules
	o.RulesExplain = explain
	o.RulesSet = ruleSet
	o.Backup = takeBackup
	o.CheckBackup = checkBackup
	o.Restore = restoreBackup
	o.Kinds = kinds
	return o
}

func runServer(ctx context.Context, s cli.ServeOptions) error {
	log, err := logger(s)
	if err != nil {
		return err
	}
	return app.Serve(ctx, app.Options{Config: s.Config, Log: log, Version: cli.BuildVersion()}, s.Reload)
}

func runRunner(ctx context.Context, s cli.ServeOptions) error {
	log, err := logger(s)
	if err != nil {
		return err
	}
	return app.Runner(ctx, app.RunnerOptions{Config: s.Config, Log: log, Version: cli.BuildVersion()})
}

func runnerKey() (cli.RunnerKey, error) {
	key, err := remote.NewSigningKey()
	if err != nil {
		return cli.RunnerKey{}, err
	}
	return cli.RunnerKey{ID: key.ID(), Private: key.Private(), Public: key.Public()}, nil
}

func runnerPermissions(o cli.PermissionOptions) (cli.NATSPermissions, error) {
	p := remote.ServerPermissions()
	if !o.Server {
		var err error
		if p, err = remote.RunnerPermissions(o.Site, o.Name); err != nil {
			return cli.NATSPermissions{}, err
		}
	}
	return cli.NATSPermissions{Config: p.Config(0), NSC: p.NSC()}, nil
}

func logger(s cli.ServeOptions) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", s.LogLevel)
	}
	return slog.New(logHandler(s.Stderr, s.LogFormat, level)), nil
}

func logHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

func runDemo(ctx context.Context, d cli.DemoOptions) error {
	if dir := os.Getenv(demo.ShopEnv); dir != "" {
		return demo.Serve(ctx, dir) // the demo's shop is a process of this program
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(ctx, demo.Options{Dir: d.Dir, Listen: d.Listen, Exit: d.Exit, Program: program, Out: d.Out})
}

func checkTargets(ctx context.Context, config string, targets []string, report func(cli.TargetReport)) error {
	return app.ReachTargets(ctx, config, targets, func(r app.Reached) {
		out := cli.TargetReport{Target: r.Target, OK: r.Err == nil, Took: backout.Duration(r.Took.Round(time.Millisecond)), Detail: "boot " + r.BootID}
		if r.Err != nil {
			out.Detail = r.Err.Error()
		}
		report(out)
	})
}

func planSudo(ctx context.Context, config, plan string) (cli.SudoNeeds, error) {
	s, err := app.PlanSudo(ctx, config, plan)
	needs := cli.SudoNeeds{Plan: s.Plan, User: s.User, On: s.On}
	for _, step := range s.Steps {
		needs.Steps = append(needs.Steps, cli.SudoStep(step))
	}
	return needs, err
}

func noticeRoutes(config string) (view.NoticeRoutes, backout.Problems) {
	routes, problems := app.NoticeRoutes(config)
	return view.NoticeRoutes(routes), problems
}

func takeBackup(ctx context.Context, config string, w io.Writer) error {
	_, err := app.Backup(ctx, app.Options{Config: config, Version: cli.BuildVersion()}, w)
	if errors.Is(err, bus.ErrInUse) {
		return fmt.Errorf("%w: %w", cli.ErrStoreInUse, err)
	}
	return err
}

func checkBackup(r io.Reader) (backup.Contents, error) {
	checked, err := store.CheckBackup(r)
	return checked.Contents, err
}

func restoreBackup(ctx context.Context, config, file string) (backup.Contents, error) {
	checked, err := app.Restore(ctx, app.Options{Config: config}, file)
	return checked.Contents, err
}

func ruleSet(files ...string) (cli.RuleSet, error) {
	set, err := app.RuleSet(files...)
	return cli.RuleSet(set), err
}

func facts() []cli.FactRow {
	var rows []cli.FactRow
	for _, f := range append(rules.Facts(), rules.Functions()...) {
		rows = append(rows, cli.FactRow(f))
	}
	return rows
}

func explain(_ context.Context, o cli.ExplainOptions) ([]handlers.Explained, error) {
	return app.Explain(app.ExplainOptions(o))
}

func kinds() []cli.KindRow {
	known, err := app.Kinds()
	if err != nil {
		return nil
	}
	var rows []cli.KindRow
	for _, k := range known.Executors.Kinds() {
		rows = append(rows, cli.KindRow{Family: "executor", Name: k.KindName(), Doc: k.Doc(), Loses: k.Loses})
	}
	for _, k := range known.Notifiers.Kinds() {
		rows = append(rows, cli.KindRow{Family: "notifier", Name: k.KindName(), Doc: k.Doc()})
	}
	for _, k := range known.Checks.Kinds() {
		rows = append(rows, cli.KindRow{Family: "check", Name: k.Name, Doc: k.Doc})
	}
	return rows
}
