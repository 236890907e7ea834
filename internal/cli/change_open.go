package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

func (p *program) changeOpen() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "open CHANGE", Short: "Open the window", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeChanges,
		Long: `Open the window now: the gate is asked, what the way back needs is made on every
target (kept packages, snapshots), the baselines are captured, the plan is frozen,
alerts count from here. That can take minutes. Ends with 0 when the window is open
and with 3, after the reasons, when the gate refused. It never waits for the opening
time; with --wait it does, and then asks the gate once.

When it is interrupted the server goes on: the window opens, or the reasons stand in
"change show". The same command again waits for it.`,
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
			change, err := p.openWindow(ctx, c, args[0])
			if err != nil {
				return ended(ctx, err)
			}
			return p.print(change, func(s view.Style) string { return view.Opened(&change, s, c.ServerTime()) })
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the opening time first")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up waiting after this long (exit code 5); 0 never does")
	return cmd
}

// openWindow opens the window unless it is open already: by itself, or by an
// earlier try whose answer was lost. What an earlier try has under way is waited
// for, and when this one is interrupted it tells what the server makes of it.
func (p *program) openWindow(ctx context.Context, c *client.Client, id string) (backout.Change, error) {
	change, err := c.Change(ctx, id)
	if err != nil || change.State == backout.ChangeOpen {
		return change, err
	}
	for tries := 1; ; tries++ {
		if c.Capturing(&change) {
			if change, err = p.awaitCapture(ctx, c, change); err != nil || change.State == backout.ChangeOpen {
				return change, p.interrupted(ctx, c, id, err)
			}
		}
		change, err = c.OpenChange(ctx, id)
		lost := client.Lost(err)
		if err == nil || ctx.Err() != nil || tries == openTries || !lost && !errors.Is(err, backout.ErrConflict) {
			return change, p.interrupted(ctx, c, id, err)
		}
		said := err
		if lost {
			p.note("%v: looking what became of it", err)
			if err := sleep(ctx, p.Poll); err != nil {
				return change, p.interrupted(ctx, c, id, err)
			}
		}
		if change, err = p.lookAgain(ctx, c, id); err != nil || change.State == backout.ChangeOpen {
			return change, p.interrupted(ctx, c, id, err)
		}
		if !lost && !c.Capturing(&change) {
			return change, said // a conflict that is not another opening
		}
	}
}

// lookAgain asks for the change until the server answers, for a while.
func (p *program) lookAgain(ctx context.Context, c *client.Client, id string) (change backout.Change, err error) {
	err = client.Retry(ctx, lookFor, func(ctx context.Context) error {
		change, err = c.Change(ctx, id)
		return err
	})
	return change, err
}

const (
	// lookFor is how long a server that went away while it opened a window is asked.
	lookFor = 2 * time.Minute
	// openTries bounds how often opening is asked for when answers get lost.
	openTries = 5
	// interruptedLook is how long an interrupted command still looks.
	interruptedLook = 3 * time.Second
)

// awaitCapture waits for what another request has under way. When that was to open
// the window and did not, its reasons are the answer.
func (p *program) awaitCapture(ctx context.Context, c *client.Client, change backout.Change) (backout.Change, error) {
	opening := change.Capture.Opening
	what := "its baselines are being captured"
	if opening {
		what = "its window is being opened"
	}
	p.note("%s: %s by %s since %s: waiting for it", change.ID, what, change.Capture.Server, change.Capture.BeganAt.UTC().Format(time.RFC3339))
	now, err := c.AwaitCapture(ctx, change.ID, p.Poll)
	switch {
	case err != nil:
		return now, err
	case opening && now.State != backout.ChangeOpen && len(now.Violations) > 0:
		return now, &client.Error{Status: http.StatusUnprocessableEntity, ErrorBody: handlers.ErrorBody{
			Code: "refused", Message: "the window was not opened", Violations: now.Violations,
		}}
	}
	return now, nil
}

// interrupted tells, when ctx has ended, what the server makes of an opening that
// nobody waits for any more.
func (p *program) interrupted(ctx context.Context, c *client.Client, id string, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), interruptedLook)
	defer cancel()
	change, lookErr := c.Change(looking, id)
	switch {
	case lookErr != nil:
		p.note("%s: it is not known what became of its window: %v: look with \"backout change show %s\"", id, lookErr, id)
	case change.State == backout.ChangeOpen:
		p.note("%s: its window is open", id)
	case c.Capturing(&change):
		p.note("%s: %s goes on without this command: \"backout change open %s\" waits for it, \"backout change show %s\" looks", id, change.Capture.Server, id, id)
	default:
		p.note("%s: its window is not open, and the gate may still be at work: \"backout change open %s\" tries again, \"backout change show %s\" looks", id, id, id)
	}
	return err
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
