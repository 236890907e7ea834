package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback", Aliases: []string{"rollbacks"}, Short: "Watch, approve and steer rollbacks",
		Long: `A rollback runs a change's back-out plan for some of its targets, level by level.
It needs nobody awake; these commands are for looking, voting and stepping in.`,
	}
	cmd.AddCommand(p.rollbackList(), p.rollbackShow(), p.rollbackLog(), p.rollbackWatch(), p.rollbackStart(), p.rollbackOutput(),
		p.voteCommand(backout.ChoiceApprove), p.voteCommand(backout.ChoiceDeny), p.resolveCommand(),
		p.breakGlassCommand(), p.reviewCommand())
	for _, v := range verbs {
		cmd.AddCommand(p.verbCommand(v))
	}
	return cmd
}

func (p *program) rollbackList() *cobra.Command {
	var f handlers.RollbackFilter
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List rollbacks", Args: cobra.NoArgs,
		Long:    "List the rollbacks that are not over; --all lists those that are too.",
		Example: "  backout rollback list\n  backout rollback list --change CHG0030001 --all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			f.ActiveOnly = !all
			list, err := c.ListRollbacks(cmd.Context(), f)
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Rollbacks(list, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&f.ChangeID, "change", "", "only rollbacks of this change")
	cmd.Flags().BoolVar(&all, "all", false, "also rollbacks that are over")
	return cmd
}

// onRollback makes a command that does one thing to one rollback.
func (p *program) onRollback(use, short, long string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeRollbacks,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, args[0])
		},
	}
}

func (p *program) rollbackShow() *cobra.Command {
	return p.onRollback("show ROLLBACK", "Show one rollback", "Show levels, targets and steps as they stand; \"watch\" keeps the picture up to date.",
		func(ctx context.Context, c *client.Client, id string) error {
			r, err := c.Rollback(ctx, id)
			if err != nil {
				return err
			}
			if p.format == "json" {
				return writeJSON(p.Stdout, r, true)
			}
			entries, err := c.RollbackLog(ctx, id)
			if err != nil {
				return err
			}
			var past view.History
			for _, e := range entries {
				past.Add(e.Record)
			}
			return p.print(r, func(s view.Style) string {
				s.Height = 0
				return view.Tree(view.Picture{Rollback: r, History: past, Now: c.ServerTime()}, s)
			})
		})
}

func (p *program) rollbackLog() *cobra.Command {
	return p.onRollback("log ROLLBACK", "Print everything that happened to a rollback", "Print the rollback's log, one event a line, oldest first.",
		func(ctx context.Context, c *client.Client, id string) error {
			entries, err := c.RollbackLog(ctx, id)
			if err != nil {
				return err
			}
			return p.print(items(entries), func(view.Style) string { return view.Lines(entries) })
		})
}

func (p *program) rollbackOutput() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "output ROLLBACK ATTEMPT", Short: "Print what a step has printed", Args: cobra.ExactArgs(2), ValidArgsFunction: p.completeRollbacks,
		Long: `Print what an attempt of a step has printed so far, capped and redacted by the
server. Control characters are removed; --raw leaves them in, for a file.
"rollback log" names the attempts.`,
		Example: "  backout rollback output CHG0030001-r1 CHG0030001-r1.L1.s1.t1.a1",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			out, err := c.StepOutput(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if _, tty := terminal(p.Stdout); raw && !tty {
				_, err := p.Stdout.Write(out)
				return err
			}
			result := struct {
				AttemptID string `json:"attempt_id"`
				Output    string `json:"output"`
			}{args[1], string(out)}
			return p.print(result, func(view.Style) string { return endLine(view.CleanLines(string(out))) })
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "leave control characters in; never on a terminal")
	return cmd
}

func endLine(s string) string {
	if s == "" || s[len(s)-1] == '\n' {
		return s
	}
	return s + "\n"
}

func (p *program) rollbackStart() *cobra.Command {
	var r handlers.StartRequest
	cmd := &cobra.Command{
		Use: "start CHANGE", Short: "Start a rollback by hand", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeChanges,
		Long: `Start a rollback of the named targets of a change. Targets must be named: nothing
means nothing, never all. Whoever starts it does not count as an approver.`,
		Example: "  backout rollback start CHG0030001 --target web-01 --target web-02 --reason \"checkout fails\"\n" +
			"  backout rollback start CHG0030001 --target web-01 --level L2 --reason \"L1 cannot help\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			r.ChangeID = args[0]
			rollback, err := c.StartRollback(cmd.Context(), r)
			return p.briefRollback(c, rollback, err)
		},
	}
	cmd.Flags().StringArrayVar(&r.Targets, "target", nil, "a target (repeat for more)")
	cmd.Flags().StringVar(&r.Level, "level", "", "the level to begin with (L1 to L9); empty means the first")
	required(cmd, "target")
	needReason(cmd, &r.Reason)
	return cmd
}

// briefRollback prints what an action made of a rollback.
func (p *program) briefRollback(c *client.Client, r backout.Rollback, err error) error {
	if err != nil {
		return err
	}
	return p.print(r, func(s view.Style) string { return view.BriefRollback(&r, s, c.ServerTime()) })
}
