package cli

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/route"
)

func (p *program) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "Try channels and routes"}
	cmd.AddCommand(p.notifyTestCommand(), p.notifyRoutesCommand())
	return cmd
}

func (p *program) notifyRoutesCommand() *cobra.Command {
	var n backout.Notice
	var config, moment, at string
	cmd := &cobra.Command{
		Use: "routes", Short: "Show where notices go, and why", Args: cobra.NoArgs,
		Long: `Show the audiences and routes of the local config. With --audience and --moment tell
which channels such a notice reaches, and which routes say so; ends with 1 when it reaches
none. --level is the level it is about: the one asked for, started or failed. No server is
asked.`,
		Example: "  backout notify routes\n  backout notify routes --audience management --moment level_started --level L2 --label team=web --at 2026-11-23T02:10:00Z",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.NoticeRoutes == nil {
				return errMissing
			}
			routes, problems := p.NoticeRoutes(config)
			if problems.Fatal() != nil {
				return p.failOn(problems)
			}
			if !cmd.Flags().Changed("audience") {
				return p.print(routes.Described(), func(s view.Style) string { return view.Routes(routes.Described(), s) })
			}
			n.Moment = backout.Moment(moment)
			return p.routed(routes, n, at)
		},
	}
	p.configFlag(cmd, &config)
	cmd.Flags().StringVar(&n.Audience, "audience", "", "whom the notice is for")
	cmd.Flags().StringVar(&moment, "moment", "", "what it is about, such as red")
	cmd.Flags().StringVar(&n.Level, "level", "", "the level it is about, L1 to L9; empty means none")
	cmd.Flags().StringToStringVar(&n.Labels, "label", nil, "a label of its change, name=value (repeat for more)")
	cmd.Flags().StringVar(&at, "at", "now", "when it is sent (RFC 3339, now, +2h)")
	cmd.MarkFlagsRequiredTogether("audience", "moment")
	return cmd
}

// routed tells where one notice goes.
func (p *program) routed(routes view.NoticeRoutes, n backout.Notice, at string) error {
	if _, ok := routes.Table.Audiences[n.Audience]; !ok {
		return usagef("--audience %s: the config has %s", view.Clean(n.Audience), strings.Join(slices.Sorted(maps.Keys(routes.Table.Audiences)), ", "))
	}
	if !slices.Contains(backout.Moments(), n.Moment) {
		return usagef("--moment %s: there is none of that name; docs/notifiers.md lists them", view.Clean(string(n.Moment)))
	}
	if _, ok := route.Level(n.Level); n.Level != "" && !ok {
		return usagef("--level %s: want L1 to L9", view.Clean(n.Level))
	}
	n.NextLevel = n.Level
	when, err := parseTime(at, time.Now())
	if err != nil {
		return usagef("--at: %s", err)
	}
	d := routes.Table.Decide(n, when)
	d.Channels = append([]string{}, d.Channels...)
	if err := p.print(d, func(s view.Style) string { return view.Routed(d, s) }); err != nil {
		return err
	}
	if len(d.Channels) == 0 {
		return statusError{ExitFailed}
	}
	return nil
}

func (p *program) notifyTestCommand() *cobra.Command {
	var n handlers.TestNotice
	var moment string
	cmd := &cobra.Command{
		Use: "test CHANNEL", Short: "Send a test notice through a channel, now", Args: cobra.ExactArgs(1),
		Long: `Send a test notice through one channel of the server's config and tell at once what
became of it. --moment, --level and --audience choose the words; --dry-run prints them
and sends nothing. A test says that it is one, and nobody can act on it. Ends with 1 when
it did not arrive.`,
		Example: "  backout notify test slack-ops\n  backout notify test mail --moment level_started --level L2 --audience management --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			n.Channel, n.Moment = args[0], backout.Moment(moment)
			words, err := c.NotifyTest(cmd.Context(), n)
			if err != nil {
				return err
			}
			if err := p.print(words, func(s view.Style) string { return view.TestWords(words, s) }); err != nil {
				return err
			}
			if words.Error != "" {
				return statusError{ExitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&moment, "moment", "", "what the notice is about, such as red; empty means a plain test")
	cmd.Flags().StringVar(&n.Level, "level", "", "the level it is about, L1 to L9; empty means L1")
	cmd.Flags().StringVar(&n.Audience, "audience", "", "whom it is for; empty means nobody in particular")
	cmd.Flags().BoolVar(&n.DryRun, "dry-run", false, "print the words and send nothing")
	return cmd
}
