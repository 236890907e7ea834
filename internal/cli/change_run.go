package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/client"
)

const changeRunLong = `Open the window, run the patch command, and tell the server when it began and how it
ended; from then on alerts are watched. Nothing is run when the gate refuses (exit
code 3, after the reasons) or when the server cannot be told.

The command is run as it is given, without a shell, with this terminal's input and
output. Signals are passed on to it. Its end is told even when it was interrupted,
and told again until the server has it. Its exit code is printed; "change run" ends
with 0 when it was 0, else with 1.`

func (p *program) changeRun() *cobra.Command {
	var budget time.Duration
	cmd := &cobra.Command{
		Use: "run CHANGE -- COMMAND [ARG...]", Short: "Open the window and run the patch command in it", Long: changeRunLong,
		Example: "  backout change run CHG0030001 -- dnf -y upgrade --advisory=RHSA-2026:1234\n" +
			"  backout change run CHG0030001 -- ansible-playbook patch.yml",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: p.completeChanges,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 {
				return usagef("%s: write -- between the change and the patch command", cmd.CommandPath())
			}
			argv := args[1:]
			if _, err := exec.LookPath(argv[0]); err != nil {
				return fmt.Errorf("find patch command: %w: nothing was opened", err)
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			return p.runPatch(cmd.Context(), c, args[0], argv, budget)
		},
	}
	cmd.Flags().DurationVar(&budget, "report-for", 2*time.Minute, "how long to go on telling a server that does not answer")
	return cmd
}

func (p *program) runPatch(ctx context.Context, c *client.Client, id string, argv []string, budget time.Duration) error {
	if _, err := p.openWindow(ctx, c, id); err != nil {
		return fmt.Errorf("open %s: %w", id, err)
	}
	err := client.Retry(ctx, budget, func(ctx context.Context) error {
		_, err := c.PatchStarted(ctx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("tell that patching starts: %w: the patch command was not run", ended(ctx, err))
	}
	p.note("%s is open, running %s", id, argv[0])
	code, runErr := p.runForwarding(argv)
	// The end must be told whatever interrupted us.
	err = p.tellEnd(context.WithoutCancel(ctx), c, id, code, budget)
	if runErr != nil {
		p.note("%v", runErr)
	}
	p.note("the patch command ended with exit code %d", code)
	if err != nil {
		return fmt.Errorf("tell that patching ended: %w: tell it with \"backout change patched %s --exit-code %d\"", err, id, code)
	}
	if code != 0 {
		return statusError{ExitFailed}
	}
	return nil
}

// note tells on stderr how a command goes; stdout belongs to the patch command.
func (p *program) note(format string, args ...any) {
	_, _ = fmt.Fprintln(p.Stderr, "backout: "+errorLine(fmt.Errorf(format, args...)))
}

// tellEnd repeats until the server has it. When an earlier try arrived and only
// its answer was lost, the server refuses the repeat; then the change says so.
func (p *program) tellEnd(ctx context.Context, c *client.Client, id string, code int, budget time.Duration) error {
	tries := 0
	return client.Retry(ctx, budget, func(ctx context.Context) error {
		tries++
		_, err := c.PatchEnded(ctx, id, code)
		if err == nil || client.Temporary(err) || tries == 1 {
			return err
		}
		if change, lookErr := c.Change(ctx, id); lookErr == nil && !change.PatchedAt.IsZero() {
			return nil
		}
		return err
	})
}

// runForwarding runs the command with our own files and passes signals on. The
// exit code of a command that died of a signal is 128 and the signal, as shells
// count; one that could not start counts as 127.
func (p *program) runForwarding(argv []string) (int, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 127, fmt.Errorf("start patch command: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if !fromTerminal(s) {
				_ = cmd.Process.Signal(s)
			}
		case err := <-done:
			return exitCodeOf(err)
		}
	}
}

func exitCodeOf(err error) (int, error) {
	var exit *exec.ExitError
	if err == nil {
		return 0, nil
	}
	if !errors.As(err, &exit) {
		return 1, fmt.Errorf("run patch command: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
