// Package retry tries again. It is the only user of the backoff library.
package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/backout-io/backout"
)

// Policy says how long to wait between tries. Each pause is half as long again
// as the one before, give or take half, so that many callers spread.
type Policy struct {
	// First and Most bound the pause; zero means 200 ms and 30 s.
	First, Most time.Duration
	// Total is how long to go on; zero means for ever.
	Total time.Duration
}

// Do calls op until it returns nil, an error marked by [backout.Permanent], or
// the policy's total or ctx ends; it returns op's last error, or the cause of
// ctx when op was never given up by itself. An error with a method
// RetryAfter() time.Duration is not tried again sooner.
func Do(ctx context.Context, p Policy, op func(context.Context) error) error {
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(or(p.First, 200*time.Millisecond)),
		backoff.WithMaxInterval(or(p.Most, 30*time.Second)),
		backoff.WithMaxElapsedTime(p.Total),
	)
	told := &told{BackOff: pauses}
	err := backoff.Retry(func() error {
		err := op(ctx)
		told.last = err
		if backout.IsPermanent(err) || err != nil && ctx.Err() != nil {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(told, ctx))
	var given *backoff.PermanentError
	if errors.As(err, &given) {
		return given.Err
	}
	if err != nil && ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), told.last)
	}
	return err
}

// told lengthens the pause to what the last error asked for.
type told struct {
	backoff.BackOff
	last error
}

// NextBackOff implements [backoff.BackOff].
func (t *told) NextBackOff() time.Duration {
	pause := t.BackOff.NextBackOff()
	var asked interface{ RetryAfter() time.Duration }
	if pause != backoff.Stop && errors.As(t.last, &asked) {
		return max(pause, asked.RetryAfter())
	}
	return pause
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
