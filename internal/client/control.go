package client

import (
	"context"

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

// NotifyTest sends a test notice through the channel, now.
func (c *Client) NotifyTest(ctx context.Context, channel string) error {
	body := struct {
		Channel string `json:"channel"`
	}{channel}
	return c.call(ctx, "POST", api+"notices/test", nil, body, nil)
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

// Reload makes the server read its files again; mistakes in them come back as
// [Error].Problems and leave the old config running.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, "POST", "/-/reload", nil, struct{}{}, nil)
}
