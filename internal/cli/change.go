package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) changeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "change",
		Aliases: []string{"changes"},
		Short:   "Plan, open and close changes",
		Long: `A change is one patch going to some targets in one window under one back-out plan.

planned -> ready (the gate passed) -> open -> watching -> closed; while it is open
or watched, alerts on its targets may roll it back.`,
	}
	cmd.AddCommand(p.changeCreate(), p.changeList(), p.changeShow(), p.changeLog(), p.gateCommand(), p.changeOpen(), p.changeExtend(),
		p.changeEnd("close", "End the window and the watch", "Alerts on its targets no longer count for this change. Its plan is not run.", (*client.Client).CloseChange),
		p.changeEnd("cancel", "Withdraw a change whose window has not opened", "A window that is open is closed, not cancelled.", (*client.Client).CancelChange),
		p.changeRun(), p.changePatched())
	return cmd
}

func (p *program) changeList() *cobra.Command {
	var state, target string
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List changes", Args: cobra.NoArgs,
		Long:    "List the changes that have not ended; --all lists those that have too.",
		Example: "  backout change list\n  backout change list --state open\n  backout change list --target web-01 --all -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.ListChanges(cmd.Context(), handlers.ChangeFilter{State: backout.ChangeState(state), Target: target})
			if err != nil {
				return err
			}
			if !all && state == "" {
				list = unfinished(list)
			}
			return p.print(items(list), func(s view.Style) string { return view.Changes(list, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only changes in this state (planned, ready, open, watching, backing_out, ...)")
	cmd.Flags().StringVar(&target, "target", "", "only changes of this target")
	cmd.Flags().BoolVar(&all, "all", false, "also changes that have ended")
	return cmd
}

func unfinished(list []backout.Change) []backout.Change {
	var out []backout.Change
	for _, c := range list {
		if !c.State.Final() {
			out = append(out, c)
		}
	}
	return out
}

func (p *program) changeShow() *cobra.Command {
	return p.onChange("show CHANGE", "Show one change", "Show a change as it stands: its window, its frozen plan, the gate's reasons and its rollbacks.",
		func(ctx context.Context, c *client.Client, id string) error {
			change, err := c.Change(ctx, id)
			if err != nil {
				return err
			}
			return p.print(change, func(s view.Style) string { return view.Change(&change, s, c.ServerTime()) })
		})
}

func (p *program) changeLog() *cobra.Command {
	return p.onChange("log CHANGE", "Print everything that happened to a change", "Print the change's log, one event a line, oldest first.",
		func(ctx context.Context, c *client.Client, id string) error {
			entries, err := c.ChangeLog(ctx, id)
			if err != nil {
				return err
			}
			return p.print(items(entries), func(view.Style) string { return view.Lines(entries) })
		})
}

// gateCommand is "gate" and "change gate".
func (p *program) gateCommand() *cobra.Command {
	var all bool
	cmd := p.onChange("gate CHANGE", "Ask the gate, open nothing",
		`Ask whether the window may open now: for every target and level, whether the way back
would work, and whether its baseline can be captured. Nothing is changed on any
target. Prints what was looked at, the reasons for a no with what to do, and until
when a yes holds; targets with the same reason share a line. Ends with 0 when the
gate passed and with 3 when it refused. There is no override.`,
		func(ctx context.Context, c *client.Client, id string) error {
			result, err := c.CheckGate(ctx, id)
			if err != nil {
				return err
			}
			if err := p.print(result, func(s view.Style) string { return view.Gate(result, s, c.ServerTime(), all) }); err != nil {
				return err
			}
			if !result.Passed {
				return statusError{ExitRefused}
			}
			return nil
		})
	cmd.Example = "  backout gate CHG0030001\n  backout gate CHG0030001 --all"
	cmd.Flags().BoolVar(&all, "all", false, "every answer of every target, and every reason")
	return cmd
}

// onChange makes a command that does one thing to one change.
func (p *program) onChange(use, short, long string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeChanges,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, args[0])
		},
	}
}

// brief prints what an action made of a change.
func (p *program) brief(c *client.Client, change backout.Change, err error) error {
	if err != nil {
		return err
	}
	return p.print(change, func(s view.Style) string { return view.Brief(&change, s, c.ServerTime()) })
}

func (p *program) changeEnd(verb, short, long string, do func(*client.Client, context.Context, string, string) (backout.Change, error)) *cobra.Command {
	var reason string
	cmd := p.onChange(verb+" CHANGE", short, long, func(ctx context.Context, c *client.Client, id string) error {
		change, err := do(c, ctx, id, reason)
		return p.brief(c, change, err)
	})
	cmd.Example = "  backout change " + verb + " CHG0030001 --reason \"superseded by CHG0030002\""
	needReason(cmd, &reason)
	return cmd
}

func (p *program) changeExtend() *cobra.Command {
	var closes, reason string
	cmd := p.onChange("extend CHANGE", "Move the end of the window",
		"Move the end of the window to --closes: a time (2026-11-23T04:00:00Z) or, from now, +2h.",
		func(ctx context.Context, c *client.Client, id string) error {
			at, err := parseTime(closes, time.Now())
			if err != nil {
				return usagef("--closes: %v", err)
			}
			change, err := c.ExtendChange(ctx, id, at, reason)
			return p.brief(c, change, err)
		})
	cmd.Example = "  backout change extend CHG0030001 --closes +1h --reason \"two hosts left\""
	cmd.Flags().StringVar(&closes, "closes", "", "the new end (RFC 3339, or +2h from now)")
	required(cmd, "closes")
	needReason(cmd, &reason)
	return cmd
}

func (p *program) changePatched() *cobra.Command {
	var exit int
	var targets []string
	cmd := p.onChange("patched CHANGE", "Tell that patching is over",
		`Tell that patching is over, for pipelines that do not use "change run". The watch
begins. --started tells that it begins.

A pipeline that patches one target after another tells of each with --target. Until
its turn comes, a target counts as not patched: rules compare those that are done with
it. After the last one the watch begins.`,
		func(ctx context.Context, c *client.Client, id string) error {
			if slices.Contains(targets, "") {
				return usagef("--target: empty, want the name of a target; leave it out when all are done")
			}
			change, err := c.PatchEnded(ctx, id, exit, targets...)
			return p.brief(c, change, err)
		})
	var started bool
	ended := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !started {
			return ended(cmd, args)
		}
		c, err := p.client()
		if err != nil {
			return err
		}
		change, err := c.PatchStarted(cmd.Context(), args[0])
		return p.brief(c, change, err)
	}
	cmd.Example = "  backout change patched CHG0030001 --started\n  dnf -y upgrade --advisory=RHSA-2026:1234\n  backout change patched CHG0030001 --exit-code $?\n" +
		"  backout change patched CHG0030001 --target web-1"
	cmd.Flags().IntVar(&exit, "exit-code", 0, "how the patch command ended")
	cmd.Flags().BoolVar(&started, "started", false, "tell that patching begins instead")
	cmd.Flags().StringArrayVar(&targets, "target", nil, "only this target is done; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("exit-code", "started")
	cmd.MarkFlagsMutuallyExclusive("target", "started")
	return cmd
}

func needReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, for the log and the notices")
	required(cmd, "reason")
}

func required(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err)
	}
}
