package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// moving is a server with one rollback that moves as its log is read: the state
// after record n is known once n was sent.
type moving struct {
	mu     sync.Mutex
	log    []backout.Record
	status []backout.RollbackStatus
	// sent is how many records have happened; the first ones have before.
	sent int
	// fail makes that many reads of the state fail.
	fail int
}

func (m *moving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		m.events(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail > 0 {
		m.fail--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(backout.Rollback{ID: "R", Status: m.status[m.sent-1], Revision: uint64(m.sent), HeldReason: "doubt"})
}

func (m *moving) events(w http.ResponseWriter, r *http.Request) {
	for i, rec := range m.log {
		m.mu.Lock()
		m.sent = max(m.sent, i+1)
		m.mu.Unlock()
		data, err := json.Marshal(handlers.LogEntry{ID: "R", Seq: uint64(i + 1), Record: rec})
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i+1, data)
		w.(http.Flusher).Flush()
	}
	<-r.Context().Done()
}

func story(events ...backout.Event) []backout.Record {
	out := make([]backout.Record, len(events))
	for i, e := range events {
		out[i] = backout.Record{Op: "o", At: time.Date(2026, 11, 23, 2, i, 0, 0, time.UTC), Events: []backout.Event{e}}
	}
	return out
}

func watching(t *testing.T, m *moving, args ...string) (string, string, int) {
	t.Helper()
	server := httptest.NewServer(m)
	defer server.Close()
	defer server.CloseClientConnections()
	return run(t, Options{}, append([]string{"rollback", "watch", "R", "--server", server.URL, "--timeout", "20s"}, args...)...)
}

func TestWatchJudgesTheStateNotTheHistory(t *testing.T) {
	held := func(happened, fail int) *moving {
		return &moving{
			log:    story(backout.Opened{}, backout.HeldBack{Reason: "doubt"}, backout.Released{By: "ana"}, backout.Ended{Status: backout.RollbackRecovered}),
			status: []backout.RollbackStatus{backout.RollbackRunning, backout.RollbackHeld, backout.RollbackRunning, backout.RollbackRecovered},
			sent:   happened, fail: fail,
		}
	}
	t.Run("a hold that was released long ago", func(t *testing.T) {
		out, stderr, code := watching(t, held(4, 0))
		if code != 0 || strings.Count(out, "\n") != 4 {
			t.Errorf("exit code %d\n%s%s", code, out, stderr)
		}
	})
	t.Run("the server does not answer for a moment", func(t *testing.T) {
		if out, stderr, code := watching(t, held(4, 2)); code != 0 {
			t.Errorf("exit code %d\n%s%s", code, out, stderr)
		}
	})
	t.Run("a hold while we watch stays with --stay", func(t *testing.T) {
		if out, stderr, code := watching(t, held(1, 0), "--stay"); code != 0 || strings.Count(out, "\n") != 4 {
			t.Errorf("exit code %d\n%s%s", code, out, stderr)
		}
	})
	t.Run("a hold now", func(t *testing.T) {
		m := held(1, 0)
		m.log, m.status = m.log[:2], m.status[:2]
		if out, stderr, code := watching(t, m); code != ExitHeld || strings.Count(out, "\n") != 2 {
			t.Errorf("exit code %d\n%s%s", code, out, stderr)
		}
	})
	t.Run("a failed end", func(t *testing.T) {
		m := held(1, 0)
		m.log[3], m.status[3] = story(backout.Ended{Status: backout.RollbackAborted})[0], backout.RollbackAborted
		if _, _, code := watching(t, m, "--stay"); code != ExitFailed {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestWaitingForAWindowOnlyLooks(t *testing.T) {
	var mu sync.Mutex
	looks := 0
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method)
		looks++
		c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "C", Window: backout.Window{Opens: time.Now().Add(time.Hour)}}, State: backout.ChangeReady}
		if looks > 3 {
			c.State = backout.ChangeOpen // it opened by itself
		}
		_ = json.NewEncoder(w).Encode(c)
	}))
	defer server.Close()
	out, stderr, code := run(t, Options{Poll: time.Millisecond}, "change", "open", "C", "--wait", "--server", server.URL)
	if code != 0 || !strings.HasPrefix(out, "C  > open") {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	if strings.Contains(strings.Join(asked, " "), "POST") {
		t.Errorf("the gate was asked while waiting: %v", asked)
	}
	mu.Lock()
	looks = -1 << 20
	mu.Unlock()
	if _, stderr, code := run(t, Options{Poll: time.Millisecond}, "change", "open", "C", "--wait", "--timeout", "50ms", "--server", server.URL); code != ExitTimeout {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
