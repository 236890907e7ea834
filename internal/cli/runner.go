package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/cli/view"
)

// defaultRunnerConfig is where the runner looks for its file.
const defaultRunnerConfig = "runner.yaml"

func (p *program) runnerCommand() *cobra.Command {
	o := ServeOptions{Stderr: p.Stderr}
	cmd := &cobra.Command{
		Use: "runner", Short: "Run a runner near the targets", Args: cobra.NoArgs,
		Long: `Run a runner: it meets the servers on their NATS, takes the steps that they offer to
its site, and carries them out on the targets that it reaches. It refuses whatever is
not signed by a server's key and bound to what a gate has seen. SIGTERM or Ctrl-C ends
it; what runs on targets goes on, and another runner of the site finds it.
docs/runners.md says when to have one.`,
		Example: "  backout runner --config /etc/backout/runner.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case p.Runner == nil:
				return errMissing
			case o.LogFormat != "text" && o.LogFormat != "json":
				return usagef("--log-format %s: want text or json", o.LogFormat)
			}
			return p.Runner(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.Config, "config", "c", defaultRunnerConfig, "the runner's file")
	cmd.Flags().StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&o.LogFormat, "log-format", "text", "text or json")
	cmd.AddCommand(p.runnerKeygen(), p.runnerPermissions(), p.runnerList())
	return cmd
}

func (p *program) runnerList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the runners that the server hears", Args: cobra.NoArgs,
		Long: "List the runners near the targets that the server has heard of within the last hour. Ends with 1 when one of them is silent.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Runners(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.print(items(list), func(s view.Style) string { return view.Runners(list, s, c.ServerTime()) }); err != nil {
				return err
			}
			for _, r := range list {
				if !r.Alive {
					return statusError{ExitFailed}
				}
			}
			return nil
		},
	}
}

func (p *program) runnerKeygen() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "keygen", Short: "Make the key that servers sign with", Args: cobra.NoArgs,
		Long: `Make a pair of keys. The private one is written to a new file that only you can read:
it is runners.signing_key of every server. The public one is printed: it goes into
server_keys of every runner.`,
		Example: "  backout runner keygen --file /etc/backout/secrets/runners.key",
		RunE: func(*cobra.Command, []string) error {
			if p.RunnerKey == nil {
				return errMissing
			}
			key, err := p.RunnerKey()
			if err != nil {
				return err
			}
			if err := writeNew(to, key.Private.Reveal()+"\n"); err != nil {
				return err
			}
			return p.print(struct {
				File      string `json:"file"`
				ID        string `json:"id"`
				ServerKey string `json:"server_key"`
			}{to, key.ID, key.Public}, func(view.Style) string { return key.Public + "\n" })
		},
	}
	cmd.Flags().StringVar(&to, "file", "", "where the private key goes; there must be no such file")
	required(cmd, "file")
	return cmd
}

// writeNew writes a file that only its owner can read, and that was not there.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

func (p *program) runnerPermissions() *cobra.Command {
	var o PermissionOptions
	cmd := &cobra.Command{
		Use: "permissions", Short: "Print what NATS is to allow a runner, or a server", Args: cobra.NoArgs,
		Long: `Print the permissions of a NATS user as nats-server.conf has them: those of one runner,
which are all it needs, or those of servers. --nsc prints them as arguments of
"nsc add user" instead.`,
		Example: "  backout runner permissions --site fra --name fra-1\n  backout runner permissions --server\n  nsc add user fra-1 $(backout runner permissions --site fra --name fra-1 --nsc)",
		RunE: func(*cobra.Command, []string) error {
			switch {
			case p.RunnerPermissions == nil:
				return errMissing
			case !o.Server && (o.Site == "" || o.Name == ""):
				return usagef("permissions: give --site and --name, or --server")
			}
			got, err := p.RunnerPermissions(o)
			if err != nil {
				return usageError{err.Error()}
			}
			return p.print(got, func(view.Style) string {
				if o.NSC {
					return strings.Join(got.NSC, " ") + "\n"
				}
				return got.Config
			})
		},
	}
	cmd.Flags().StringVar(&o.Site, "site", "", "the runner's site")
	cmd.Flags().StringVar(&o.Name, "name", "", "the runner's name")
	cmd.Flags().BoolVar(&o.Server, "server", false, "those of servers")
	cmd.Flags().BoolVar(&o.NSC, "nsc", false, "print arguments of nsc add user")
	cmd.MarkFlagsMutuallyExclusive("server", "site")
	cmd.MarkFlagsMutuallyExclusive("server", "name")
	return cmd
}
