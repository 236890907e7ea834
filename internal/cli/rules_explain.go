package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/cli/view"
)

// explainFlags are the flags of rules explain.
type explainFlags struct {
	config, alert, seen, file, rule, at string
	changes                             []string
	server, all                         bool
}

func (p *program) rulesExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use: "explain", Short: "Say why a rule did, or did not, fire", Args: cobra.NoArgs,
		Long: `Say what every rule makes of an alert: each of its conditions with what was seen, the
guard that stopped it, and what follows from a match. What matches comes first, then the
nearest miss in full, then one line for each other rule (--all shows all in full).

The alert is a file in Alertmanager's JSON (one alert, a list, or a whole webhook; "-"
reads standard input), or one that the server has seen, by its fingerprint. An alert from
a file is held against the rules of the local config, and --change or --changes, or else
a change that is assumed to be open on its target. With --server-side, and for an alert
that was seen, the server answers, with its own rules, its evidence and the changes that
are live on the alert's target; --change names others, also one that is over, and --at
asks how it was then.

Ends with 0 when a rule would open a rollback, and with 1 when none would.`,
		Example: "  backout rules explain --alert alert.json\n  backout rules explain --alert alert.json --change CHG0030001 --at 2026-11-23T02:10:00Z\n" +
			"  backout rules explain --seen 3fa9c1d27b60e845 --at 2026-11-23T02:10:00Z\n  backout rules explain --alert - --server-side --rule WebErrors -o json < alert.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers, err := p.explain(cmd.Context(), &f)
			if err != nil {
				return err
			}
			return p.explained(answers, f.all)
		},
	}
	p.rulesFlag(cmd, &f.config)
	cmd.Flags().StringVar(&f.alert, "alert", "", "file with the alert as JSON")
	cmd.Flags().StringVar(&f.seen, "seen", "", "fingerprint of an alert that the server has seen")
	cmd.Flags().StringArrayVar(&f.changes, "change", nil, "a change to explain it for; may be given more than once")
	cmd.Flags().StringVar(&f.file, "changes", "", "file with changes as JSON, as change list -o json prints them")
	cmd.Flags().StringVar(&f.rule, "rule", "", "explain this rule only")
	cmd.Flags().StringVar(&f.at, "at", "now", "the moment to explain (RFC 3339)")
	cmd.Flags().BoolVar(&f.server, "server-side", false, "let the server answer, by what it knows")
	cmd.Flags().BoolVar(&f.all, "all", false, "show every rule in full")
	cmd.MarkFlagsOneRequired("alert", "seen")
	cmd.MarkFlagsMutuallyExclusive("alert", "seen")
	for _, server := range []string{"seen", "server-side"} {
		cmd.MarkFlagsMutuallyExclusive(server, "changes")
	}
	p.completeExplain(cmd)
	return cmd
}

// completeExplain offers rules of the config and changes of the server.
func (p *program) completeExplain(cmd *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"change": func(cmd *cobra.Command, _ []string, part string) ([]string, cobra.ShellCompDirective) {
			return p.completeChanges(cmd, nil, part)
		},
		"rule": p.completeLocalRules,
	} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flags are defined above
		}
	}
}

// explain answers for every alert there is.
func (p *program) explain(ctx context.Context, f *explainFlags) ([]handlers.Explained, error) {
	at, err := parseTime(f.at, time.Now())
	if err != nil {
		return nil, usagef("--at: %v", err)
	}
	ask := handlers.ExplainRequest{Fingerprint: f.seen, ChangeIDs: f.changes, Rule: f.rule}
	if f.at != "now" {
		ask.At = at
	}
	if f.seen != "" {
		return p.explainThere(ctx, ask)
	}
	alerts, err := p.readAlerts(f.alert, at)
	if err != nil {
		return nil, err
	}
	if f.server {
		var out []handlers.Explained
		for i := range alerts {
			ask.Alert = &alerts[i]
			answer, err := p.explainThere(ctx, ask)
			if err != nil {
				return nil, err
			}
			out = append(out, answer...)
		}
		return out, nil
	}
	if p.RulesExplain == nil {
		return nil, errMissing
	}
	changes, err := p.explainChanges(ctx, f)
	if err != nil {
		return nil, err
	}
	return p.RulesExplain(ctx, ExplainOptions{Config: f.config, Alerts: alerts, Changes: changes, Rule: f.rule, At: at})
}

// explainThere asks the server.
func (p *program) explainThere(ctx context.Context, ask handlers.ExplainRequest) ([]handlers.Explained, error) {
	c, err := p.client()
	if err != nil {
		return nil, err
	}
	answer, err := c.Explain(ctx, ask)
	return []handlers.Explained{answer}, err
}

func (p *program) readAlerts(path string, at time.Time) ([]backout.Alert, error) {
	raw, err := p.readWhole(path)
	if err != nil {
		return nil, err
	}
	alerts, err := alertwire.DecodeAny(raw, at)
	if err == nil && len(alerts) == 0 {
		err = fmt.Errorf("%w: it holds none", backout.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("read alert: %w", err)
	}
	return alerts, nil
}

// explainChanges are those of the file, and those that the server is asked for.
func (p *program) explainChanges(ctx context.Context, f *explainFlags) ([]backout.Change, error) {
	var list []backout.Change
	if f.file != "" {
		var err error
		if list, err = p.readChanges(f.file); err != nil {
			return nil, err
		}
	}
	if len(f.changes) == 0 {
		return list, nil
	}
	c, err := p.client()
	if err != nil {
		return nil, err
	}
	for _, id := range f.changes {
		found, err := c.Change(ctx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, found)
	}
	return list, nil
}

// explained prints the answers: one JSON value after another, or text.
func (p *program) explained(answers []handlers.Explained, all bool) error {
	acts := false
	for i := range answers {
		a := &answers[i]
		acts = acts || slices.ContainsFunc(a.Rules, func(r handlers.ExplainedRule) bool { return r.Acts() })
		err := p.print(a, func(s view.Style) string {
			text := view.Explained(a, s, all)
			if i > 0 {
				text = "\n" + text
			}
			return text
		})
		if err != nil {
			return err
		}
	}
	if !acts {
		return statusError{ExitFailed}
	}
	return nil
}
