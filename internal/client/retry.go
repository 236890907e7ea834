package client

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Retry calls fn until it succeeds, fails in a way that asking again cannot cure
// (see [Temporary]), or budget is over; it returns fn's last error.
func Retry(ctx context.Context, budget time.Duration, fn func(context.Context) error) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(budget))
	var last error
	err := backoff.Retry(func() error {
		last = fn(ctx)
		if last != nil && !Temporary(last) {
			return backoff.Permanent(last)
		}
		return last
	}, backoff.WithContext(wait, ctx))
	if err != nil && last != nil {
		return last
	}
	return err
}
