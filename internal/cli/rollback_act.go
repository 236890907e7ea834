package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

// verb is one thing a person can do to a rollback, in words.
type verb struct {
	verb        handlers.Verb
	short, long string
	// reason tells that one must be given.
	reason bool
}

// verbs has all but resolve, which needs more.
var verbs = []verb{
	{handlers.VerbHold, "Hold a rollback", "Stop the rollback until it is released. What runs is not interrupted; nothing new starts.", true},
	{handlers.VerbRelease, "Release a held rollback", "Let a held rollback go on where it was. Where it is held since no group may approve a level that a rule or a\nlimit asks for, an approver lets that level begin by naming it: --level L1.", false},
	{handlers.VerbPause, "Pause a rollback", "Freeze the rollback's clocks and start nothing new; \"backout pause\" does so for all of them.", false},
	{handlers.VerbResume, "Resume a paused rollback", "End a rollback's pause; every deadline moves by its length.", false},
	{handlers.VerbEscalate, "Go to the next level now", "Do not wait for the level's time to be up. The next level's approval is still asked for.", true},
	{handlers.VerbAbort, "End a rollback", "End the rollback once no step runs any more. What was put back stays; the targets stay red.", true},
}

func (p *program) verbCommand(v verb) *cobra.Command {
	var level, reason string
	cmd := p.onRollback(string(v.verb)+" ROLLBACK", v.short, v.long, func(ctx context.Context, c *client.Client, id string) error {
		r, err := c.Act(ctx, id, handlers.Action{Verb: v.verb, Level: level, Reason: reason})
		return p.briefRollback(c, r, err)
	})
	cmd.Example = "  backout rollback " + string(v.verb) + " CHG0030001-r1 --reason \"...\""
	switch v.verb {
	case handlers.VerbRelease:
		cmd.Flags().StringVar(&level, "level", "", "the level to let begin, where no group may approve it")
	case handlers.VerbEscalate:
		cmd.Flags().StringVar(&level, "level", "", "leave only this level")
	}
	if v.reason {
		needReason(cmd, &reason)
	} else {
		cmd.Flags().StringVar(&reason, "reason", "", "why, for the log and the notices")
	}
	return cmd
}

func (p *program) voteCommand(choice backout.Choice) *cobra.Command {
	var ask, level, reason string
	short, long := "Approve the level a rollback asks for", "Vote for the level the rollback asks for. The vote counts for this question only: when the plan, the\nlevel or the targets change, it is asked anew. --level and --ask make sure that it is the one you mean."
	if choice == backout.ChoiceDeny {
		short, long = "Deny the level a rollback asks for", "Vote against the level the rollback asks for. One denial holds the rollback."
	}
	cmd := p.onRollback(string(choice)+" ROLLBACK", short, long, func(ctx context.Context, c *client.Client, id string) error {
		if ask == "" {
			r, err := c.Rollback(ctx, id)
			if err != nil {
				return err
			}
			if ask, err = openAsk(&r, level); err != nil {
				return err
			}
			p.say(&r)
		}
		r, err := c.Vote(ctx, id, ask, choice, reason)
		return p.briefRollback(c, r, err)
	})
	cmd.Example = "  backout rollback " + string(choice) + " CHG0030001-r1 --level L2 --reason \"...\""
	cmd.Flags().StringVar(&level, "level", "", "vote only if this level is asked for")
	cmd.Flags().StringVar(&ask, "ask", "", "the question's id; empty means the open one")
	cmd.MarkFlagsMutuallyExclusive("level", "ask")
	if choice == backout.ChoiceDeny {
		needReason(cmd, &reason)
	} else {
		cmd.Flags().StringVar(&reason, "reason", "", "why, for the log")
	}
	return cmd
}

// breakGlassCommand starts the asked level without the votes it needs.
func (p *program) breakGlassCommand() *cobra.Command {
	var level, reason string
	cmd := p.onRollback("break-glass ROLLBACK", "Start the asked level without the votes it needs",
		`For the night when nobody else is there: one person of the approving groups, the requester too, starts the level
that is asked for. Everybody is told, and it stays open until somebody else reviews it. --level must name the level.`,
		func(ctx context.Context, c *client.Client, id string) error {
			r, err := c.Rollback(ctx, id)
			if err != nil {
				return err
			}
			ask, err := openAsk(&r, level)
			if err != nil {
				return err
			}
			p.say(&r)
			r, err = c.Act(ctx, id, handlers.Action{Verb: handlers.VerbBreakGlass, AskID: ask, Reason: reason})
			return p.briefRollback(c, r, err)
		})
	cmd.Example = "  backout rollback break-glass CHG0030001-r1 --level L2 --reason \"alone on call, checkout is down\""
	cmd.Flags().StringVar(&level, "level", "", "the level that is asked for")
	required(cmd, "level")
	needReason(cmd, &reason)
	return cmd
}

// reviewCommand closes what a broken glass has left open.
func (p *program) reviewCommand() *cobra.Command {
	var ask, reason string
	cmd := p.onRollback("review ROLLBACK", "Review a level that one person started alone",
		`Say what you found about a level that somebody else started with break-glass. It is possible after the rollback's
end, and by nobody who broke the glass. Without --ask it is the oldest that is open.`,
		func(ctx context.Context, c *client.Client, id string) error {
			r, err := c.Act(ctx, id, handlers.Action{Verb: handlers.VerbReview, AskID: ask, Reason: reason})
			return p.briefRollback(c, r, err)
		})
	cmd.Example = "  backout rollback review CHG0030001-r1 --reason \"checkout was down, nobody else answered\""
	cmd.Flags().StringVar(&ask, "ask", "", "the question of the level that was started")
	needReason(cmd, &reason)
	return cmd
}

// openAsk returns the open question's id, if it is about the wanted level.
func openAsk(r *backout.Rollback, level string) (string, error) {
	if r.Ask == nil {
		return "", fmt.Errorf("%s asks nothing now, it is %s: %w", r.ID, r.Status, backout.ErrStale)
	}
	if asked := view.LevelName(r.Ask.Level); level != "" && level != asked {
		return "", fmt.Errorf("%s asks for %s, not for %s: %w", r.ID, asked, level, backout.ErrRefused)
	}
	return r.Ask.ID, nil
}

// say tells what is being voted on, where there is a person to read it.
func (p *program) say(r *backout.Rollback) {
	if p.format == "json" || r.Ask.Level < 0 || r.Ask.Level >= len(r.Frozen.Plan.Levels) {
		return
	}
	l := r.Frozen.Plan.Levels[r.Ask.Level]
	line := view.LevelName(r.Ask.Level) + " " + view.Clean(l.Summary) + ", plan " + view.Clean(r.Frozen.Plan.Name)
	if loses := r.Lost(r.Ask.Level, time.Now()); loses != "" {
		line += ", loses " + view.Clean(loses)
	}
	_, _ = fmt.Fprintln(p.Stderr, line)
}

func (p *program) resolveCommand() *cobra.Command {
	var verdict, reason string
	cmd := &cobra.Command{
		Use: "resolve ROLLBACK ATTEMPT", Short: "Say what happened to a step in doubt", Args: cobra.ExactArgs(2), ValidArgsFunction: p.completeRollbacks,
		Long: `Nobody but a person can know what became of this attempt: look at the target, then say
  happened  its work is done, go on
  did_not   it never began, it may be started anew
  failed    it failed, the level has failed on this target`,
		Example: "  backout rollback resolve CHG0030001-r1 CHG0030001-r1.L1.s1.t1.a1 --verdict happened",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch verdict {
			case "happened", "did_not", "failed":
			default:
				return usagef("--verdict %s: want happened, did_not or failed", verdict)
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			action := handlers.Action{Verb: handlers.VerbResolve, AttemptID: args[1], Verdict: verdict, Reason: reason}
			r, err := c.Act(cmd.Context(), args[0], action)
			return p.briefRollback(c, r, err)
		},
	}
	cmd.Flags().StringVar(&verdict, "verdict", "", "happened, did_not or failed")
	cmd.Flags().StringVar(&reason, "reason", "", "how you know")
	required(cmd, "verdict")
	return cmd
}
