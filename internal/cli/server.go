package cli

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
)

// defaultConfig is where every command looks for the config.
const defaultConfig = "backout.yaml"

func (p *program) configFlag(cmd *cobra.Command, to *string) {
	path := p.Getenv("BACKOUT_CONFIG")
	if path == "" {
		path = defaultConfig
	}
	cmd.Flags().StringVarP(to, "config", "c", path, "the config file (env BACKOUT_CONFIG)")
	cmd.Flags().Lookup("config").DefValue = defaultConfig
}

// rulesFlag is configFlag of a command that needs rules only.
func (p *program) rulesFlag(cmd *cobra.Command, to *string) {
	p.configFlag(cmd, to)
	cmd.Flags().Lookup("config").Usage = "the config file, or a rule file alone (env BACKOUT_CONFIG)"
}

func (p *program) serveCommand() *cobra.Command {
	o := ServeOptions{Stderr: p.Stderr}
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Long: `Run the server: it takes alerts in, decides, runs the steps and tells people. State
lives in data_dir. SIGHUP reads every file again (a bad one leaves the old config
running); SIGTERM or Ctrl-C stops it gracefully, and a start goes on where it was.`,
		Example: "  backout serve --config /etc/backout/backout.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Serve == nil {
				return errMissing
			}
			switch o.LogFormat {
			case "text", "json":
			default:
				return usagef("--log-format %s: want text or json", o.LogFormat)
			}
			reload := make(chan os.Signal, 1)
			if len(reloadSignals) > 0 {
				signal.Notify(reload, reloadSignals...)
				defer signal.Stop(reload)
			}
			o.Reload = reload
			return p.Serve(cmd.Context(), o)
		},
	}
	p.configFlag(cmd, &o.Config)
	cmd.Flags().StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&o.LogFormat, "log-format", "text", "text or json")
	return cmd
}

func (p *program) demoCommand() *cobra.Command {
	o := DemoOptions{}
	cmd := &cobra.Command{
		Use: "demo", Short: "See the whole way on this machine", Args: cobra.NoArgs,
		Long: `Run a small real web service, patch it so that it breaks, and watch backout notice,
run L1, see that it does not help, run L2 and bring the service back: with seconds
instead of minutes. No root, no network, nothing to install.

The first line is a link to the dashboard. It signs you in as ann, who is on call, and
is good once; the story begins when you have opened it. L2 starts after a minute unless
you hold it there. The server stays up to be looked at until Ctrl-C. With --exit the
story is told in ten seconds, L2 asks nobody, and the demo ends with it.`,
		Example: "  backout demo\n  backout demo --exit",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Demo == nil {
				return errMissing
			}
			o.Out = p.Stdout
			return p.Demo(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "keep the demo's files here; empty means a temporary directory")
	cmd.Flags().StringVar(&o.Listen, "listen", "", "the demo server's address; empty means a free port")
	cmd.Flags().BoolVar(&o.Exit, "exit", false, "end when the story is told")
	return cmd
}

func (p *program) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Make the server read its files again", Args: cobra.NoArgs,
		Long: "Make the server read its config, rules, plans and inventory again. Everything is built first, then\nswapped: on a problem the old config goes on and the problems are printed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			if err := c.Reload(cmd.Context()); err != nil {
				return err
			}
			return p.print(struct {
				Reloaded bool `json:"reloaded"`
			}{true}, func(view.Style) string { return "reloaded\n" })
		},
	}
}

func (p *program) pauseCommand() *cobra.Command {
	var reason string
	var status bool
	cmd := &cobra.Command{
		Use: "pause", Short: "Stop all new effects, everywhere", Args: cobra.NoArgs,
		Long: `Stop all new effects of every rollback, durably, on every server, until "backout
resume". What runs is not interrupted; clocks stand still. --status only looks.`,
		Example: "  backout pause --reason \"storage maintenance\"\n  backout pause --status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			var state handlers.PauseState
			if status {
				state, err = c.PauseState(cmd.Context())
			} else {
				state, err = c.Pause(cmd.Context(), reason)
			}
			if err != nil {
				return err
			}
			return p.print(state, func(s view.Style) string { return view.Pause(state, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log and the notices")
	cmd.Flags().BoolVar(&status, "status", false, "only tell whether the switch is on")
	cmd.MarkFlagsOneRequired("reason", "status")
	cmd.MarkFlagsMutuallyExclusive("reason", "status")
	return cmd
}

func (p *program) resumeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "resume", Short: "End the pause", Args: cobra.NoArgs,
		Long:    "End the pause: every rollback goes on, its deadlines moved by the pause's length.",
		Example: "  backout resume --reason \"maintenance over\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			state, err := c.Resume(cmd.Context(), reason)
			if err != nil {
				return err
			}
			return p.print(state, func(s view.Style) string { return view.Pause(state, s, c.ServerTime()) })
		},
	}
	needReason(cmd, &reason)
	return cmd
}

func (p *program) monitoringCommand() *cobra.Command {
	return &cobra.Command{
		Use: "monitoring", Short: "Tell whether anybody would tell that a target is red", Args: cobra.NoArgs,
		Long: `Tell when the alert that always fires was seen last. While it is missing, monitoring is
blind: red targets may go unseen, and nothing counts as recovered. Ends with 1 then.`,
		Example: "  backout monitoring",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			status, err := c.Monitoring(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.print(status, func(s view.Style) string { return view.Monitoring(status, s, c.ServerTime()) }); err != nil {
				return err
			}
			if status.Blind {
				return statusError{ExitFailed}
			}
			return nil
		},
	}
}

func (p *program) noticesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "notices", Short: "List what people have not been told yet", Args: cobra.NoArgs,
		Long: "List the notices that wait for their channel and those that were given up. Ends with 1 when one was given up.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Notices(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.print(items(list), func(s view.Style) string { return view.Notices(list, s, c.ServerTime()) }); err != nil {
				return err
			}
			for _, n := range list {
				if n.GivenUp {
					return statusError{ExitFailed}
				}
			}
			return nil
		},
	}
}

// completeChanges offers the ids of changes that have not ended.
func (p *program) completeChanges(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, args, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		list, err := c.ListChanges(ctx, handlers.ChangeFilter{})
		var out []string
		for _, change := range unfinished(list) {
			out = append(out, cobra.CompletionWithDesc(view.Clean(change.ID), view.Clean(change.Title)))
		}
		return out, err
	})
}

// completeRollbacks offers the ids of rollbacks that are not over.
func (p *program) completeRollbacks(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, args, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		list, err := c.ListRollbacks(ctx, handlers.RollbackFilter{ActiveOnly: true})
		var out []string
		for _, r := range list {
			out = append(out, cobra.CompletionWithDesc(view.Clean(r.ID), string(r.Status)))
		}
		return out, err
	})
}

func (p *program) complete(cmd *cobra.Command, args []string, list func(context.Context) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := withTimeout(cmd, p.Poll)
	defer cancel()
	out, err := list(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
