package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/store"
)

// control is the engine's control with what only the whole server can do.
type control struct {
	*engine.Engine
	app *App
}

var _ handlers.Control = control{}

// Reload implements [handlers.Control].
func (c control) Reload(ctx context.Context) error { return c.app.Reload(ctx) }

// Ready implements [handlers.Control].
func (c control) Ready() error {
	if err := c.Engine.Ready(); err != nil {
		return err
	}
	if err := c.app.namesake.problem(); err != nil {
		return err
	}
	return c.app.bus.Health(context.Background())
}

// Targets implements [handlers.Control].
func (c control) Targets(context.Context) ([]backout.Target, error) {
	c.app.mu.Lock()
	inventory := c.app.current.config.Inventory
	c.app.mu.Unlock()
	out := make([]backout.Target, 0, len(inventory))
	for _, name := range slices.Sorted(maps.Keys(inventory)) {
		out = append(out, inventory[name])
	}
	return out, nil
}

// Runners implements [handlers.Control].
func (c control) Runners(context.Context) ([]handlers.RunnerStatus, error) {
	list := c.app.Runners()
	out := make([]handlers.RunnerStatus, len(list))
	for i, r := range list {
		out[i] = handlers.RunnerStatus{
			Name: r.Name, Site: r.Site, Release: r.Release, Alive: r.Alive, LastSeen: r.LastSeen, Running: r.Running, Slots: r.Slots,
		}
	}
	return out, nil
}

// NotifyTest implements [handlers.Control].
func (c control) NotifyTest(ctx context.Context, by handlers.Actor, t handlers.TestNotice) (handlers.TestWords, error) {
	m, err := c.app.outbox.Test(ctx, outbox.TestNotice{
		Channel: t.Channel, Moment: t.Moment, Level: t.Level, Audience: t.Audience, DryRun: t.DryRun, By: by.Name,
	})
	words := handlers.TestWords{Channel: t.Channel, Sent: !t.DryRun && err == nil, Subject: m.Subject, Text: m.Text}
	var undelivered *outbox.UndeliveredError
	switch {
	case errors.As(err, &undelivered): // what the caller asked for
		words.Error = undelivered.Error()
	case err != nil:
		return handlers.TestWords{}, fmt.Errorf("test channel %s: %w", t.Channel, err)
	}
	if !t.DryRun {
		c.app.o.Log.Info("channel tested", "channel", t.Channel, "moment", m.Notice.Moment, "by", by.Name, "arrived", words.Sent)
	}
	return words, nil
}

// Notices implements [handlers.Control].
func (c control) Notices(ctx context.Context) ([]handlers.NoticeStatus, error) {
	undelivered, err := c.app.outbox.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]handlers.NoticeStatus, 0, len(undelivered.Waiting)+len(undelivered.GivenUp))
	for _, p := range undelivered.Waiting {
		out = append(out, status(p, false))
	}
	for _, p := range undelivered.GivenUp {
		out = append(out, status(p, true))
	}
	return out, nil
}

func status(p store.Pending, givenUp bool) handlers.NoticeStatus {
	return handlers.NoticeStatus{Channel: p.Channel, Notice: p.Notice, GivenUp: givenUp, Tries: p.Tries, Error: p.LastError, At: p.LastTry}
}
