package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Check, test, explain, replay and promote rules",
		Long: "Rules say which alerts speak against which change. \"list\", \"promote\" and \"judge\" ask a server, the others need none.",
	}
	cmd.AddCommand(p.rulesCheck(), p.rulesFacts(), p.rulesTest(), p.rulesExplain(), p.rulesReplay())
	cmd.AddCommand(p.rulesList(), p.rulesPromote(), p.rulesJudge())
	return cmd
}

func (p *program) rulesCheck() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "check [FILE...]", Short: "Check rule files", Args: cobra.ArbitraryArgs,
		Long: `Check rule files, and those of their tests (*_test.yaml), and print all their problems
as file:line:column: what, and what to do: syntax, names and types of every expression.
Named files are checked by themselves. Without files those that the config names are
checked, also against its inventory. Ends with 1 when there is a problem.`,
		Example: "  backout rules check rules/*.yaml\n  backout rules check -c /etc/backout/backout.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.RulesCheck == nil {
				return errMissing
			}
			name := config
			if len(args) > 0 {
				if cmd.Flags().Changed("config") {
					return usagef("name either rule files or --config")
				}
				name = strings.Join(args, ", ")
			}
			return p.checkFiles(cmd.Context(), func(context.Context, string) backout.Problems { return p.RulesCheck(config, args...) }, name)
		},
	}
	p.rulesFlag(cmd, &config)
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
