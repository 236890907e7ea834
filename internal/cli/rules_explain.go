package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/cli/view"
)

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
