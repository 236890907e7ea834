package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// switchPrefix marks pauses that came from the pause switch, so that resuming
// leaves alone what a person paused by itself.
const switchPrefix = "pause switch, "

func switchName(by string) string { return switchPrefix + by }

// Pause implements [handlers.Control]. When it returns, no rollback starts
// anything any more; what runs on targets runs on.
func (e *Engine) Pause(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	if strings.TrimSpace(reason) == "" {
		return handlers.PauseState{}, fmt.Errorf("say why: a pause needs a reason: %w", backout.ErrInvalid)
	}
	state := store.PauseState{On: true, By: by.Name, Reason: reason, At: time.Now().UTC()}
	if err := e.store.Control.SetPause(ctx, state); err != nil {
		return handlers.PauseState{}, err
	}
	return handlers.PauseState(state), e.eachActive(ctx, func(r backout.Rollback) rollback.Input {
		if !r.PausedAt.IsZero() {
			return nil
		}
		return rollback.Pause{By: switchName(by.Name), Reason: reason}
	})
}

// Resume implements [handlers.Control]. Every clock goes on from where it stood.
func (e *Engine) Resume(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	state := store.PauseState{By: by.Name, Reason: reason, At: time.Now().UTC()}
	if err := e.store.Control.SetPause(ctx, state); err != nil {
		return handlers.PauseState{}, err
	}
	return handlers.PauseState(state), e.eachActive(ctx, func(r backout.Rollback) rollback.Input {
		if !strings.HasPrefix(r.PausedBy, switchPrefix) {
			return nil
		}
		return rollback.Resume{By: switchName(by.Name)}
	})
}

// startPaused pauses what the switch had not reached when the server that moved it
// died: what is active, and not paused, while the switch is on.
func (e *Engine) startPaused(ctx context.Context) {
	state, err := e.store.Control.Pause(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		e.log.Error("pause switch not read at the start; no step starts before it is", "error", err)
		return
	case !state.On:
		return
	}
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if r.Status.Final() || !r.PausedAt.IsZero() {
			return
		}
		if _, err := e.input(ctx, id, rollback.Pause{By: switchName(state.By), Reason: state.Reason}); err != nil {
			e.log.Error("rollback not paused at the start; no step of it starts all the same", "rollback_id", id, "error", err)
		}
	})
}

// resumable says why no single rollback is to be resumed now: the switch holds for
// all of them.
func (e *Engine) resumable(ctx context.Context) error {
	pause, err := e.store.Control.Pause(ctx)
	if err == nil && pause.On {
		return fmt.Errorf("everything is paused by %s: resume everything: %w", pause.By, backout.ErrPaused)
	}
	return err
}

// endStalePause resumes a rollback that the switch paused, when the switch is off
// by now: it was read on, or a crash came, between the two.
func (e *Engine) endStalePause(r backout.Rollback) {
	if r.ID == "" || r.Status.Final() || !strings.HasPrefix(r.PausedBy, switchPrefix) {
		return
	}
	e.spawn(func(ctx context.Context) {
		state, err := e.store.Control.Pause(ctx)
		if err == nil && !state.On {
			e.decided(ctx, r.ID, rollback.Resume{By: switchName(state.By)})
		}
	})
}

// PauseState implements [handlers.Control].
func (e *Engine) PauseState(ctx context.Context) (handlers.PauseState, error) {
	state, err := e.store.Control.Pause(ctx)
	return handlers.PauseState(state), err
}

func (e *Engine) eachActive(ctx context.Context, choose func(backout.Rollback) rollback.Input) error {
	var failed []error
	if !e.sole {
		e.rollbacks.catchUp(ctx) // those that another server has just opened
	}
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		if r.Status.Final() {
			return
		}
		in := choose(r)
		if in == nil {
			return
		}
		_, err := e.input(ctx, id, in)
		if err != nil && !errors.Is(err, backout.ErrRefused) && !errors.Is(err, backout.ErrFinal) {
			failed = append(failed, err)
		}
	})
	return errors.Join(failed...)
}
