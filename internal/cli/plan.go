package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Aliases: []string{"plans"}, Short: "Check plans, and what they need from sudo",
		Long: "Plans are the ways back, in plan files. These commands need no server.",
	}
	cmd.AddCommand(p.planCheck(), p.planSudoers())
	return cmd
}

func (p *program) planCheck() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "check [FILE...]", Short: "Check plan files", Args: cobra.ArbitraryArgs,
		Long: `Check plan files and print all their problems as file:line:column: what, and what to
do. Named files are checked by themselves, without knowing which audiences and groups
there are; with --config they are checked by the names of that config. Without files
those that the config names are checked. Ends with 1 when there is a problem. Nothing
is reached; whether a plan works on its targets is what the gate says.`,
		Example: "  backout plan check plans/web.yaml\n  backout plan check -c /etc/backout/backout.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.CheckPlans == nil {
				return errMissing
			}
			name := config
			if len(args) > 0 {
				name = strings.Join(args, ", ")
				if !cmd.Flags().Changed("config") {
					config = ""
				}
			}
			return p.checkFiles(cmd.Context(), func(context.Context, string) backout.Problems { return p.CheckPlans(config, args) }, name)
		},
	}
	p.configFlag(cmd, &config)
	return cmd
}

func (p *program) planSudoers() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "sudoers PLAN", Short: "Print the sudo rule that a plan needs", Args: cobra.ExactArgs(1),
		Long: `Print a file for /etc/sudoers.d of the targets that are reached with ssh.sudo, from the
config on this machine. With ssh.sudo everything runs through one shell of root, so
the rule allows that shell, which is everything; what the plan's steps run as root
stands below it as a comment, for who has to approve it. Nothing is reached.`,
		Example: "  backout plan sudoers web > backout.sudoers && visudo -cf backout.sudoers",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.PlanSudo == nil {
				return errMissing
			}
			needs, err := p.PlanSudo(cmd.Context(), config, args[0])
			if err != nil {
				return err
			}
			text, err := sudoers(&needs)
			if err != nil {
				return err
			}
			return p.print(needs, func(view.Style) string { return text })
		},
	}
	p.configFlag(cmd, &config)
	return cmd
}

// sudoUser is a name that means itself in sudoers(5).
var sudoUser = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// sudoers is the file for /etc/sudoers.d. Everything that comes from a config stands
// behind "# " on one line: a line of sudoers that begins with "#" alone may mean
// something.
func sudoers(n *SudoNeeds) (string, error) {
	if n.On && !sudoUser.MatchString(n.User) {
		return "", fmt.Errorf("%w: ssh.user %q cannot be written in sudoers", backout.ErrInvalid, n.User)
	}
	var b strings.Builder
	say := func(format string, args ...any) {
		line := strings.TrimRight(view.Clean(fmt.Sprintf(format, args...)), " \\")
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	say("sudoers of the targets of the plan %s, by \"backout plan sudoers\".", n.Plan)
	switch {
	case !n.On:
		say("ssh.sudo is off: steps run as the user that logs in, and no rule is needed.")
	case n.User == "root":
		say("backout logs in as root: no rule is needed.")
	default:
		say("Install it as /etc/sudoers.d/backout, owned by root, mode 0440, and check it with: visudo -cf FILE")
		say("")
		say("backout runs everything through one shell of root, so this allows everything:")
		say("whoever has the key of %s is root on these targets. Guard it as you guard root's.", n.User)
		fmt.Fprintf(&b, "Defaults:%s !requiretty\n%s ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh\n", n.User, n.User)
	}
	say("")
	say("What the plan's steps run as root, beside the shell and the tools in docs/targets.md:")
	for _, s := range n.Steps {
		say("%s: %s (%s)", s.Where, s.Step, s.Uses)
		for _, c := range s.Commands {
			say("    %s", c)
		}
		switch {
		case s.Unknown != "":
			say("    not known: %s", s.Unknown)
		case len(s.Commands) == 0:
			say("    nothing else")
		}
	}
	return b.String(), nil
}
