package main

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// A token that works, one that has expired and one that was revoked.
func fakeTokens() []handlers.TokenStatus {
	now := time.Now().UTC()
	web := []backout.Grant{{Role: backout.RoleAuthor, Labels: map[string]string{"team": "web", "env": "prod"}}}
	return []handlers.TokenStatus{
		{ID: "3f2a9c1e5b7d8046", Note: "pipeline", Owner: "ana", Grants: web, State: "active", CreatedAt: now, ExpiresAt: now.Add(30*24*time.Hour + time.Hour), LastUsed: now.Add(-2*time.Hour - time.Minute)},
		{ID: "aaaaaaaaaaaaaaaa", Note: "old\x1b[2J", Owner: "ana", State: "expired", CreatedAt: now, ExpiresAt: now.Add(-25 * time.Hour)},
		{
			ID: "bbbbbbbbbbbbbbbb", Note: "lost", Owner: "bob", Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}, State: "revoked",
			CreatedAt: now, ExpiresAt: now.Add(time.Hour), RevokedAt: now.Add(-61 * time.Minute), RevokedBy: "ana", Reason: "in a log",
		},
	}
}

func (f *fake) CreateToken(_ context.Context, by handlers.Actor, r handlers.TokenRequest) (handlers.NewToken, error) {
	status := fakeTokens()[0]
	status.Note, status.Owner, status.Grants = r.Note, by.Name, nil
	for _, role := range r.Roles {
		status.Grants = append(status.Grants, backout.Grant{Role: role, Everywhere: r.Everywhere, Labels: r.Labels})
	}
	status.ExpiresAt = time.Now().Add(time.Duration(r.ExpiresIn) + time.Minute)
	return handlers.NewToken{TokenStatus: status, Token: backout.SecretValue("bo_made")}, nil
}

func (f *fake) ListTokens(_ context.Context, _ handlers.Actor, all bool) ([]handlers.TokenStatus, error) {
	if all {
		return fakeTokens(), nil
	}
	return fakeTokens()[:2], nil
}

func (f *fake) RevokeToken(_ context.Context, by handlers.Actor, id, reason string) (handlers.TokenStatus, error) {
	status := fakeTokens()[2]
	if id != status.ID {
		return status, fmt.Errorf("token %q: %w", id, backout.ErrNotFound)
	}
	status.RevokedBy, status.Reason = by.Name, reason
	return status, nil
}
