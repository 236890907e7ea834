package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const rootLong = `backout puts a system back when a patch breaks it: while a change window is open,
and for a while after, it listens to Alertmanager; when the dashboard turns red
because of the patch it rolls back level by level, asks the right people, tells
everyone who must know and checks that the system really is as it was.

Start with "backout demo": it shows the whole way on this machine.`

// Groups of the root's help.
const (
	groupDaily  = "daily"
	groupServer = "server"
	groupFiles  = "files"
	groupPeople = "people"
)

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "backout",
		Short:         "Roll back a patch when it turns the dashboard red",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
	}
	parent(root)
	p.globalFlags(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if p.format != "text" && p.format != "json" {
			return usagef("--output %s: want text or json", p.format)
		}
		// Asked here so that what cobra would say later counts as usage.
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return usageError{err.Error()}
		}
		return nil
	}
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: groupDaily, Title: "Changes and rollbacks:"}, &cobra.Group{ID: groupServer, Title: "The server:"},
		&cobra.Group{ID: groupPeople, Title: "People:"}, &cobra.Group{ID: groupFiles, Title: "Files and plug-ins:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupDaily, p.changeCommand(), p.gateCommand(), p.baselineCommand(), p.rollbackCommand(), p.driftCommand(), p.holdCommand(), p.pauseCommand(), p.resumeCommand(), p.monitoringCommand(), p.noticesCommand())
	add(groupServer, p.serveCommand(), p.runnerCommand(), p.reloadCommand(), p.notifyCommand(), p.slackCommand(), p.doctorCommand(), p.backupCommand(), p.restoreCommand(), p.demoCommand())
	add(groupPeople, p.loginCommand(), p.logoutCommand(), p.whoamiCommand(), p.sessionCommand(), p.tokenCommand(), p.authCommand())
	add(groupFiles, p.checkCommand(), p.planCommand(), p.rulesCommand(), p.targetCommand(), p.kindsCommand())
	root.AddCommand(p.versionCommand(), exitCodesTopic())
	root.InitDefaultCompletionCmd("completion")
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		finish(c)
	}
	return root
}

func (p *program) globalFlags(f *pflag.FlagSet) {
	server := p.Getenv("BACKOUT_SERVER")
	if server == "" {
		server = defaultServer
	}
	f.StringVarP(&p.format, "output", "o", "text", "how to print: text or json")
	f.StringVar(&p.server, "server", server, "the server's address (env BACKOUT_SERVER)")
	f.StringVar(&p.tokenFile, "token-file", p.Getenv("BACKOUT_TOKEN_FILE"), "file with the API token (env BACKOUT_TOKEN_FILE; BACKOUT_TOKEN holds the token itself)")
	f.Lookup("server").DefValue = defaultServer
	f.Lookup("token-file").DefValue = ""
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp()}
}

// finish gives every command the same manners: wrong arguments are usage errors,
// and a parent says which subcommands it has.
func finish(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		finish(sub)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		parent(cmd)
		return
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usagef("%s: want \"%s\"", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		}
	}
}

// parent makes a command that only holds others answer for unknown ones.
func parent(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			if cmd.HasParent() {
				return usagef("%s: name a command: %s", cmd.CommandPath(), strings.Join(subcommands(cmd), ", "))
			}
			return cmd.Help()
		}
		msg := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := nearest(args[0], subcommands(cmd)); near != "" {
			msg += ": did you mean \"" + cmd.CommandPath() + " " + near + "\"?"
		}
		return usageError{msg}
	}
}

func subcommands(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

func flagError(cmd *cobra.Command, err error) error {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "unknown flag: --"); ok {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := nearest(name, known); near != "" {
			msg += ": did you mean --" + near + "?"
		}
	}
	return usageError{msg}
}

// nearest is the known word a misspelt one was probably meant to be, or "".
func nearest(word string, known []string) string {
	slices.Sort(known)
	best, least := "", max(2, len(word)/3)+1
	for _, k := range known {
		d := levenshtein.ComputeDistance(strings.ToLower(word), k)
		if len(word) > 2 && strings.HasPrefix(k, strings.ToLower(word)) {
			d = min(d, 1)
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}
