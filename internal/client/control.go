package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Targets lists the server's inventory.
func (c *Client) Targets(ctx context.Context) ([]backout.Target, error) {
	return getList[backout.Target](ctx, c, api+"targets", nil)
}

// Notices lists what is undelivered: waiting, and given up.
func (c *Client) Notices(ctx context.Context) ([]handlers.NoticeStatus, error) {
	return getList[handlers.NoticeStatus](ctx, c, api+"notices", nil)
}

// Monitoring tells whether anybody would tell that a target is red.
func (c *Client) Monitoring(ctx context.Context) (handlers.MonitoringStatus, error) {
	return get[handlers.MonitoringStatus](ctx, c, api+"monitoring", nil)
}

// Runners lists the runners near the targets that were heard of lately.
func (c *Client) Runners(ctx context.Context) ([]handlers.RunnerStatus, error) {
	return getList[handlers.RunnerStatus](ctx, c, api+"runners", nil)
}

// NotifyTest sends a test notice through a channel, now, or only writes it, and
// returns its words.
func (c *Client) NotifyTest(ctx context.Context, t handlers.TestNotice) (handlers.TestWords, error) {
	return post[handlers.TestWords](ctx, c, api+"notices/test", t)
}

// PauseState tells whether the pause switch is on.
func (c *Client) PauseState(ctx context.Context) (handlers.PauseState, error) {
	return get[handlers.PauseState](ctx, c, api+"pause", nil)
}

// Pause stops all new effects.
func (c *Client) Pause(ctx context.Context, reason string) (handlers.PauseState, error) {
	return post[handlers.PauseState](ctx, c, api+"pause", reasonBody{reason})
}

// Resume ends the pause.
func (c *Client) Resume(ctx context.Context, reason string) (handlers.PauseState, error) {
	return post[handlers.PauseState](ctx, c, api+"resume", reasonBody{reason})
}

// Backup writes a backup of the server's store to w. Nobody may take what w got
// for a backup before it was checked: a broken connection looks like an end.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := c.request(ctx, "GET", api+"backup", nil, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/gzip")
	watchdog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing heard for %s", silence)) })
	defer watchdog.Stop()
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	piece := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(piece)
		watchdog.Reset(silence)
		if _, err := w.Write(piece[:n]); err != nil {
			return fmt.Errorf("write backup: %w", err)
		}
		switch {
		case errors.Is(err, io.EOF):
			if why := res.Trailer.Get(handlers.BackupErrorTrailer); why != "" {
				return fmt.Errorf("the server did not finish the backup: %s", why)
			}
			return nil
		case err != nil:
			return c.unreachable(ctx, err)
		}
	}
}

// Reload makes the server read its files again; mistakes in them come back as
// [Error].Problems and leave the old config running.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, "POST", "/-/reload", nil, struct{}{}, nil)
}
