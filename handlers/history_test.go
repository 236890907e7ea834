package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// past has a history and nothing else.
type past struct {
	Rules
	tell func(ctx context.Context, since, until time.Time, fn func(HistoryEntry) error) error
}

func (p past) History(ctx context.Context, since, until time.Time, fn func(HistoryEntry) error) error {
	return p.tell(ctx, since, until, fn)
}

func historyOf(t *testing.T, tell func(ctx context.Context, since, until time.Time, fn func(HistoryEntry) error) error) *Handler {
	t.Helper()
	return handlerFor(t, &fake{}, func(o *Options) { o.Rules = past{tell: tell} })
}

func getHistory(t *testing.T, h http.Handler, query string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	res, err := http.Get(server.URL + "/api/v1/history" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

const day = "?since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"

func TestHistoryIsALineAnEntry(t *testing.T) {
	h := historyOf(t, func(_ context.Context, since, until time.Time, fn func(HistoryEntry) error) error {
		if until.Sub(since) != 24*time.Hour {
			t.Errorf("asked for %s to %s", since, until)
		}
		return errors.Join(fn(HistoryEntry{Change: &backout.Change{ChangeSpec: backout.ChangeSpec{ID: "C1"}}}),
			fn(HistoryEntry{Post: &HistoryPost{Kind: "webhook", Body: []byte("{}")}}), fn(HistoryEntry{End: &HistoryEnd{Changes: 1, Posts: 1}}))
	})
	res, body := getHistory(t, h, day)
	lines := strings.Split(body, "\n")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 4 || lines[3] != "" {
		t.Fatalf("%s %v %q", res.Status, res.Header, body)
	}
	if !strings.Contains(lines[0], `"id":"C1"`) || !strings.Contains(lines[1], `"body":"e30="`) || lines[2] != `{"end":{"changes":1,"rollbacks":0,"posts":1}}` {
		t.Errorf("%q", lines)
	}
}

// TestHistoryThatFailsSaysSo as a status while it can, and behind the body when it
// cannot; never with an end.
func TestHistoryThatFailsSaysSo(t *testing.T) {
	res, body := getHistory(t, historyOf(t, func(context.Context, time.Time, time.Time, func(HistoryEntry) error) error {
		return backout.ErrUnavailable
	}), day)
	if res.StatusCode != 503 || !strings.Contains(body, `"error"`) {
		t.Errorf("before the first byte: %s %q", res.Status, body)
	}
	res, body = getHistory(t, historyOf(t, func(_ context.Context, _, _ time.Time, fn func(HistoryEntry) error) error {
		for range 3000 {
			if err := fn(HistoryEntry{Post: &HistoryPost{Body: []byte("some alerts")}}); err != nil {
				return err
			}
		}
		return backout.ErrUnavailable
	}), day)
	if res.StatusCode != 200 || strings.Contains(body, `"end"`) || res.Trailer.Get(BackupErrorTrailer) == "" {
		t.Errorf("behind it: %s, %d bytes, %v", res.Status, len(body), res.Trailer)
	}
}

func TestHistoryNeedsTimes(t *testing.T) {
	h := historyOf(t, func(context.Context, time.Time, time.Time, func(HistoryEntry) error) error { return nil })
	for query, want := range map[string]string{
		"": "since", "?since=yesterday": "since", "?since=2026-03-01T00:00:00Z&until=x": "until",
		"?since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z": "before", "?from=2026-03-02T00:00:00Z": "unknown query parameter",
	} {
		wantError(t, do(h, request("GET", "/api/v1/history"+query, "")), 400, "invalid", want)
	}
}
