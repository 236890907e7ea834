package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) checkCommand() *cobra.Command {
	var config, runner string
	cmd := &cobra.Command{
		Use: "check", Short: "Check every file of the config", Args: cobra.NoArgs,
		Long: `Read the config and every rule, plan, inventory and template file it names, and print
all their problems as file:line:column: what, and what to do. Ends with 1 when there
is one; warnings alone end with 0. Nothing is started or reached. With --runner the
file of a runner is checked instead.`,
		Example: "  backout check\n  backout check -c /etc/backout/backout.yaml -o json\n  backout check --runner /etc/backout/runner.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runner != "" {
				return p.checkFiles(cmd.Context(), p.CheckRunner, runner)
			}
			return p.checkFiles(cmd.Context(), p.Check, config)
		},
	}
	p.configFlag(cmd, &config)
	cmd.Flags().StringVar(&runner, "runner", "", "check this file of a runner instead")
	cmd.MarkFlagsMutuallyExclusive("config", "runner")
	return cmd
}

func (p *program) checkFiles(ctx context.Context, check func(context.Context, string) backout.Problems, config string) error {
	if check == nil {
		return errMissing
	}
	problems := check(ctx, config)
	if len(problems) == 0 {
		return p.print(items(problems), func(view.Style) string { return view.Clean(config) + ": good\n" })
	}
	return p.failOn(problems)
}

func (p *program) kindsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "kinds", Short: "List the built-in executors, notifiers and checks", Args: cobra.NoArgs,
		Long: "List what a plan's steps, its checks and the config's channels may use.",
		RunE: func(*cobra.Command, []string) error {
			if p.Kinds == nil {
				return errMissing
			}
			kinds := p.Kinds()
			return p.print(items(kinds), func(s view.Style) string {
				rows := make([][]string, len(kinds))
				for i, k := range kinds {
					rows[i] = []string{k.Family, k.Name, k.Loses, k.Doc}
				}
				return view.Rows([]string{"FAMILY", "KIND", "LOSES", "MEANING"}, rows, s)
			})
		},
	}
}
