package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Check, test, explain, replay and promote rules",
		Long: "Rules say which alerts speak against which change. \"list\", \"promote\" and \"judge\" ask a server, the others need none.",
	}
	var config string
	check := &cobra.Command{
		Use: "check", Short: "Check the rule files", Args: cobra.NoArgs,
		Long: "Check the rule files the config names: syntax, names and types of every expression. Ends with 1 when there is a problem.",
		RunE: func(cmd *cobra.Command, _ []string) error { return p.checkFiles(cmd.Context(), p.RulesCheck, config) },
	}
	p.configFlag(check, &config)
	cmd.AddCommand(check, p.rulesFacts(), p.rulesTest(), p.rulesExplain(), p.rulesList(), p.rulesPromote(), p.rulesJudge())
	cmd.AddCommand(p.rulesReplay())
	return cmd
}

func (p *program) rulesFacts() *cobra.Command {
	return &cobra.Command{
		Use: "facts", Short: "List what an expression may speak of", Args: cobra.NoArgs,
		Long: "List every name a rule's when: expression may use, with its type and meaning.",
		RunE: func(*cobra.Command, []string) error {
			if p.RulesFacts == nil {
				return errMissing
			}
			facts := p.RulesFacts()
			return p.print(items(facts), func(s view.Style) string {
				rows := make([][]string, len(facts))
				for i, f := range facts {
					rows[i] = []string{f.Name, f.Type, f.Doc}
				}
				return view.Rows([]string{"FACT", "TYPE", "MEANING"}, rows, s)
			})
		},
	}
}

// completeLocalRules offers the names of the rules in the config's files, for
// flags that name one.
func (p *program) completeLocalRules(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, nil, func(context.Context) ([]string, error) {
		if p.RuleNames == nil {
			return nil, errMissing
		}
		var names []string
		for _, name := range p.RuleNames(cmd.Flag("config").Value.String()) {
			names = append(names, view.Clean(name))
		}
		return names, nil
	})
}
