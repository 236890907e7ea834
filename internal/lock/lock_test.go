package lock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout/internal/lock"
)

func TestTime_passes_while_somebody_waits_for_the_lock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lock.New()
		l.Lock()
		got := make(chan time.Time)
		go func() {
			l.Lock()
			defer l.Unlock()
			got <- time.Now()
		}()
		time.Sleep(time.Minute)
		free := time.Now()
		l.Unlock()
		if at := <-got; !at.Equal(free) {
			t.Errorf("taken at %s, let go of at %s", at, free)
		}
	})
}
