package client

import (
	"context"
	"net/url"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func rollbackPath(id, tail string) string { return api + "rollbacks/" + url.PathEscape(id) + tail }

// ListRollbacks returns the rollbacks the filter chooses.
func (c *Client) ListRollbacks(ctx context.Context, f handlers.RollbackFilter) ([]backout.Rollback, error) {
	query := url.Values{}
	if f.ChangeID != "" {
		query.Set("change", f.ChangeID)
	}
	if f.ActiveOnly {
		query.Set("active", "true")
	}
	if f.Unreviewed {
		query.Set("unreviewed", "true")
	}
	return getList[backout.Rollback](ctx, c, api+"rollbacks", query)
}

// Rollback returns one rollback as it stands.
func (c *Client) Rollback(ctx context.Context, id string) (backout.Rollback, error) {
	return get[backout.Rollback](ctx, c, rollbackPath(id, ""), nil)
}

// RollbackLog returns everything that happened to the rollback, oldest first.
func (c *Client) RollbackLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	return getList[handlers.LogEntry](ctx, c, rollbackPath(id, "/log"), nil)
}

// StartRollback starts a rollback by hand.
func (c *Client) StartRollback(ctx context.Context, r handlers.StartRequest) (backout.Rollback, error) {
	return post[backout.Rollback](ctx, c, api+"rollbacks", r)
}

// Vote answers the open question askID.
func (c *Client) Vote(ctx context.Context, id, askID string, choice backout.Choice, reason string) (backout.Rollback, error) {
	body := struct {
		AskID  string         `json:"ask_id"`
		Choice backout.Choice `json:"choice"`
		Reason string         `json:"reason,omitempty"`
	}{askID, choice, reason}
	return post[backout.Rollback](ctx, c, rollbackPath(id, "/vote"), body)
}

// Act does one verb to the rollback.
func (c *Client) Act(ctx context.Context, id string, a handlers.Action) (backout.Rollback, error) {
	return post[backout.Rollback](ctx, c, rollbackPath(id, "/act"), a)
}

// StepOutput returns what the attempt has printed, as bytes that nobody has made
// safe for a terminal.
func (c *Client) StepOutput(ctx context.Context, id, attempt string) ([]byte, error) {
	return get[[]byte](ctx, c, rollbackPath(id, "/output/"+url.PathEscape(attempt)), nil)
}
