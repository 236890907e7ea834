package alertmanager

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// roundTrip answers every request of a channel.
type roundTrip func(*http.Request) (*http.Response, error)

func (fn roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }

// TestAStuckMemberHoldsUpNoNotice: notices go out in order, so what one waits for, all
// wait for that come after it.
func TestAStuckMemberHoldsUpNoNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := New(Config{URLs: []string{"http://stuck:9093", "http://well:9093"}})
		if err != nil {
			t.Fatal(err)
		}
		var stuck atomic.Bool
		var told atomic.Int32
		var needs atomic.Int64
		needs.Store(int64(100 * time.Millisecond))
		stuck.Store(true)
		n.client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			if r.URL.Hostname() == "stuck" {
				if stuck.Load() {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				time.Sleep(time.Duration(needs.Load()))
				if err := r.Context().Err(); err != nil {
					return nil, err
				}
				told.Add(1)
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		})}
		m, _ := notifier.Default().Render(Kind().Style(), notifier.Samples(backout.MomentDrift)[0], nil)
		all := func(notices int) time.Duration {
			began := time.Now()
			for range notices {
				if r, err := n.Notify(t.Context(), m); err != nil || r.Channel != "well:9093" && stuck.Load() {
					t.Fatalf("taken by %q: %v", r.Channel, err)
				}
			}
			return time.Since(began)
		}
		if d := all(30); d > 12*time.Second {
			t.Errorf("30 notices took %v", d)
		}
		stuck.Store(false)
		if all(2); told.Load() != 2 {
			t.Errorf("the other one was told of %d notices after it was well again, want both", told.Load())
		}
		needs.Store(int64(time.Second))
		if all(1); told.Load() != 3 {
			t.Errorf("one that is well again has no more than %v", littleGrace)
		}
	})
}
