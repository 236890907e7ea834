package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/tokens"
)

// guarded are the services as people may ask them.
func (a *App) guarded() authorized.Services {
	return authorized.Wrap(authorized.Services{
		Changes: a.engine, Baselines: a.engine, Rollbacks: a.engine, Rules: a.engine, Control: control{Engine: a.engine, app: a},
		Insight: insight{Engine: a.engine, app: a}, Replays: insight{Engine: a.engine, app: a},
	}, authorized.Options{Labels: a.engine.TargetLabels, Log: a.o.Log, Refused: a.forbidden})
}

// tokens makes API tokens, and knows whose they are.
func (a *App) tokens() *tokens.Service {
	return tokens.New(tokens.Options{Documents: a.store.Control, Now: a.owner, Log: a.o.Log})
}

// owner is who made a token, as the config has them now, and the account that they sign
// in with.
func (a *App) owner(ctx context.Context, o tokens.Owner) (who handlers.Actor, account string, err error) {
	if o.SignedIn && a.login != nil {
		who, account, err = a.login.Person(ctx, o.Name)
		if errors.Is(err, backout.ErrRefused) {
			err = fmt.Errorf("%w: %w", backout.ErrNotFound, err)
		}
		return who, account, err
	}
	s := a.settings.Load()
	for _, t := range s.Auth.Tokens {
		if t.Name == o.Name && !o.SignedIn {
			return handlers.Actor{Name: o.Name, Groups: s.GroupsOf(o.Name), Grants: s.HolderGrants(o.Name)}, "", nil
		}
	}
	return who, "", fmt.Errorf("%q is not in auth.tokens: %w", o.Name, backout.ErrNotFound)
}
