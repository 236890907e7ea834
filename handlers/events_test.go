package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// record is the nth record of a log; the last one ends it.
func record(seq uint64, ended bool) LogEntry {
	events := []backout.Event{backout.HeldBack{Reason: "line one\nline two\r\n\ndata: forged"}}
	if ended {
		events = append(events, backout.Ended{Status: backout.RollbackRecovered})
	}
	return LogEntry{ID: "R1", Seq: seq, Record: backout.Record{Op: fmt.Sprint(seq), At: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Events: events}}
}

const eventsPath = "/api/v1/rollbacks/R1/events"

func TestEventsAreTheLogFromWhereTheClientWas(t *testing.T) {
	f := &fake{follow: func(_ context.Context, from uint64, fn func(LogEntry) error) error {
		for seq := from + 1; seq <= 9; seq++ {
			if err := fn(record(seq, seq == 9)); err != nil {
				return err
			}
		}
		return nil
	}}
	r := request("GET", eventsPath, "")
	r.Header.Set("Last-Event-ID", "7")
	w := do(handlerFor(t, f), r)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || !w.Flushed {
		t.Fatalf("answered %d %v", w.Code, w.Header())
	}
	var ids []string
	for _, block := range strings.Split(strings.TrimSpace(w.Body.String()), "\n\n") {
		if strings.HasPrefix(block, ":") {
			continue
		}
		lines := strings.Split(block, "\n")
		if len(lines) != 3 || lines[1] != "event: record" {
			t.Fatalf("event %q", block)
		}
		var entry LogEntry
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &entry); err != nil {
			t.Fatal(err)
		}
		if lines[0] != fmt.Sprintf("id: %d", entry.Seq) || entry.Record.Events[0].(backout.HeldBack).Reason != "line one\nline two\r\n\ndata: forged" {
			t.Errorf("event %q", block)
		}
		ids = append(ids, lines[0])
	}
	if strings.Join(ids, " ") != "id: 8 id: 9" {
		t.Errorf("events %v", ids)
	}
}

func TestEventsRefusals(t *testing.T) {
	r := request("GET", eventsPath, "")
	r.Header.Set("Last-Event-ID", "-1")
	wantError(t, do(handlerFor(t, &fake{}), r), 400, "invalid", "Last-Event-ID")
	wantError(t, do(handlerFor(t, &fake{err: backout.ErrNotFound}), request("GET", eventsPath, "")), 404, "not_found", "")
	ended := &fake{rollback: backout.Rollback{Status: backout.RollbackRecovered, Revision: 9}}
	r = request("GET", eventsPath, "")
	r.Header.Set("Last-Event-ID", "9")
	if w := do(handlerFor(t, ended), r); w.Code != 204 {
		t.Errorf("resuming after the last record: %d", w.Code)
	}
}

// silentLog follows a log in which nothing happens.
func silentLog(ctx context.Context, _ uint64, _ func(LogEntry) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestASilentStreamBeatsAndEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handlerFor(t, &fake{follow: silentLog}, func(o *Options) { o.Limits.MaxStreams = 1 })
		w := &lockedRecorder{header: http.Header{}}
		done := make(chan struct{})
		go func() { h.ServeHTTP(w, request("GET", eventsPath, "")); close(done) }()
		time.Sleep(61 * time.Second)
		if n := strings.Count(w.text(), ": alive\n\n"); n != 4 {
			t.Errorf("%d heartbeats in 61 s, want 4", n)
		}
		wantError(t, do(h, request("GET", eventsPath, "")), 503, "overloaded", "")
		h.EndStreams()
		h.EndStreams()
		<-done
		if h.streams.count.Load() != 0 {
			t.Error("the stream still counts")
		}
	})
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := handlerFor(t, &fake{follow: silentLog})
		done := make(chan struct{})
		go func() {
			h.ServeHTTP(&lockedRecorder{header: http.Header{}}, request("GET", eventsPath, "").WithContext(ctx))
			close(done)
		}()
		synctest.Wait()
		cancel()
		<-done
	})
}

// TestAStreamEndsWithTheRightToFollow: who may not any more sees no more, at the next
// heartbeat; a store that cannot say ends nothing.
func TestAStreamEndsWithTheRightToFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{follow: silentLog}
		auth := testAuth(t)
		h := handlerFor(t, f, func(o *Options) { o.Auth = auth })
		w := &lockedRecorder{header: http.Header{}}
		done := make(chan struct{})
		go func() { h.ServeHTTP(w, bearer(request("GET", eventsPath, ""), aliceSecret)); close(done) }()
		time.Sleep(16 * time.Second)
		f.mu.Lock()
		f.err = backout.ErrUnavailable
		f.mu.Unlock()
		time.Sleep(15 * time.Second)
		if n := strings.Count(w.text(), ": alive\n\n"); n != 2 {
			t.Fatalf("%d heartbeats in 31 s, want 2", n)
		}
		if err := auth.Set([]Token{{Name: "bob", Grants: everything(), Secret: backout.SecretValue("bobs-new-secret-0123")}}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("the stream goes on")
			h.EndStreams()
			<-done
		}
	})
}

func TestAStreamWhoseClientTakesNothingEnds(t *testing.T) {
	f := &fake{follow: func(_ context.Context, _ uint64, fn func(LogEntry) error) error {
		for seq := uint64(1); ; seq++ {
			if err := fn(record(seq, false)); err != nil {
				return err
			}
		}
	}}
	w := &lockedRecorder{header: http.Header{}, fails: true}
	handlerFor(t, f).ServeHTTP(w, request("GET", eventsPath, ""))
}

func TestHeadOfAStreamDoesNotFollow(t *testing.T) {
	f := &fake{follow: silentLog}
	if w := do(handlerFor(t, f), request("HEAD", eventsPath, "")); w.Code != 200 || len(f.heard()) != 1 {
		t.Errorf("answered %d after %v", w.Code, f.heard())
	}
}

// lockedRecorder may be read while the handler writes.
type lockedRecorder struct {
	mu     sync.Mutex
	header http.Header
	body   strings.Builder
	fails  bool
}

func (l *lockedRecorder) Header() http.Header { return l.header }
func (l *lockedRecorder) WriteHeader(int)     {}
func (l *lockedRecorder) Flush()              {}
func (l *lockedRecorder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails && l.body.Len() > 1000 {
		return 0, errors.New("broken pipe")
	}
	return l.body.Write(p)
}

func (l *lockedRecorder) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.body.String()
}
