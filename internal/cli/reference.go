package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference is docs/cli.md: every command with its words, flags and examples, and
// the exit codes. A test fails when the file says something else.
func Reference() string {
	root := newProgram(Options{}).root()
	var b strings.Builder
	b.WriteString("# Command line\n\nWritten from the commands themselves by `go test ./internal/cli -run TestReference -update`; edits here are lost.\n\n")
	b.WriteString(root.Long + "\n\n## Flags of every command\n\n" + flagTable(root.PersistentFlags()) + "\n## Exit codes\n\n```\n" + exitCodesHelp() + "```\n")
	for _, c := range root.Commands() {
		writeCommand(&b, c)
	}
	return b.String()
}

func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.IsAvailableCommand() || cmd.Name() == "help" {
		return
	}
	if cmd.Name() == "completion" {
		b.WriteString("\n## backout completion bash|fish|powershell|zsh\n\nPrint the completion script for a shell; `--help` of each says how to load it.\n")
		return
	}
	level := strings.Repeat("#", min(strings.Count(cmd.CommandPath(), " ")+1, 4))
	fmt.Fprintf(b, "\n%s %s\n\n%s.\n", level, strings.TrimSuffix(cmd.UseLine(), " [flags]"), cmd.Short)
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(b, "\nAlso called `%s`.\n", strings.Join(cmd.Aliases, "`, `"))
	}
	if cmd.Long != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", strings.TrimSpace(cmd.Long))
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	if flags := flagTable(cmd.LocalNonPersistentFlags()); flags != "" {
		b.WriteString("\n" + flags)
	}
	for _, sub := range cmd.Commands() {
		writeCommand(b, sub)
	}
}

func flagTable(fs *pflag.FlagSet) string {
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if b.Len() == 0 {
			b.WriteString("| flag | default | meaning |\n|---|---|---|\n")
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		value := ""
		switch f.DefValue {
		case "", "[]", "false", "0", "0s":
		default:
			value = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	return b.String()
}
