package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// running starts the deadlines and returns what they fire, with the time since.
func running(t *testing.T) (d *deadlines, fired *[]string, stop func()) {
	t.Helper()
	d, fired = newDeadlines(), &[]string{}
	ctx, cancel := context.WithCancel(t.Context())
	began, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		d.run(ctx, func(keys []string) {
			for _, key := range keys {
				*fired = append(*fired, fmt.Sprintf("%s@%s", key, time.Since(began)))
			}
		})
	}()
	return d, fired, func() { cancel(); <-done }
}

func TestDeadlinesFireInTheirOrderOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fired, stop := running(t)
		defer stop()
		now := time.Now()
		d.set("b", now.Add(2*time.Hour), true)
		d.set("a", now.Add(time.Minute), true)
		d.set("past", now.Add(-time.Hour), true)
		d.set("moved later", now.Add(30*time.Second), true)
		d.set("moved later", now.Add(3*time.Minute), true)
		d.set("moved earlier", now.Add(5*time.Hour), true)
		d.set("moved earlier", now.Add(2*time.Minute), true)
		d.set("cleared", now.Add(time.Second), true)
		d.set("cleared", time.Time{}, false)
		d.set("never", time.Time{}, false)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		want := []string{"past@0s", "a@1m0s", "moved earlier@2m0s", "moved later@3m0s", "b@2h0m0s"}
		if diff := cmp.Diff(want, *fired); diff != "" {
			t.Errorf("fired (-want +got):\n%s", diff)
		}
		d.set("a", time.Now().Add(time.Minute), true) // armed again
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(*fired) != 6 {
			t.Errorf("fired %v", *fired)
		}
	})
}

func TestManyDeadlinesFireAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fired, stop := running(t)
		defer stop()
		now, last := time.Now(), map[string]time.Duration{}
		for range 2000 {
			key := fmt.Sprint(rand.IntN(300))
			if rand.IntN(4) == 0 {
				d.set(key, time.Time{}, false)
				delete(last, key)
				continue
			}
			last[key] = time.Duration(1+rand.IntN(100_000)) * time.Second
			d.set(key, now.Add(last[key]), true)
		}
		time.Sleep(100_001 * time.Second)
		synctest.Wait()
		if len(*fired) != len(last) {
			t.Fatalf("%d fired, want %d", len(*fired), len(last))
		}
		got := map[string]bool{}
		for _, f := range *fired {
			got[f] = true
		}
		for key, after := range last {
			if !got[fmt.Sprintf("%s@%s", key, after)] {
				t.Errorf("%s did not fire at %s", key, after)
			}
		}
	})
}
