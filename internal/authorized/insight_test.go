package authorized

import (
	"context"
	"errors"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestInsightIsForItsOwnPlace: a history is for who may read its change; what reads all
// alerts, or has the server reach others, is for who may do so everywhere.
func TestInsightIsForItsOwnPlace(t *testing.T) {
	all := []backout.Role{backout.RoleViewer, backout.RoleOperator, backout.RoleApprover, backout.RoleAuthor, backout.RoleAdmin}
	for _, tt := range []struct {
		what string
		by   handlers.Actor
		call func(ctx context.Context, s Services, by handlers.Actor) error
		may  bool
	}{
		{"history of an own change", inTeam("web", backout.RoleViewer), history("WEB"), true},
		{"history of one that is shared", inTeam("web", backout.RoleViewer), history("BOTH"), true},
		{"history of another's change", inTeam("web", backout.RoleViewer), history("DB"), false},
		{"history of another's change, with every role", inTeam("web", all...), history("DB"), false},
		{"history of no change", inTeam("web", backout.RoleViewer), history("NONE"), false},
		{"replay of one team's viewer", inTeam("web", backout.RoleViewer), replayed, false},
		{"replay of one team's everything", inTeam("web", all...), replayed, false},
		{"replay of a viewer", everywhere(backout.RoleViewer), replayed, true},
		{"examination of one team's viewer", inTeam("web", backout.RoleViewer), examined, false},
		{"examination of one team's everything", inTeam("web", all...), examined, false},
		{"examination of a viewer", everywhere(backout.RoleViewer), examined, false},
		{"examination of an operator", everywhere(backout.RoleOperator), examined, true},
	} {
		f, s := wrapped(Options{})
		err := tt.call(t.Context(), s, tt.by)
		reached := f.heard("RedHistory") || f.heard("ReplayRules") || f.heard("Examine")
		if (err == nil) != tt.may || reached != tt.may || err != nil && !errors.Is(err, backout.ErrForbidden) && !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("%s: %v, reached %v", tt.what, err, reached)
		}
	}
}

func history(change string) func(ctx context.Context, s Services, by handlers.Actor) error {
	return func(ctx context.Context, s Services, by handlers.Actor) error {
		_, err := s.Insight.RedHistory(handlers.WithActor(ctx, by), change)
		return err
	}
}

func replayed(ctx context.Context, s Services, by handlers.Actor) error {
	_, err := s.Replays.ReplayRules(handlers.WithActor(ctx, by), by, handlers.ReplayRequest{})
	return err
}

func examined(ctx context.Context, s Services, by handlers.Actor) error {
	_, err := s.Insight.Examine(handlers.WithActor(ctx, by), by)
	return err
}
