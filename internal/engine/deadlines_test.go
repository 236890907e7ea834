package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
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

// TestVeryManyDueAtOnce: few are handled at once, and one that comes due while
// the others wait is next.
func TestVeryManyDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many, most, takes = 100_000, 32, 10 * time.Millisecond
		var mu sync.Mutex
		var workers sync.WaitGroup
		working, peak, handled := 0, 0, 0
		late := map[string]time.Duration{}
		began := time.Now()
		l := &lane{
			most:  most,
			spawn: func(fn func(context.Context)) { workers.Go(func() { fn(t.Context()) }) },
			do: func(_ context.Context, key string) {
				mu.Lock()
				working++
				peak = max(peak, working)
				mu.Unlock()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				working--
				handled++
				if key == "first" || strings.HasPrefix(key, "fresh") {
					late[key] = time.Since(began)
				}
			},
		}
		d := newDeadlines()
		for i := range many {
			d.set(fmt.Sprint("overdue ", i), began.Add(time.Duration(i)*time.Microsecond), true)
		}
		d.set("first", began.Add(-time.Second), true)
		d.set("fresh 5s", began.Add(5*time.Second), true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.run(ctx, func(keys []string) {
				slices.Reverse(keys)
				l.add(keys...)
			})
		}()
		time.Sleep(10 * time.Second)
		d.set("fresh 10s", time.Now(), true)
		time.Sleep(time.Minute)
		cancel()
		<-ended
		workers.Wait()
		if handled != many+3 || peak != most || l.working != 0 {
			t.Errorf("%d handled, %d at once at most, %d workers are left; want %d, %d and none", handled, peak, l.working, many+3, most)
		}
		for key, due := range map[string]time.Duration{"first": 0, "fresh 5s": 5 * time.Second, "fresh 10s": 10 * time.Second} {
			if after := late[key] - due; after < takes || after > time.Second {
				t.Errorf("%s was handled %s after it was due", key, after)
			}
		}
	})
}

// BenchmarkDeadlines arms 100,000 deadlines, which come due within 2 s, and
// measures what each costs in memory and how late it is, in real time.
func BenchmarkDeadlines(b *testing.B) {
	const many = 100_000
	keys := make([]string, many)
	for i := range keys {
		keys[i] = fmt.Sprintf("rollback/CHG%07d-r1", i)
	}
	for b.Loop() {
		before := heapInUse()
		d := newDeadlines()
		first := time.Now().Add(time.Second)
		at := func(i int) time.Time { return first.Add(time.Duration(i%2000) * time.Millisecond) }
		for i, key := range keys {
			d.set(strings.Clone(key), at(i), true)
		}
		grown := heapInUse() - before
		due := make(map[string]time.Time, many)
		for i, key := range keys {
			due[key] = at(i)
		}
		var latest, sum time.Duration
		fired := 0
		ctx, cancel := context.WithCancel(b.Context())
		d.run(ctx, func(keys []string) {
			now := time.Now()
			for _, key := range keys {
				latest = max(latest, now.Sub(due[key]))
				sum += now.Sub(due[key])
			}
			if fired += len(keys); fired == many {
				cancel()
			}
		})
		b.ReportMetric(float64(grown)/(1<<20), "MiB")
		b.ReportMetric(float64(latest)/1e6, "latest-ms")
		b.ReportMetric(float64(sum)/many/1e6, "mean-ms")
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestEscalationsDoNotWaitForGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := foldEngine()
		var order []string
		e.urgent.do = func(_ context.Context, key string) { order = append(order, key) }
		e.urgent.most = 1
		e.others.do = func(ctx context.Context, _ string) { <-ctx.Done() } // a gate that asks slow hosts
		var keys []string
		for i := range 2 * dueParallel {
			keys = append(keys, fmt.Sprint("change/C", i))
		}
		e.due(append(keys, "rollback/C1-r1", "rollback/C1-r2"))
		synctest.Wait()
		if diff := cmp.Diff([]string{"rollback/C1-r1", "rollback/C1-r2"}, order); diff != "" {
			t.Errorf("handled (-want +got):\n%s", diff)
		}
		e.Close()
	})
}
