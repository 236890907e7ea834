package client

import (
	"context"
	"net/url"

	"github.com/backout-io/backout/handlers"
)

// LoginWays says how a program signs somebody in.
func (c *Client) LoginWays(ctx context.Context) (handlers.LoginWays, error) {
	if err := c.private(); err != nil {
		return handlers.LoginWays{}, err
	}
	return get[handlers.LoginWays](ctx, c, api+"login", nil)
}

// Login gives a session for what proves who somebody is.
func (c *Client) Login(ctx context.Context, r handlers.LoginRequest) (handlers.LoginAnswer, error) {
	if err := c.private(); err != nil {
		return handlers.LoginAnswer{}, err
	}
	return post[handlers.LoginAnswer](ctx, c, api+"login", r)
}

// Logout ends the session that the client's token is.
func (c *Client) Logout(ctx context.Context) error {
	return c.call(ctx, "POST", api+"logout", nil, nil, nil)
}

// Who says who the client's token is, and what they may do.
func (c *Client) Who(ctx context.Context) (handlers.Who, error) {
	return get[handlers.Who](ctx, c, api+"session", nil)
}

// Sessions lists one's own sessions, or everybody's.
func (c *Client) Sessions(ctx context.Context, all bool) ([]handlers.SessionStatus, error) {
	var query url.Values
	if all {
		query = url.Values{"all": {"true"}}
	}
	return getList[handlers.SessionStatus](ctx, c, api+"sessions", query)
}

// EndSession ends a session, or all of a person.
func (c *Client) EndSession(ctx context.Context, e handlers.EndSession) error {
	return c.call(ctx, "POST", api+"sessions/end", nil, e, nil)
}
