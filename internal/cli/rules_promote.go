package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) rulesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the server's rules, what they may do and how they have done", Args: cobra.NoArgs,
		Long: `List the rules of the server's config: what each may do, how many changes agreed with
what it said, who promoted it, and when it may do less than its file says, why.
-o json has the history of each rule's promotions too.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Rules(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Rules(list, s, c.ServerTime()) })
		},
	}
}

func (p *program) rulesPromote() *cobra.Command {
	var to, hash, reason string
	cmd := &cobra.Command{
		Use: "promote RULE", Short: "Let a rule do more, or less", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeRules,
		Long: `Let a rule do as much as --to: shadow records, ask opens rollbacks that wait for an
approval, auto opens those that follow their plan. Its file says the most it may do.
Where the config says promotion.required, auto needs changes that agreed with the rule.
Less is always allowed, and counts for every rollback from then on.
Ends with 3 when the policy refuses.`,
		Example: "  backout rules promote WebErrorsAfterPatch --to ask --reason \"right in every change of May\"\n" +
			"  backout rules promote WebErrorsAfterPatch --to shadow --reason \"fires on every reboot\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			mode := backout.Mode(to)
			if mode != backout.ModeShadow && mode != backout.ModeAsk && mode != backout.ModeAuto {
				return usagef("--to %q: want shadow, ask or auto", to)
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			status, err := c.PromoteRule(cmd.Context(), args[0], handlers.Promotion{Mode: mode, Reason: reason, Hash: hash})
			if err != nil {
				return err
			}
			return p.print(status, func(s view.Style) string { return view.Rules([]handlers.RuleStatus{status}, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "what it may do: shadow, ask or auto")
	cmd.Flags().StringVar(&hash, "hash", "", "only if this is the rule's content, as \"rules list -o json\" has it")
	required(cmd, "to")
	needReason(cmd, &reason)
	err := cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"shadow", "ask", "auto"}, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
	return cmd
}

func (p *program) rulesJudge() *cobra.Command {
	var agree, disagree bool
	var reason string
	cmd := &cobra.Command{
		Use: "judge CHANGE RULE", Short: "Say whether a rule was right about a change", Args: cobra.ExactArgs(2), ValidArgsFunction: p.completeSaid,
		Long: `Say whether you agree with what a rule said of a change, also long after the change has
ended. What a person says counts before what became of the change, and may be said again.`,
		Example: "  backout rules judge CHG0030001 WebErrorsAfterPatch --agree --reason \"the patch broke the login\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if agree == disagree {
				return usagef("give either --agree or --disagree")
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			change, err := c.JudgeRule(cmd.Context(), args[0], args[1], agree, reason)
			if err != nil {
				return err
			}
			return p.print(change, func(s view.Style) string { return view.Said(&change, s, c.ServerTime()) })
		},
	}
	cmd.Flags().BoolVar(&agree, "agree", false, "the rule was right")
	cmd.Flags().BoolVar(&disagree, "disagree", false, "the rule was wrong")
	needReason(cmd, &reason)
	return cmd
}

// completeRules offers the names of the server's rules.
func (p *program) completeRules(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, args, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		list, err := c.Rules(ctx)
		out := make([]string, len(list))
		for i, r := range list {
			out[i] = cobra.CompletionWithDesc(view.Clean(r.Rule), fmt.Sprintf("%s of %s", r.Mode, r.FileMode))
		}
		return out, err
	})
}

// completeSaid offers changes, ended ones too, of which a rule has said something,
// and then those rules.
func (p *program) completeSaid(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	list := func(ctx context.Context, c *client.Client) (out []string, err error) {
		if len(args) == 1 {
			change, err := c.Change(ctx, args[0])
			for _, r := range change.Rules {
				out = append(out, view.Clean(r.Rule))
			}
			return out, err
		}
		changes, err := c.ListChanges(ctx, handlers.ChangeFilter{})
		for _, change := range changes {
			if len(change.Rules) > 0 {
				out = append(out, cobra.CompletionWithDesc(view.Clean(change.ID), view.Clean(change.Title)))
			}
		}
		return out, err
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.complete(cmd, nil, func(ctx context.Context) ([]string, error) {
		c, err := p.client()
		if err != nil {
			return nil, err
		}
		return list(ctx, c)
	})
}
