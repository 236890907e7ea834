package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) changeOpen() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "open CHANGE", Short: "Open the window", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeChanges,
		Long: `Open the window now: the gate is asked, the plan is frozen, alerts count from here.
Ends with 0 when the window is open and with 3, after the reasons, when the gate
refused. It never waits; with --wait it waits for the window's opening time first,
and then asks the gate once.`,
		Example: "  backout change open CHG0030001\n  backout change open CHG0030001 --wait --timeout 6h",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			ctx, cancel := withTimeout(cmd, timeout)
			defer cancel()
			if wait {
				if err := p.awaitOpening(ctx, c, args[0]); err != nil {
					return ended(ctx, err)
				}
			}
			change, err := openWindow(ctx, c, args[0])
			return p.brief(c, change, ended(ctx, err))
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the opening time first")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (exit code 5); 0 never does")
	return cmd
}

// openWindow opens the window unless it is open already: by itself, or by an
// earlier try whose answer was lost.
func openWindow(ctx context.Context, c *client.Client, id string) (backout.Change, error) {
	change, err := c.Change(ctx, id)
	if err != nil || change.State == backout.ChangeOpen {
		return change, err
	}
	return c.OpenChange(ctx, id)
}

// awaitOpening returns when the window may open by the clock, or has opened by
// itself. It only looks: asking the gate over and over would tell people each
// time.
func (p *program) awaitOpening(ctx context.Context, c *client.Client, id string) error {
	for {
		change, err := c.Change(ctx, id)
		switch {
		case err != nil && !client.Temporary(err):
			return err
		case err == nil && change.State.Final():
			return fmt.Errorf("%s has ended: %w", id, backout.ErrFinal)
		case err == nil && (change.State.Live() || !change.Window.Opens.After(c.ServerTime())):
			return nil
		}
		if err := sleep(ctx, p.Poll); err != nil {
			return err
		}
	}
}

// sleep returns early, with the cause, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
