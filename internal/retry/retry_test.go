package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/retry"
)

type later struct{ error }

func (later) RetryAfter() time.Duration { return 5 * time.Minute }

var errPassing = errors.New("passing")

func TestDoGoesOnUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		began := time.Now()
		err := retry.Do(t.Context(), retry.Policy{First: time.Second, Most: time.Minute}, func(context.Context) error {
			if tries++; tries < 30 {
				return errPassing
			}
			return nil
		})
		if err != nil || tries != 30 {
			t.Errorf("%d tries, %v", tries, err)
		}
		if took := time.Since(began); took < 5*time.Minute || took > 45*time.Minute {
			t.Errorf("took %v: pauses are not within a second and a minute", took)
		}
	})
}

func TestDoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := retry.Do(t.Context(), retry.Policy{}, func(context.Context) error { tries++; return backout.Permanent(errPassing) })
		if !errors.Is(err, errPassing) || !backout.IsPermanent(err) || tries != 1 {
			t.Errorf("permanent: %d tries, %v", tries, err)
		}
		began := time.Now()
		err = retry.Do(t.Context(), retry.Policy{Total: time.Minute}, func(context.Context) error { return errPassing })
		if took := time.Since(began); !errors.Is(err, errPassing) || took > time.Minute {
			t.Errorf("total: %v after %v", err, took)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		err = retry.Do(ctx, retry.Policy{}, func(context.Context) error { return errPassing })
		if err == nil || !errors.Is(err, errPassing) || !errors.Is(err, context.Cause(ctx)) {
			t.Errorf("context: %v", err)
		}
	})
}

func TestDoWaitsAsLongAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		began := time.Now()
		err := retry.Do(t.Context(), retry.Policy{}, func(context.Context) error {
			if tries++; tries == 1 {
				return later{errPassing}
			}
			return nil
		})
		if took := time.Since(began); err != nil || took != 5*time.Minute {
			t.Errorf("%v after %v", err, took)
		}
	})
}
