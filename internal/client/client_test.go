package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestTokensStayOffPlainNetworks(t *testing.T) {
	token := backout.SecretValue("0123456789abcdef")
	for server, want := range map[string]error{
		"http://127.0.0.1:8420": nil, "http://localhost:8420": nil, "http://LOCALHOST": nil, "http://[::1]:8420": nil, "http://127.9.9.9": nil,
		"http://[::ffff:127.0.0.1]:1": nil, "https://backout.example.org": nil,
		"http://backout.example.org": ErrPlainToken, "http://192.0.2.1": ErrPlainToken, "http://0.0.0.0:8420": ErrPlainToken,
		"http://localhost.example.org": ErrPlainToken, "http://127.0.0.1.example.org": ErrPlainToken, "http://[fe80::1]": ErrPlainToken,
		"ftp://127.0.0.1": backout.ErrInvalid, "127.0.0.1:8420": backout.ErrInvalid, "": backout.ErrInvalid, "http://": backout.ErrInvalid,
		"https://user:pw@backout.example.org": backout.ErrInvalid,
	} {
		_, err := New(Options{Server: server, Token: token})
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", server, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "0123456789abcdef") || strings.Contains(err.Error(), "pw")) {
			t.Errorf("%s: the error holds a secret: %v", server, err)
		}
	}
	if _, err := New(Options{Server: "http://192.0.2.1"}); err != nil {
		t.Errorf("without a token plain http is fine: %v", err)
	}
}

func connect(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := New(Options{Server: server.URL + "/", Token: backout.SecretValue("s3cret"), UserAgent: "backout-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func TestRequestsAreAsTheAPIWantsThem(t *testing.T) {
	var got []string
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		if r.Header.Get("Authorization") != "Bearer s3cret" || r.UserAgent() != "backout-test" {
			t.Errorf("%s has headers %v", r.URL, r.Header)
		}
		if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s is %q", r.URL, r.Header.Get("Content-Type"))
		}
		_, _ = io.WriteString(w, `{"items":[]}`)
	})
	ctx := t.Context()
	closes := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	for _, call := range []func() error{
		func() error {
			_, err := c.ListChanges(ctx, handlers.ChangeFilter{State: "open", Target: "a b"})
			return err
		},
		func() error { _, err := c.Change(ctx, "../x?y"); return err },
		func() error { _, err := c.OpenChange(ctx, "C"); return err },
		func() error { _, err := c.ExtendChange(ctx, "C", closes, "late"); return err },
		func() error { _, err := c.PatchEnded(ctx, "C", 7); return err },
		func() error {
			_, err := c.ListRollbacks(ctx, handlers.RollbackFilter{ChangeID: "C", ActiveOnly: true, Unreviewed: true})
			return err
		},
		func() error { _, err := c.Vote(ctx, "R", "ask", backout.ChoiceDeny, "no"); return err },
		func() error {
			_, err := c.Act(ctx, "R", handlers.Action{Verb: handlers.VerbHold, Reason: "x"})
			return err
		},
		func() error { _, err := c.StepOutput(ctx, "R", "R.L1.s1.t1.a1"); return err },
		func() error { _, err := c.NotifyTest(ctx, handlers.TestNotice{Channel: "mail"}); return err },
		func() error { return c.Reload(ctx) },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"GET /api/v1/changes?state=open&target=a+b ",
		"GET /api/v1/changes/..%2Fx%3Fy ",
		"POST /api/v1/changes/C/open {}",
		`POST /api/v1/changes/C/extend {"closes":"2026-11-23T04:00:00Z","reason":"late"}`,
		`POST /api/v1/changes/C/patch-ended {"exit_code":7}`,
		"GET /api/v1/rollbacks?active=true&change=C&unreviewed=true ",
		`POST /api/v1/rollbacks/R/vote {"ask_id":"ask","choice":"deny","reason":"no"}`,
		`POST /api/v1/rollbacks/R/act {"verb":"hold","reason":"x"}`,
		"GET /api/v1/rollbacks/R/output/R.L1.s1.t1.a1 ",
		`POST /api/v1/notices/test {"channel":"mail"}`,
		"POST /-/reload {}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
		text   string
	}{
		{422, `{"error":{"code":"refused","message":"refused: plan: none","violations":[{"check":"plan","reason":"none"}]}}`, backout.ErrRefused, "refused: plan: none"},
		{404, `{"error":{"code":"not_found","message":"change X: not found"}}`, backout.ErrNotFound, "change X: not found"},
		{409, `{"error":{"code":"final","message":"it has ended"}}`, backout.ErrFinal, "it has ended"},
		{423, `{"error":{"code":"paused","message":"paused"}}`, backout.ErrPaused, "paused"},
		{401, `{"error":{"code":"unauthenticated","message":"a token is needed"}}`, ErrUnauthenticated, "a token is needed"},
		{401, ``, ErrUnauthenticated, "the server answered 401 Unauthorized"},
		{502, `<html>nginx</html>`, backout.ErrUnavailable, "the server answered 502 Bad Gateway"},
		{503, `overloaded`, backout.ErrUnavailable, "overloaded"},
		{500, `{"error":{"code":"internal","message":"see the log under","request_id":"abc"}}`, nil, "see the log under abc"},
	} {
		client := connect(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := client.Change(t.Context(), "X")
		if err == nil || c.want != nil && !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%d %s: %v, want %q", c.status, c.body, err, c.text)
		}
	}
}

func TestNoTokenFollowsARedirect(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if _, err := c.Change(t.Context(), "X"); err == nil || !strings.Contains(err.Error(), "redirects to /elsewhere") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotBackoutIsSaid(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>") })
	if _, err := c.Change(t.Context(), "X"); err == nil || !strings.Contains(err.Error(), "is it a backout server?") {
		t.Errorf("got %v", err)
	}
}

func TestServerTimeFollowsTheServersClock(t *testing.T) {
	ahead := time.Hour
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "{}")
	})
	if _, err := c.PauseState(t.Context()); err != nil {
		t.Fatal(err)
	}
	if off := time.Until(c.ServerTime()) - ahead; off.Abs() > 5*time.Second {
		t.Errorf("the clock is off by %s", off)
	}
}

// record writes one event as the server does.
func record(seq uint64, events ...backout.Event) string {
	data, err := json.Marshal(handlers.LogEntry{ID: "R", Seq: seq, Record: backout.Record{Op: "o", Events: events}})
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("id: %d\ndata: %s\n\n", seq, data)
}

func TestFollowResumesWhereItBroke(t *testing.T) {
	var connection atomic.Int32
	var asked []string
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		switch connection.Add(1) {
		case 1:
			_, _ = io.WriteString(w, ": hello\n\n"+record(1, backout.Opened{})+record(2, backout.LevelEntered{})+"id: 3\ndata: {\"id\":\"R\",\"se")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3: // repeats one, and ends
			_, _ = io.WriteString(w, record(2, backout.LevelEntered{})+strings.ReplaceAll(record(3, backout.VerifyStarted{}), "\n", "\r\n")+record(5, backout.Ended{}))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	var seqs []uint64
	var links []bool
	err := c.FollowRollback(t.Context(), "R", 0, Watcher{
		Entry: func(e handlers.LogEntry) error { seqs = append(seqs, e.Seq); return nil },
		Link:  func(err error) { links = append(links, err == nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 5}, seqs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", "2", "2"}, asked); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]bool{true, false, false, true}, links); diff != "" {
		t.Error(diff)
	}
}

func TestFollowEndsForGoodReasons(t *testing.T) {
	boom := errors.New("boom")
	stream := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/rollbacks/GONE/events":
			w.WriteHeader(http.StatusNotFound)
		case "/api/v1/rollbacks/NEW/events":
			_, _ = io.WriteString(w, "data: {\"id\":\"R\",\"seq\":1,\"record\":{\"v\":99}}\n\n")
		default:
			_, _ = io.WriteString(w, record(1, backout.Opened{}))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}
	c := connect(t, stream)
	if err := c.FollowRollback(t.Context(), "GONE", 0, Watcher{}); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("not found: %v", err)
	}
	if err := c.FollowRollback(t.Context(), "NEW", 0, Watcher{}); err == nil || !strings.Contains(err.Error(), "schema version 99") {
		t.Errorf("a newer record: %v", err)
	}
	if err := c.FollowRollback(t.Context(), "R", 0, Watcher{Entry: func(handlers.LogEntry) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("the reader's error: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := c.FollowRollback(ctx, "R", 0, Watcher{Entry: func(handlers.LogEntry) error { cancel(boom); return nil }})
	if err == nil {
		t.Error("the end of ctx must end it")
	}
}

func TestRetryRepeatsOnlyWhatCanHelp(t *testing.T) {
	tries := 0
	err := Retry(t.Context(), time.Minute, func(context.Context) error {
		if tries++; tries < 3 {
			return &ConnectError{Host: "h", Err: errors.New("refused")}
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	tries = 0
	err = Retry(t.Context(), time.Minute, func(context.Context) error { tries++; return backout.ErrRefused })
	if !errors.Is(err, backout.ErrRefused) || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
	err = Retry(t.Context(), time.Millisecond, func(context.Context) error { return backout.ErrUnavailable })
	if !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("the last error must be returned: %v", err)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(record(1, backout.Opened{})))
	f.Add([]byte("data\n\ndata:\ndata: x\r\n\r\n:c\n\nevent: y\nid: 1\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := readEvents(bytes.NewReader(raw), func() {}, func(data []byte) error {
			if bytes.Contains(data, []byte("\r\n")) {
				t.Errorf("an event's data holds a line end of the stream: %q", data)
			}
			return nil
		})
		if err != nil {
			t.Errorf("reading failed: %v", err)
		}
	})
}
