package slackedge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/slack"
)

// library listens as the real one does: its pauses double up to five minutes, and it ends
// when one is longer than the listener's patience. why tells what a try comes to.
func library(tries *atomic.Int32, why func() error) func(context.Context, slack.Listener) error {
	return func(ctx context.Context, l slack.Listener) error {
		for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 5*time.Minute) {
			tries.Add(1)
			l.State(slack.ErrConnecting)
			err := why()
			l.State(err)
			switch {
			case err == nil:
				<-ctx.Done()
			case backout.IsPermanent(err), pause > l.Patience:
				return err
			default:
				sleep(ctx, pause)
			}
		}
		return ctx.Err()
	}
}

func listening(listen func(context.Context, slack.Listener) error) *listener {
	return &listener{e: &Edge{o: Options{Log: slog.New(slog.DiscardHandler)}}, listen: listen, state: slack.ErrConnecting}
}

// TestButtonsAreAliveSoonAfterSlackIs: however long Slack was away.
func TestButtonsAreAliveSoonAfterSlackIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var tries atomic.Int32
		l := listening(library(&tries, func() error {
			if away.Load() {
				return errors.New("socket mode: slack server error: 503")
			}
			return nil
		}))
		away.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.run(ctx)
		for range 3 {
			tries.Store(0)
			away.Store(true)
			time.Sleep(11 * time.Minute)
			if l.current() == nil || tries.Load() > 40 {
				t.Errorf("state %v after %d tries in eleven minutes", l.current(), tries.Load())
			}
			away.Store(false)
			time.Sleep(30 * time.Second)
			if err := l.current(); err != nil {
				t.Errorf("30 s after Slack is back: %v", err)
			}
			cancel() // the connection is lost again, and with it the library's call
			synctest.Wait()
			ctx, cancel = context.WithCancel(t.Context())
			go l.run(ctx)
		}
		cancel()
	})
}

func TestAPauseThatSlackAsksForIsKept(t *testing.T) {
	refused := backout.Permanent(errors.New("invalid_auth"))
	for err, want := range map[error]time.Duration{
		errors.New("503"): longestPause, notifier.RetryAfter(errors.New("429"), time.Minute): time.Minute,
		notifier.RetryAfter(errors.New("429"), time.Second): longestPause, refused: hopeless,
	} {
		if got := pauseAfter(err, false); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// TestALongConnectionIsOpenedAnewAtOnce: also when there was a failure before it, which
// took the patience.
func TestALongConnectionIsOpenedAnewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		var lost time.Time
		ctx, cancel := context.WithCancel(t.Context())
		l := listening(func(_ context.Context, l slack.Listener) error {
			failed := errors.New("socket mode: slack server error: 503")
			calls++
			switch calls {
			case 2:
				l.State(nil)
				time.Sleep(time.Hour)
				lost = time.Now()
			case 3:
				if d := time.Since(lost); d > 2*time.Second || l.Patience != longestPause {
					t.Errorf("opened anew after %v with a patience of %v", d, l.Patience)
				}
				cancel()
			}
			l.State(failed)
			return failed
		})
		l.run(ctx)
	})
	for err, want := range map[error]time.Duration{
		notifier.RetryAfter(errors.New("429"), time.Minute): time.Minute, backout.Permanent(errors.New("invalid_auth")): hopeless,
	} {
		if got := pauseAfter(err, true); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// TestATroubleIsSaidOnce: however often it is tried anew, and whoever asks hears what it
// is, not that it is being tried.
func TestATroubleIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		var tries atomic.Int32
		why := errors.New("socket mode: slack server error: 503")
		var l *listener
		l = listening(library(&tries, func() error {
			if is := l.current(); tries.Load() > 1 && !errors.Is(is, why) {
				t.Errorf("at try %d the reason is: %v", tries.Load(), is)
			}
			return why
		}))
		l.e.o.Log = slog.New(slog.NewTextHandler(&said, nil))
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
		defer cancel()
		l.run(ctx)
		if n := strings.Count(said.String(), "level=WARN"); n != 1 || tries.Load() < 20 {
			t.Errorf("%d warnings of %d tries:\n%s", n, tries.Load(), said.String())
		}
	})
}
