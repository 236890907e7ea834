package client

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/handlers"
)

// TestHistoryThatWasCutIsNone: only a body with its last line is whole.
func TestHistoryThatWasCutIsNone(t *testing.T) {
	const post, end = `{"post":{"at":"2026-03-01T00:00:00Z","kind":"webhook","body":"e30="}}` + "\n", `{"end":{"changes":0,"rollbacks":0,"posts":1}}` + "\n"
	for body, want := range map[string]string{
		post + end:                            "",
		end:                                   "",
		post:                                  "cut off",
		"":                                    "cut off",
		post + end[:10]:                       "unexpected EOF",
		post + strings.TrimSpace(end):         "unexpected EOF",
		post + end + post:                     "behind its end",
		post + "<html>\n":                     "is it a backout server",
		strings.Repeat("x", 100) + "\n" + end: "is it a backout server",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("since") != "2026-03-01T00:00:00Z" || r.URL.Query().Get("until") != "2026-03-02T00:00:00Z" {
				t.Errorf("asked for %s", r.URL.RawQuery)
			}
			_, _ = w.Write([]byte(body))
		}))
		c, err := New(Options{Server: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		since := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		posts := 0
		err = c.History(t.Context(), since, since.AddDate(0, 0, 1), func(e handlers.HistoryEntry) error {
			if e.Post != nil {
				posts++
			}
			return nil
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", body, err, want)
		}
		if strings.HasPrefix(body, post) && posts != 1 {
			t.Errorf("%q: %d posts", body, posts)
		}
		server.Close()
	}
}
