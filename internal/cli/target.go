package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) targetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "target", Aliases: []string{"targets"}, Short: "List and reach targets",
		Long: "Targets are the hosts in the inventory files.",
	}
	cmd.AddCommand(p.targetList(), p.targetCheck())
	return cmd
}

func (p *program) targetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the server's targets", Args: cobra.NoArgs,
		Long: "List the targets of the inventory the server has loaded.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Targets(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Targets(list, s) })
		},
	}
}

func (p *program) targetCheck() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "check [TARGET...]", Short: "Reach targets from this machine", Args: cobra.ArbitraryArgs, ValidArgsFunction: p.completeTargets,
		Long: `Reach the named targets, or every one in the inventory, with the config's own keys
and host keys, and say what answered. Nothing is changed on them. Ends with 1 when
one cannot be reached.`,
		Example: "  backout target check\n  backout target check web-01 web-02 -c /etc/backout/backout.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.CheckTargets == nil {
				return errMissing
			}
			var reports []TargetReport
			bad := false
			err := p.CheckTargets(cmd.Context(), config, args, func(r TargetReport) {
				reports = append(reports, r)
				bad = bad || !r.OK
			})
			if err != nil {
				return err
			}
			if err := p.print(items(reports), func(s view.Style) string { return targetReports(reports, s) }); err != nil {
				return err
			}
			if bad {
				return statusError{ExitFailed}
			}
			return nil
		},
	}
	p.configFlag(cmd, &config)
	return cmd
}

func targetReports(reports []TargetReport, s view.Style) string {
	rows := make([][]string, len(reports))
	for i, r := range reports {
		word := "reached"
		if !r.OK {
			word = "not reached"
		}
		rows[i] = []string{r.Target, word, r.Took.String(), r.Detail}
	}
	return view.Rows([]string{"TARGET", "STATUS", "TOOK", "DETAIL"}, rows, s)
}

func (p *program) completeTargets(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, nil, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		list, err := c.Targets(ctx)
		var out []string
		for _, t := range list {
			out = append(out, cobra.CompletionWithDesc(view.Clean(t.Name), view.Clean(t.OS)))
		}
		return out, err
	})
}
