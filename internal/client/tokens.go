package client

import (
	"context"
	"net/url"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// CreateToken makes an API token. Nothing returns the token itself again.
func (c *Client) CreateToken(ctx context.Context, r handlers.TokenRequest) (handlers.NewToken, error) {
	made, err := post[struct {
		handlers.TokenStatus
		Token string `json:"token"`
	}](ctx, c, api+"tokens", r)
	return handlers.NewToken{TokenStatus: made.TokenStatus, Token: backout.SecretValue(made.Token)}, err
}

// ListTokens lists one's own API tokens, or everybody's.
func (c *Client) ListTokens(ctx context.Context, all bool) ([]handlers.TokenStatus, error) {
	var query url.Values
	if all {
		query = url.Values{"all": {"true"}}
	}
	return getList[handlers.TokenStatus](ctx, c, api+"tokens", query)
}

// RevokeToken ends an API token.
func (c *Client) RevokeToken(ctx context.Context, id, reason string) (handlers.TokenStatus, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	return post[handlers.TokenStatus](ctx, c, api+"tokens/"+url.PathEscape(id)+"/revoke", body)
}
