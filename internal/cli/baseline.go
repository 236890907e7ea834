package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) baselineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "baseline", Aliases: []string{"baselines"}, Short: "Capture and compare baselines",
		Long: `A baseline is what a target was before the patch: packages with their versions, units,
ports, mounts, accounts and the plan's files. The patch delta is the baseline compared
with the target right after patching, and what L1 undoes.`,
	}
	cmd.AddCommand(p.baselineCapture(), p.baselineShow(), p.baselineDiff())
	return cmd
}

func (p *program) baselineCapture() *cobra.Command {
	cmd := p.onChange("capture CHANGE", "Capture the baseline of every target",
		`Capture the baseline of every target of a change whose window is shut, and let the
plan's steps keep what they need for the way back, such as old packages. Opening the
window captures again; this is for trying it before. Ends with 3, after the reasons,
when a target could not be captured: then there is no baseline at all. When it is
interrupted the server goes on.`,
		func(ctx context.Context, c *client.Client, id string) error {
			change, err := c.CaptureBaseline(ctx, id)
			if ctx.Err() != nil {
				p.note("%s: the server goes on without this command: \"backout change show %s\" looks", id, id)
			}
			if err != nil {
				return shutError{"no baseline was captured", ended(ctx, err)}
			}
			return p.print(change, func(s view.Style) string { return view.Change(&change, s, c.ServerTime()) })
		})
	cmd.Example = "  backout baseline capture CHG0030001"
	return cmd
}

func (p *program) baselineShow() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "show CHANGE TARGET", Short: "Show what a target was before the patch", Args: cobra.ExactArgs(2), ValidArgsFunction: p.completeChangeTargets,
		Long:    "Show the baseline of one target: in numbers, with --all everything in it, with -o json as it is stored.",
		Example: "  backout baseline show CHG0030001 web-01\n  backout baseline show CHG0030001 web-01 --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			b, err := c.Baseline(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return p.print(b, func(s view.Style) string { return view.Baseline(&b, s, all) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everything, not numbers")
	return cmd
}

func (p *program) baselineDiff() *cobra.Command {
	var now, all bool
	cmd := &cobra.Command{
		Use: "diff CHANGE TARGET [OTHER]", Short: "Show what the patch changed on a target", Args: cobra.RangeArgs(2, 3), ValidArgsFunction: p.completeChangeTargets,
		Long: `Show the patch delta of a target: its baseline compared with the state right after
patching. With --now the baseline is compared with the target as it is now, as "drift"
does and with its exit codes. With a second target the baselines of the two are
compared with each other.`,
		Example: "  backout baseline diff CHG0030001 web-01\n  backout baseline diff CHG0030001 web-01 --now\n  backout baseline diff CHG0030001 web-01 web-02",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && !now || now && len(args) == 3 {
				return usagef("%s: --all belongs to --now, and --now to one target", cmd.CommandPath())
			}
			c, err := p.client()
			switch {
			case err != nil:
				return err
			case now:
				return p.driftOf(cmd.Context(), c, args[0], args[1:], all)
			case len(args) == 3:
				return p.compare(cmd.Context(), c, args[0], args[1], args[2])
			}
			d, err := c.Delta(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return p.print(d, func(s view.Style) string { return view.Delta(&d, s) })
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "compare with the target as it is now")
	cmd.Flags().BoolVar(&all, "all", false, "with --now: also what is expected to differ")
	return cmd
}

func (p *program) compare(ctx context.Context, c *client.Client, id, first, second string) error {
	a, err := c.Baseline(ctx, id, first)
	b, otherErr := c.Baseline(ctx, id, second)
	if err := errors.Join(err, otherErr); err != nil {
		return err
	}
	d := baseline.Compare(a.Inventory, b.Inventory)
	return p.print(d, func(s view.Style) string { return view.Compared(&d, first, second, s) })
}

func (p *program) driftCommand() *cobra.Command {
	var all, defaults bool
	cmd := &cobra.Command{
		Use: "drift CHANGE [TARGET...]", Short: "Compare targets with their baselines, now", ValidArgsFunction: p.completeChangeTargets,
		Long: `Compare the named targets of a change, or all of them, with their baselines as they are
now, and keep the result with the change. Nothing is changed on them. What is expected
to differ (logs, the package manager's history, times) does not count and is left out;
--all shows it with its rule, --defaults lists the rules every plan has, and a plan
adds its own in baseline.ignore.

Ends with 0 when every target is back to its baseline, 7 when one is healthy but
drifted, and 1 when one is not back: the patch or a part of it is still there, or
something that served is missing.`,
		Example: "  backout drift CHG0030001\n  backout drift CHG0030001 web-01 --all\n  backout drift --defaults",
		Args: func(_ *cobra.Command, args []string) error {
			if defaults != (len(args) == 0) {
				return errUsage
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if defaults {
				return p.driftDefaults()
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			return p.driftOf(cmd.Context(), c, args[0], args[1:], all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what is expected to differ, and every difference")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "list what is expected to differ by itself")
	return cmd
}

func (p *program) driftDefaults() error {
	if p.DriftDefaults == nil {
		return errMissing
	}
	rules := p.DriftDefaults()
	return p.print(items(rules), func(s view.Style) string { return view.Ignores(rules, s) })
}

func (p *program) driftOf(ctx context.Context, c *client.Client, id string, targets []string, all bool) error {
	found, err := c.Drift(ctx, id, targets)
	if err != nil {
		return err
	}
	if err := p.print(items(found), func(s view.Style) string { return view.Drifts(found, s, all) }); err != nil {
		return err
	}
	return driftStatus(found)
}

// driftStatus is the exit code of what was found: the worst counts.
func driftStatus(found []backout.Drift) error {
	code := ExitDone
	for _, d := range found {
		switch d.Verdict {
		case backout.DriftNone:
		case backout.DriftSome:
			if code == ExitDone {
				code = ExitDrifted
			}
		default: // not back, and what this release does not know
			code = ExitFailed
		}
	}
	if code == ExitDone {
		return nil
	}
	return statusError{code}
}

// completeChangeTargets offers changes, and behind one its targets.
func (p *program) completeChangeTargets(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return p.completeChanges(cmd, args, toComplete)
	}
	return p.complete(cmd, nil, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		change, err := c.Change(ctx, args[0])
		var out []string
		for _, target := range change.Targets {
			out = append(out, view.Clean(target))
		}
		return out, err
	})
}
