package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/backout-io/backout"
)

// SlowCall is how long a request that reaches targets may take: the gate, opening
// and capturing, drift, releasing a hold. It is longer than any capture.
const SlowCall = backout.BaselineLease + time.Minute

// slowly runs a route that reaches targets. Such routes have as long as they need,
// where others have the server's time for an answer, and only so many run at once.
func (h *Handler) slowly(do func(*call) error) func(*call) error { return h.slowlyIn(&h.slow, do) }

// slowlyIn is slowly with places of its own.
func (h *Handler) slowlyIn(places *admission, do func(*call) error) func(*call) error {
	return func(c *call) error {
		if !places.enter() {
			return errOverloaded
		}
		defer places.leave()
		// A writer that knows no deadline is a test's; the server's knows.
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(SlowCall + time.Minute))
		ctx, cancel := context.WithTimeoutCause(c.r.Context(), SlowCall, fmt.Errorf("%w: not done within %s", backout.ErrUnavailable, SlowCall))
		defer cancel()
		c.r = c.r.WithContext(ctx)
		err := do(c)
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, backout.ErrUnavailable) {
			return cause
		}
		return err
	}
}

// enduring runs what must come to its end once it has begun: the client may go, and
// ask later what became of it. It ends early only when its time is over or the server
// stops.
func (h *Handler) enduring(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	over := time.AfterFunc(SlowCall, func() {
		cancel(fmt.Errorf("%w: not done within %s", backout.ErrUnavailable, SlowCall))
	})
	defer over.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-h.endingCtx.Done():
			cancel(fmt.Errorf("%w: %w", backout.ErrUnavailable, errEnding))
		case <-done:
		}
	}()
	err := do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}
