package handlers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// ask sends a POST and returns its connection.
func (p *pipes) ask(t *testing.T, path string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	if _, err := fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return client
}

// cause is why a call was ended, or nothing.
type cause struct{ atomic.Pointer[error] }

func (c *cause) get() error {
	if err := c.Load(); err != nil {
		return *err
	}
	return nil
}

// takes is a call that takes d, unless it is ended.
func takes(d time.Duration, ended *cause) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			err := context.Cause(ctx)
			ended.Store(&err)
			return ctx.Err()
		}
	}
}

// TestOpeningMayTakeMinutes: snapshots and kept packages take longer than the
// server's time for an answer.
func TestOpeningMayTakeMinutes(t *testing.T) {
	for path, status := range map[string]int{"open": 200, "drift": 200} {
		synctest.Test(t, func(t *testing.T) {
			var ended cause
			start := time.Now()
			conn := inMemory(t, handlerFor(t, &fake{slow: takes(10*time.Minute, &ended)})).ask(t, "/api/v1/changes/C1/"+path)
			if res := answerOf(t, conn); res.StatusCode != status || time.Since(start) != 10*time.Minute || ended.get() != nil {
				t.Errorf("%s: answered %d after %v, %v", path, res.StatusCode, time.Since(start), ended.get())
			}
		})
	}
}

func TestOpeningHasAnEnd(t *testing.T) {
	for _, path := range []string{"open", "drift"} {
		synctest.Test(t, func(t *testing.T) {
			var ended cause
			start := time.Now()
			conn := inMemory(t, handlerFor(t, &fake{slow: takes(24*time.Hour, &ended)})).ask(t, "/api/v1/changes/C1/"+path)
			if res := answerOf(t, conn); res.StatusCode != 503 || time.Since(start) != SlowCall || !errors.Is(ended.get(), backout.ErrUnavailable) {
				t.Errorf("%s: answered %d after %v, %v", path, res.StatusCode, time.Since(start), ended.get())
			}
		})
	}
}

// TestOpeningOutlivesItsClient: what only looks ends with the client, what makes
// something on targets does not.
func TestOpeningOutlivesItsClient(t *testing.T) {
	for path, wants := range map[string]error{"open": nil, "drift": context.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			var ended cause
			h := handlerFor(t, &fake{slow: takes(5*time.Minute, &ended)})
			conn := inMemory(t, h).ask(t, "/api/v1/changes/C1/"+path)
			time.Sleep(time.Minute)
			_ = conn.Close()
			time.Sleep(5 * time.Minute)
			if !errors.Is(ended.get(), wants) || h.slow.count.Load() != 0 {
				t.Errorf("%s ended with %v, want %v; %d still run", path, ended.get(), wants, h.slow.count.Load())
			}
		})
	}
}

// TestOpeningEndsWithTheServer, and says so to who waits.
func TestOpeningEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended cause
		h := handlerFor(t, &fake{slow: takes(5*time.Minute, &ended)})
		conn := inMemory(t, h).ask(t, "/api/v1/changes/C1/open")
		time.Sleep(time.Minute)
		h.EndStreams()
		if res := answerOf(t, conn); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !errors.Is(ended.get(), errEnding) {
			t.Errorf("answered %d %v, %v", res.StatusCode, res.Header, ended.get())
		}
	})
}

func TestSlowRequestsAreBounded(t *testing.T) {
	h := handlerFor(t, &fake{}, func(o *Options) { o.Limits.MaxSlow = 1 })
	entered, block := make(chan struct{}, 1), make(chan struct{})
	h.o.Changes = &fake{slow: func(context.Context) error {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-block
		return nil
	}}
	first := make(chan int)
	go func() { first <- do(h, request(http.MethodPost, "/api/v1/changes/C1/open", "")).Code }()
	<-entered
	for range 3 {
		wantError(t, do(h, request(http.MethodPost, "/api/v1/changes/C1/gate", "")), 503, "overloaded", "")
	}
	close(block)
	if code := <-first; code != 200 {
		t.Errorf("the first answered %d", code)
	}
	if w := do(h, request(http.MethodPost, "/api/v1/changes/C1/gate", "")); w.Code != 200 {
		t.Errorf("afterwards %d", w.Code)
	}
}

// TestSlowPagesAreLikeSlowRoutes: a form that reaches targets may take minutes, has an
// end, and counts among the requests that do.
func TestSlowPagesAreLikeSlowRoutes(t *testing.T) {
	for lasts, want := range map[time.Duration]struct {
		status int
		after  time.Duration
	}{10 * time.Minute: {200, 10 * time.Minute}, 24 * time.Hour: {503, SlowCall}} {
		synctest.Test(t, func(t *testing.T) {
			var ended cause
			act := takes(lasts, &ended)
			page := PageRoute{Method: "POST", Path: "/slow", Doc: "d", Needs: "change", Slow: true, Serve: func(_ http.ResponseWriter, r *http.Request, _ Actor) error {
				return act(r.Context())
			}}
			h := handlerFor(t, &fake{}, func(o *Options) { o.Pages, o.Limits.MaxSlow = []PageRoute{page}, 1 })
			start := time.Now()
			conn := inMemory(t, h).ask(t, "/slow")
			time.Sleep(time.Minute)
			if n := h.slowPages.count.Load(); n != 1 {
				t.Errorf("%d slow requests run", n)
			}
			wantError(t, do(h, request(http.MethodPost, "/slow", "")), 503, "overloaded", "")
			if res := answerOf(t, conn); res.StatusCode != want.status || time.Since(start) != want.after {
				t.Errorf("answered %d after %v, want %d after %v", res.StatusCode, time.Since(start), want.status, want.after)
			}
		})
	}
}
