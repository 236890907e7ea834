package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/recorded"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/rules"
)

// replayFlags are the flags of rules replay.
type replayFlags struct {
	config           string
	since, until     string
	file, changes    string
	prometheus, step string
	promToken        string
	rule             string
	against          []string
	asAuto           bool
	failOnDifference bool
}

const replayLong = `Run the config's rules over the past and say what they would have rolled back, when, and
what people really did. Nothing can come of it: the rules run in this command.

The past is what the server remembers: its changes, and every alert that came in, as long
as the store keeps alerts. Or --file reads payloads as Alertmanager sent them, one JSON
document after another, and --prometheus asks a Prometheus for its ALERTS series; the
changes then come from --changes, or else from the server.

With --against the same past is run again with other rules, those of another config or of
rule files, and only what differs is printed: "here" are the config's rules, "there" the
others. --as-auto lets every rule act, to see what those in mode shadow would have done.
Plans' limits, promotions and silences of the past are not known here. Ends with 1 when a
rule failed, and with --fail-on-difference when anything differs.`

func (p *program) rulesReplay() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay", Short: "Run rules over the past", Args: cobra.NoArgs, Long: replayLong,
		Example: `  backout rules replay --since 30d
  backout rules replay --rule OpenSSLDown --as-auto --since 2026-10-01T00:00:00Z --until 2026-11-01T00:00:00Z
  backout rules replay --file payloads.json --changes changes.json --against new-rules.yaml
  backout rules replay --prometheus http://prometheus.example:9090 --since 7d`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.RulesSet == nil {
				return errMissing
			}
			return p.replay(cmd.Context(), f)
		},
	}
	p.rulesFlag(cmd, &f.config)
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "30d", "where to begin: how long ago, or a time (RFC 3339); with --file at its first payload")
	flags.StringVar(&f.until, "until", "now", "where to end: a time (RFC 3339), or now; with --file at its last payload")
	flags.StringVar(&f.file, "file", "", "file of payloads; \"-\" reads standard input")
	flags.StringVar(&f.prometheus, "prometheus", "", "address of a Prometheus to ask for ALERTS")
	flags.StringVar(&f.promToken, "prometheus-token-file", "", "file with a bearer token for it")
	flags.StringVar(&f.step, "step", "15s", "how exactly Prometheus is asked")
	flags.StringVar(&f.changes, "changes", "", "file of changes, as \"change show -o json\" or \"change list -o json\" print them")
	flags.StringVar(&f.rule, "rule", "", "only this rule; the others only record")
	flags.StringArrayVar(&f.against, "against", nil, "another config, or a rule file (may be given again), to compare with")
	flags.BoolVar(&f.asAuto, "as-auto", false, "let every rule act, whatever its mode")
	flags.BoolVar(&f.failOnDifference, "fail-on-difference", false, "end with 1 when the two differ")
	cmd.MarkFlagsMutuallyExclusive("file", "prometheus")
	return cmd
}

// replayed is what is printed.
type replayed struct {
	replay.Report
	// Against and Differences are set with --against.
	Against     *replay.Report       `json:"against,omitempty"`
	Differences *[]replay.Difference `json:"differences,omitempty"`
	Notes       []string             `json:"notes"`
}

func (p *program) replay(ctx context.Context, f replayFlags) error {
	// A replay leaves much garbage and keeps little: collecting it less often is a
	// fifth of its time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	here, err := p.RulesSet(f.config)
	if err != nil {
		return err
	}
	if _, known := here.Rules.Rule(f.rule); f.rule != "" && !known && len(f.against) == 0 {
		return usagef("--rule %s: the config has no rule of that name", f.rule)
	}
	past, err := p.past(ctx, f)
	if err != nil {
		return err
	}
	var out replayed
	if out.Report, out.Notes, err = p.replayRules(ctx, f, here, past, here.Plans); err != nil {
		return err
	}
	if len(f.against) > 0 {
		if err := p.replayAgainst(ctx, f, here, past, &out); err != nil {
			return err
		}
	}
	if err := p.print(out, func(s view.Style) string { return replayText(&out, s) }); err != nil {
		return err
	}
	differ := f.failOnDifference && out.Differences != nil && len(*out.Differences) > 0
	if differ || len(out.Failed) > 0 {
		return statusError{ExitFailed}
	}
	return nil
}

// replayAgainst runs the other rules over the same past.
func (p *program) replayAgainst(ctx context.Context, f replayFlags, here RuleSet, past *pastOf, out *replayed) error {
	there, err := p.RulesSet(f.against...)
	if err != nil {
		return err
	}
	if there.Inventory == nil {
		there.Inventory, there.Watchdog = here.Inventory, here.Watchdog
	}
	report, _, err := p.replayRules(ctx, f, there, past, here.Plans)
	if err != nil {
		return err
	}
	differences := replay.Differences(out.Report, report)
	out.Against, out.Differences = &report, &differences
	return nil
}

// replayRules runs one set of rules over the past.
func (p *program) replayRules(ctx context.Context, f replayFlags, set RuleSet, past *pastOf, plans map[string]backout.Plan) (replay.Report, []string, error) {
	report, notes, err := recorded.Run(ctx, past.open, recorded.Trial{
		Rules: set.Rules, Inventory: set.Inventory, Plans: plans, Watchdog: set.Watchdog, Only: f.rule,
		Options: replay.Options{Until: past.until, Modes: f.modes},
	})
	return report, notes, ended(ctx, err)
}

// modes says what a rule may do in this run.
func (f replayFlags) modes(r rules.Rule) backout.Mode {
	switch {
	case f.rule != "" && r.Name != f.rule:
		return backout.ModeShadow
	case f.asAuto:
		return backout.ModeAuto
	}
	return r.Mode
}

func replayText(out *replayed, s view.Style) string {
	var b strings.Builder
	if out.Differences != nil {
		b.WriteString(view.ReplayDifferences(*out.Differences, s))
		b.WriteString("here:  " + view.ReplaySummary(&out.Report, s))
		b.WriteString("there: " + view.ReplaySummary(out.Against, s))
	} else {
		b.WriteString(view.Replay(&out.Report, s))
	}
	for _, note := range out.Notes {
		b.WriteString("note: " + view.Clean(note) + "\n")
	}
	return b.String()
}

// ago reads a time, or how long ago it was.
func ago(s string, now time.Time) (time.Time, error) {
	if d, err := backout.ParseDuration(s); err == nil {
		return now.Add(-time.Duration(d)), nil
	}
	t, err := parseTime(s, now)
	if err != nil {
		return t, fmt.Errorf("%q: want how long ago (30d, 12h) or a time (2026-11-23T02:00:00Z)", s)
	}
	return t, nil
}

// sortedChanges puts changes in the order in which they opened.
func sortedChanges(changes []backout.Change) []backout.Change {
	slices.SortStableFunc(changes, func(a, b backout.Change) int { return a.OpenedAt.Compare(b.OpenedAt) })
	return changes
}
