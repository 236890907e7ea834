package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hold", Aliases: []string{"holds"}, Short: "List and release what keeps patches from coming back",
		Long: `After a rollback the bad patch is held on the target (versionlock, apt hold, zypper
lock), so that no automatic update brings it back. A hold stays until it is released,
also when the change has long ended.`,
	}
	cmd.AddCommand(p.holdList(), p.holdRelease())
	return cmd
}

func (p *program) holdList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List holds", Args: cobra.NoArgs,
		Long: "List what is held on which target, the newest first; --all lists what was released too.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Holds(cmd.Context(), all)
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Holds(list, s, c.ServerTime()) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also holds that were released")
	return cmd
}

func (p *program) holdRelease() *cobra.Command {
	var targets []string
	var reason string
	cmd := &cobra.Command{
		Use: "release CHANGE", Short: "Let the patch come back to a target", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeChanges,
		Long: `Release the hold that a rollback of the change has left on the named targets: their next
update may install the patch again. Targets must be named: nothing means nothing,
never all. Releasing again changes nothing.`,
		Example: "  backout hold release CHG0030001 --target web-01 --reason \"fixed in 3.0.7-3\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			var released []backout.Hold
			var failed []error
			for _, target := range targets {
				hold, err := c.ReleaseHold(cmd.Context(), args[0], target, reason)
				if err != nil {
					failed = append(failed, fmt.Errorf("release %s: %w", target, err))
					continue
				}
				released = append(released, hold)
			}
			if len(released) > 0 {
				if err := p.print(items(released), func(s view.Style) string { return view.Holds(released, s, c.ServerTime()) }); err != nil {
					return err
				}
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().StringArrayVar(&targets, "target", nil, "a target (repeat for more)")
	required(cmd, "target")
	needReason(cmd, &reason)
	return cmd
}
