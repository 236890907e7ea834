package cli

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
)

const watchLong = `Watch a rollback until it is over. On a terminal it is a live tree of levels, targets
and steps with their clocks; in a pipe one line an event, from the first; with
-o json one JSON object a record.

Ends with 0 when the rollback recovered or was cancelled, 1 when it was exhausted or
aborted, 6 when it is held and needs a human (--stay goes on watching), and 5 when
--timeout is over.`

func (p *program) rollbackWatch() *cobra.Command {
	var timeout time.Duration
	var stay bool
	cmd := p.onRollback("watch ROLLBACK", "Watch a rollback live", watchLong, nil)
	cmd.Example = "  backout rollback watch CHG0030001-r1\n  backout rollback watch CHG0030001-r1 --timeout 30m && echo recovered"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := p.client()
		if err != nil {
			return err
		}
		ctx, cancel := withTimeout(cmd, timeout)
		defer cancel()
		w := &watch{p: p, c: c, id: args[0], stay: stay}
		if _, tty := terminal(p.Stdout); tty && p.format == "text" {
			err = w.live(ctx)
		} else {
			err = w.lines(ctx)
		}
		return ended(ctx, err)
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this long (exit code 5); 0 never does")
	cmd.Flags().BoolVar(&stay, "stay", false, "stay while the rollback is held")
	return cmd
}

// refreshFor is how long a watch asks a silent server for the state.
const refreshFor = 10 * time.Second

// watch is one rollback being watched.
type watch struct {
	p    *program
	c    *client.Client
	id   string
	stay bool

	mu   sync.Mutex
	pic  view.Picture
	link error
}

// verdict turns a state into the end of the watch: done tells that there is one.
func (w *watch) verdict(r *backout.Rollback) (done bool, err error) {
	switch r.Status {
	case backout.RollbackRecovered, backout.RollbackCancelled:
		return true, nil
	case backout.RollbackExhausted, backout.RollbackAborted:
		return true, statusError{ExitFailed}
	case backout.RollbackHeld:
		return !w.stay, heldError{r.ID, r.HeldReason}
	}
	return false, nil
}

// heldError is the end of a watch that only a person can move on.
type heldError struct{ id, reason string }

func (e heldError) Error() string {
	return fmt.Sprintf("%s is held: %s: release, escalate or abort it", e.id, e.reason)
}
func (heldError) Unwrap() error { return errHeld }

// stop ends the following of a log for the reason in err, which may be nil.
type stop struct{ err error }

func (stop) Error() string { return "stop" }

// lines prints one line an event. A hold that was released long ago is history;
// only the state at the end of what has happened so far is a verdict.
func (w *watch) lines(ctx context.Context) error {
	if err := w.refresh(ctx); err != nil {
		return err
	}
	err := w.c.FollowRollback(ctx, w.id, 0, client.Watcher{Entry: func(e handlers.LogEntry) error {
		if err := w.write(e); err != nil {
			return err
		}
		return w.judge(ctx, e)
	}})
	return w.outcome(ctx, err)
}

// judge ends the watch when the record is the newest one and leaves the rollback
// in a state that is a verdict.
func (w *watch) judge(ctx context.Context, e handlers.LogEntry) error {
	if e.Seq > w.state().Revision {
		if err := w.refresh(ctx); err != nil {
			return err
		}
	}
	r := w.state()
	if done, err := w.verdict(&r); done && e.Seq >= r.Revision {
		return stop{err}
	}
	return nil
}

func (w *watch) state() backout.Rollback {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pic.Rollback
}

// outcome reads the end of a followed log.
func (w *watch) outcome(ctx context.Context, err error) error {
	if s, ok := err.(stop); ok { //nolint:errorlint // our own value, never wrapped
		return s.err
	}
	if err != nil {
		return err
	}
	if err := w.refresh(ctx); err != nil {
		return err
	}
	r := w.state()
	_, err = w.verdict(&r)
	return err
}

func (w *watch) write(e handlers.LogEntry) error {
	if w.p.format == "json" {
		return writeJSON(w.p.Stdout, e, false)
	}
	_, err := io.WriteString(w.p.Stdout, view.Lines([]handlers.LogEntry{e}))
	return err
}

// live redraws the tree at every record, and every second for the clocks.
func (w *watch) live(ctx context.Context) error {
	if err := w.refresh(ctx); err != nil {
		return err
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, 1)
	over := make(chan error, 1)
	go func() { over <- w.follow(following, changed) }()
	defer func() { _, _ = io.WriteString(w.p.Stdout, view.ShowCursor) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	drawn := 0
	for {
		drawn = w.draw(drawn)
		select {
		case err := <-over:
			w.draw(drawn)
			return w.outcome(ctx, err)
		case <-changed:
		case <-tick.C:
		}
	}
}

// follow keeps the picture current until there is a verdict.
func (w *watch) follow(ctx context.Context, changed chan<- struct{}) error {
	nudge := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	return w.c.FollowRollback(ctx, w.id, 0, client.Watcher{
		Link: func(err error) {
			w.mu.Lock()
			if err != nil && w.link == nil {
				w.pic.Since = w.c.ServerTime()
			}
			w.link = err
			w.mu.Unlock()
			nudge()
		},
		Entry: func(e handlers.LogEntry) error {
			w.mu.Lock()
			w.pic.History.Add(e.Record)
			w.mu.Unlock()
			defer nudge()
			return w.judge(ctx, e)
		},
	})
}

// refresh reads the state anew, and for a while again when the server does not
// answer.
func (w *watch) refresh(ctx context.Context) error {
	return client.Retry(ctx, refreshFor, func(ctx context.Context) error {
		r, err := w.c.Rollback(ctx, w.id)
		if err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pic.Rollback = r
		return nil
	})
}

// draw replaces the last picture and returns how many lines the new one has.
func (w *watch) draw(last int) int {
	w.mu.Lock()
	w.pic.Now, w.pic.Broken = w.c.ServerTime(), ""
	if w.link != nil {
		w.pic.Broken = w.link.Error()
	}
	picture := view.Tree(w.pic, w.p.style(w.p.Stdout))
	w.mu.Unlock()
	_, _ = io.WriteString(w.p.Stdout, view.Frame(last, picture))
	lines := 0
	for _, r := range picture {
		if r == '\n' {
			lines++
		}
	}
	return lines
}
