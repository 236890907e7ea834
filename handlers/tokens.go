package handlers

import (
	"context"
	"time"

	"github.com/backout-io/backout"
)

// TokenPrefix begins every API token that is made here.
const TokenPrefix = "bo_"

// Bearers tells whose an API token is that was made here.
type Bearers interface {
	// Bearer returns who the token was made for, as they are now, with no more than the
	// token lends: [backout.ErrNotFound] for one that is not known, has expired or was
	// revoked. Via is empty, and LoginAt stays zero.
	Bearer(ctx context.Context, secret string) (Actor, error)
}

// Tokens is what the API needs of API tokens.
type Tokens interface {
	// CreateToken makes a token that acts for its maker, with no more than they may
	// do. It is the only call that ever returns the token itself.
	CreateToken(ctx context.Context, by Actor, r TokenRequest) (NewToken, error)
	// ListTokens lists the actor's own tokens, or with all everybody's: the newest
	// first.
	ListTokens(ctx context.Context, by Actor, all bool) ([]TokenStatus, error)
	// RevokeToken ends a token: one's own, or, for who administers, anybody's. Again
	// changes nothing.
	RevokeToken(ctx context.Context, by Actor, id, reason string) (TokenStatus, error)
}

// TokenRequest asks for a token.
type TokenRequest struct {
	// Note says what it is for.
	Note string `json:"note"`
	// Roles are what it may do; none means nothing and is refused.
	Roles []backout.Role `json:"roles"`
	// Everywhere or Labels say where; neither is refused.
	Everywhere bool              `json:"everywhere,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// ExpiresIn is how long it works: 90 days when it is zero, a year at most.
	ExpiresIn backout.Duration `json:"expires_in,omitempty"`
}

// NewToken is a token that was just made.
type NewToken struct {
	TokenStatus
	// Token is the token itself.
	Token backout.Secret `json:"-"`
}

// TokenStatus is what is known of a token. It cannot be used as one.
type TokenStatus struct {
	// ID names it in lists and in the log.
	ID   string `json:"id"`
	Note string `json:"note"`
	// Owner made it, and acts when it is used.
	Owner  string          `json:"owner"`
	Grants []backout.Grant `json:"grants"`
	// State is active, expired, revoked, or ended: of another account than has its owner's
	// name now.
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// LastUsed is the hour it was used in last; zero when it never was.
	LastUsed time.Time `json:"last_used,omitzero"`
	// RevokedAt, RevokedBy and Reason are set once it was revoked.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
}

// newTokenBody is the one answer that holds a token.
type newTokenBody struct {
	TokenStatus
	Token string `json:"token"`
}

func (h *Handler) tokenRoutes() []route {
	if h.o.Tokens == nil {
		return nil
	}
	return []route{
		on("GET", "/api/v1/tokens", accessAPI, "Lists one's own API tokens; ?all=true everybody's.", h.listTokens),
		on("POST", "/api/v1/tokens", accessAPI, "Makes an API token; 201. No other answer ever has the token itself.", h.createToken),
		on("POST", "/api/v1/tokens/{id}/revoke", accessAPI, "Ends an API token.", h.revokeToken),
	}
}

func (h *Handler) listTokens(c *call) error {
	all, err := c.flag("all")
	if err != nil {
		return err
	}
	list, err := h.o.Tokens.ListTokens(c.r.Context(), c.actor, all)
	return answerList(c, list, err)
}

func (h *Handler) createToken(c *call) error {
	var in TokenRequest
	if err := h.body(c, &in); err != nil {
		return err
	}
	made, err := h.o.Tokens.CreateToken(c.r.Context(), c.actor, in)
	if err != nil {
		return err
	}
	writeJSON(c.w, 201, newTokenBody{made.TokenStatus, made.Token.Reveal()})
	return nil
}

func (h *Handler) revokeToken(c *call) error {
	id, err := c.name("id")
	if err != nil {
		return err
	}
	var in reasonBody
	if err := h.optionalBody(c, &in); err != nil {
		return err
	}
	status, err := h.o.Tokens.RevokeToken(c.r.Context(), c.actor, id, in.Reason)
	return answerOne(c, status, err)
}
