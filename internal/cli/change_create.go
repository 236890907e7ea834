package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/strictyaml"
)

const changeCreateLong = `Plan a change from a YAML file, from flags, or from both: a flag wins over the
file. "-" reads standard input. Times are RFC 3339 (2026-11-23T02:00:00Z), "now", or
relative to now ("+2h").

  id: CHG0030001
  title: openssl 3.0.14 on the web servers
  patch: {kind: advisory, ids: ["RHSA-2026:1234"], cves: [CVE-2026-1234]}
  targets: [web-01, web-02]
  plan: web
  window: {opens: 2026-11-23T02:00:00Z, closes: 2026-11-23T04:00:00Z, watch: 2h}
  owner: ana

Planning opens nothing: the gate is asked when the window opens.`

// changeFile is a change as a person writes it.
type changeFile struct {
	ID           string            `yaml:"id"`
	Title        string            `yaml:"title"`
	Patch        backout.Patch     `yaml:"patch"`
	Targets      []string          `yaml:"targets"`
	Plan         string            `yaml:"plan"`
	Window       windowFile        `yaml:"window"`
	Owner        string            `yaml:"owner"`
	Stakeholders []string          `yaml:"stakeholders"`
	Labels       map[string]string `yaml:"labels"`
}

type windowFile struct {
	Opens    strictyaml.At[string] `yaml:"opens"`
	Closes   strictyaml.At[string] `yaml:"closes"`
	TimeZone string                `yaml:"time_zone"`
	Watch    backout.Duration      `yaml:"watch"`
	Auto     bool                  `yaml:"auto"`
}

func (p *program) changeCreate() *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use: "create [FILE.yaml]", Aliases: []string{"plan"}, Short: "Plan a change", Long: changeCreateLong, Args: cobra.MaximumNArgs(1),
		Example: "  backout change create CHG0030001.yaml\n" +
			"  backout change create --id CHG0030001 --plan web --target web-01 --target web-02 --opens now --closes +2h --watch 2h",
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			var spec backout.ChangeSpec
			if len(args) == 1 {
				var problems backout.Problems
				var err error
				if spec, problems, err = p.readChange(args[0], now); err != nil {
					return err
				}
				if problems != nil {
					return p.failOn(problems)
				}
			}
			if err := f.apply(cmd, &spec, now); err != nil {
				return err
			}
			if spec.ID == "" {
				return usagef("%s: name a file, or at least --id, --plan, --target, --opens and --closes", cmd.CommandPath())
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			change, err := c.PlanChange(cmd.Context(), spec)
			return p.brief(c, change, err)
		},
	}
	f.add(cmd)
	return cmd
}

// readChange reads a file; "-" is standard input.
func (p *program) readChange(name string, now time.Time) (backout.ChangeSpec, backout.Problems, error) {
	var raw []byte
	var err error
	if name == "-" {
		name = "stdin"
		raw, err = io.ReadAll(io.LimitReader(p.Stdin, 4<<20))
	} else {
		raw, err = os.ReadFile(name)
	}
	if err != nil {
		return backout.ChangeSpec{}, nil, fmt.Errorf("read change: %w", err)
	}
	spec, problems := parseChange(name, raw, now)
	return spec, problems, nil
}

// parseChange reads a change as a person writes it. What only the server can
// know (the plan, the targets) is not looked at.
func parseChange(name string, raw []byte, now time.Time) (backout.ChangeSpec, backout.Problems) {
	var f changeFile
	problems := strictyaml.Decode(name, raw, &f)
	moment := func(at strictyaml.At[string]) time.Time {
		if at.Value == "" {
			return time.Time{}
		}
		t, err := parseTime(at.Value, now)
		if err != nil {
			problems = append(problems, at.Pos.Problem(err.Error(), ""))
		}
		return t
	}
	spec := backout.ChangeSpec{
		ID: f.ID, Title: f.Title, Patch: f.Patch, Targets: f.Targets, Plan: f.Plan, Owner: f.Owner, Stakeholders: f.Stakeholders, Labels: f.Labels,
		Window: backout.Window{Opens: moment(f.Window.Opens), Closes: moment(f.Window.Closes), TimeZone: f.Window.TimeZone, Watch: f.Window.Watch, Auto: f.Window.Auto},
	}
	problems.Sort()
	return spec, problems
}

// parseTime reads RFC 3339, "now", or an offset from now ("+2h", "+1d").
func parseTime(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now.Truncate(time.Second), nil
	}
	if offset, ok := strings.CutPrefix(s, "+"); ok {
		d, err := backout.ParseDuration(offset)
		if err != nil {
			return time.Time{}, fmt.Errorf("time %q: want +30m, +2h or +1d", s)
		}
		return now.Add(time.Duration(d)).Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want RFC 3339 with a zone (2026-11-23T02:00:00Z), now, or +2h", s)
	}
	return t, nil
}

// failOn prints problems where results go and ends the command.
func (p *program) failOn(problems backout.Problems) error {
	err := p.print(items(problems), func(s view.Style) string { return view.Problems(problems, s) })
	if err == nil && problems.Fatal() != nil {
		err = statusError{ExitFailed}
	}
	return err
}

// changeFlags are the flags of create, each the like-named field.
type changeFlags struct {
	spec                 backout.ChangeSpec
	opens, closes, watch string
}

func (f *changeFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.spec.ID, "id", "", "the change's name everywhere")
	fs.StringVar(&f.spec.Title, "title", "", "one line for people")
	fs.StringVar(&f.spec.Plan, "plan", "", "the back-out plan")
	fs.StringArrayVar(&f.spec.Targets, "target", nil, "a target (repeat for more)")
	fs.StringVar(&f.opens, "opens", "", "when the window opens (RFC 3339, now, +2h)")
	fs.StringVar(&f.closes, "closes", "", "when the window closes (RFC 3339, +4h)")
	fs.StringVar(&f.watch, "watch", "", "how long alerts count after patching (2h, 1d)")
	fs.BoolVar(&f.spec.Window.Auto, "auto", false, "open the window by itself at --opens, once the gate passes")
	fs.StringVar(&f.spec.Window.TimeZone, "time-zone", "", "the window's time zone, for people (IANA name)")
	fs.StringVar(&f.spec.Patch.Kind, "patch-kind", "", "kb, advisory, packages, image or other")
	fs.StringArrayVar(&f.spec.Patch.IDs, "patch-id", nil, "the patch's own name (repeat for more)")
	fs.StringArrayVar(&f.spec.Patch.CVEs, "cve", nil, "a CVE the patch closes (repeat for more)")
	fs.StringVar(&f.spec.Owner, "owner", "", "who answers for the change")
	fs.StringArrayVar(&f.spec.Stakeholders, "stakeholder", nil, "an audience to tell (repeat for more)")
	fs.StringToStringVar(&f.spec.Labels, "label", nil, "a label, name=value (repeat for more)")
}

// apply writes the flags that were given over the file's values.
func (f *changeFlags) apply(cmd *cobra.Command, spec *backout.ChangeSpec, now time.Time) error {
	overrule(cmd, "id", &spec.ID, f.spec.ID)
	overrule(cmd, "title", &spec.Title, f.spec.Title)
	overrule(cmd, "plan", &spec.Plan, f.spec.Plan)
	overrule(cmd, "target", &spec.Targets, f.spec.Targets)
	overrule(cmd, "auto", &spec.Window.Auto, f.spec.Window.Auto)
	overrule(cmd, "time-zone", &spec.Window.TimeZone, f.spec.Window.TimeZone)
	overrule(cmd, "patch-kind", &spec.Patch.Kind, f.spec.Patch.Kind)
	overrule(cmd, "patch-id", &spec.Patch.IDs, f.spec.Patch.IDs)
	overrule(cmd, "cve", &spec.Patch.CVEs, f.spec.Patch.CVEs)
	overrule(cmd, "owner", &spec.Owner, f.spec.Owner)
	overrule(cmd, "stakeholder", &spec.Stakeholders, f.spec.Stakeholders)
	overrule(cmd, "label", &spec.Labels, f.spec.Labels)
	moment := func(s string) (time.Time, error) { return parseTime(s, now) }
	err := errors.Join(
		parseFlag(cmd, "opens", &spec.Window.Opens, f.opens, moment),
		parseFlag(cmd, "closes", &spec.Window.Closes, f.closes, moment),
		parseFlag(cmd, "watch", &spec.Window.Watch, f.watch, backout.ParseDuration),
	)
	if err != nil {
		return usageError{err.Error()}
	}
	return nil
}

func overrule[T any](cmd *cobra.Command, flag string, to *T, value T) {
	if cmd.Flags().Changed(flag) {
		*to = value
	}
}

func parseFlag[T any](cmd *cobra.Command, flag string, to *T, raw string, parse func(string) (T, error)) error {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	value, err := parse(raw)
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	*to = value
	return nil
}
