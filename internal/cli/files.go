package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

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

func (p *program) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Check and explain rules",
		Long: "Rules say which alerts speak against which change. These commands need no server.",
	}
	var config string
	check := &cobra.Command{
		Use: "check", Short: "Check the rule files", Args: cobra.NoArgs,
		Long: "Check the rule files the config names: syntax, names and types of every expression. Ends with 1 when there is a problem.",
		RunE: func(cmd *cobra.Command, _ []string) error { return p.checkFiles(cmd.Context(), p.RulesCheck, config) },
	}
	p.configFlag(check, &config)
	cmd.AddCommand(check, p.rulesFacts(), p.rulesExplain())
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

func (p *program) rulesExplain() *cobra.Command {
	var o ExplainOptions
	var alert, change, at string
	cmd := &cobra.Command{
		Use: "explain", Short: "Say why a rule would or would not fire", Args: cobra.NoArgs,
		Long: `Say what every rule makes of an alert: each of its conditions with what was seen.
The alert is a file in Alertmanager's JSON: one alert, a list, or a whole webhook; "-" reads
standard input. With --change the server is asked for the change, else one that is
open on the alert's target is assumed. Ends with 1 when no rule would fire.`,
		Example: "  backout rules explain --alert alert.json\n  backout rules explain --alert alert.json --change CHG0030001 --at 2026-11-23T02:10:00Z",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.RulesExplain == nil {
				return errMissing
			}
			if err := p.explainInputs(cmd.Context(), &o, alert, change, at); err != nil {
				return err
			}
			rules, err := p.RulesExplain(cmd.Context(), o)
			if err != nil {
				return err
			}
			return p.explained(rules)
		},
	}
	p.configFlag(cmd, &o.Config)
	cmd.Flags().StringVar(&alert, "alert", "", "file with the alert as JSON")
	cmd.Flags().StringVar(&change, "change", "", "the change to explain it for")
	cmd.Flags().StringVar(&at, "at", "now", "the moment to explain (RFC 3339)")
	required(cmd, "alert")
	return cmd
}

func (p *program) explainInputs(ctx context.Context, o *ExplainOptions, alert, change, at string) error {
	var err error
	if o.At, err = parseTime(at, time.Now()); err != nil {
		return usagef("--at: %v", err)
	}
	if alert == "-" {
		o.Alert, err = io.ReadAll(io.LimitReader(p.Stdin, 4<<20))
	} else {
		o.Alert, err = os.ReadFile(alert)
	}
	if err != nil {
		return fmt.Errorf("read alert: %w", err)
	}
	if change == "" {
		return nil
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	found, err := c.Change(ctx, change)
	o.Change = &found
	return err
}

func (p *program) explained(rules []RuleExplained) error {
	err := p.print(items(rules), func(s view.Style) string { return explanation(rules) })
	for _, r := range rules {
		if r.Fires {
			return err
		}
	}
	if err == nil {
		err = statusError{ExitFailed}
	}
	return err
}

func explanation(rules []RuleExplained) string {
	var b strings.Builder
	for _, r := range rules {
		word := "would not fire"
		if r.Fires {
			word = "fires"
		}
		fmt.Fprintf(&b, "%s/%s (%s) %s on %s\n", view.Clean(r.Group), view.Clean(r.Rule), view.Clean(r.Mode), word, view.Clean(r.Alert))
		for _, c := range r.Clauses {
			met := "no "
			if c.Met {
				met = "yes"
			}
			fmt.Fprintf(&b, "  %s  %s", met, view.Clean(c.Clause))
			if c.Saw != "" {
				fmt.Fprintf(&b, "  (saw %s)", view.Clean(c.Saw))
			}
			b.WriteByte('\n')
		}
	}
	if b.Len() == 0 {
		return "no rules: the config names none\n"
	}
	return b.String()
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
