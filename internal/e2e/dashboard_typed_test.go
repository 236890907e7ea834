package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/browsertest"
	"github.com/backout-io/backout/internal/ui"
)

// endingPage serves a page on which a pause can be given a reason. Its stream ends, and
// says that the page is to be loaded anew, whenever something is sent to end; from then on
// it is answered with the status until the page was loaded again.
func endingPage(t *testing.T, end <-chan struct{}, status int) (url string, loads, refusals *atomic.Int32) {
	t.Helper()
	card := ui.Card{Rollback: backout.Rollback{ID: "CHG1-r1", ChangeID: "CHG1", Status: backout.RollbackRunning}}
	card.Offer([]ui.Offer{{Answer: "pause"}})
	mux := showing(t, ui.Frame{Path: "/", Live: "/live"}, ui.Now{Rollbacks: []ui.Card{card}})
	var ended atomic.Bool
	loads, refusals = new(atomic.Int32), new(atomic.Int32)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		if ended.Load() {
			refusals.Add(1)
			http.Error(w, "not now", status)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: beat\ndata: %d\n\n", time.Now().UnixMilli())
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-end:
			ended.Store(true)
			fmt.Fprint(w, "event: anew\ndata: sign in\n\n")
		}
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Method == http.MethodGet {
			loads.Add(1)
			ended.Store(false)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return srv.URL, loads, refusals
}

// TestDashboardStaysWhileSomebodyTypes: a page that is to be loaded anew, since its session
// has ended, takes no reason away that somebody has typed. It says that it may be old, and
// offers to be loaded; with nothing typed it loads itself. A server that does not answer
// then either makes no difference.
func TestDashboardStaysWhileSomebodyTypes(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) { staysWhileSomebodyTypes(t, status) })
	}
}

func staysWhileSomebodyTypes(t *testing.T, status int) {
	end := make(chan struct{})
	url, loads, refusals := endingPage(t, end, status)
	ann := &look{Page: browsertest.Open(t, url), t: t, name: "ann", scripts: true}
	for _, words := range []string{fmt.Sprint(status), "htmx:", "ERR_"} {
		ann.Allow(words)
	}
	ann.Go("/")
	ann.WaitFor(named("#badge", "live"))
	ann.Click(named("summary", "Pause"))
	ann.Fill("details[open] input[name=reason]", "it is the disk")
	browsertest.Eval[any](ann.Page, `document.activeElement.blur()`)
	end <- struct{}{}
	ann.WaitFor(named("#anew", "Load it anew"))
	ann.WaitFor(named("#badge.stale", "stale"))
	for refusals.Load() == 0 { // the stream is tried again by itself
		ann.WaitFor("#anew")
	}
	ann.WaitFor(named("#badge.stale", "stale 3s"))
	if typed := browsertest.Eval[string](ann.Page, `document.querySelector("details[open] input[name=reason]")?.value ?? "no form is open"`); typed != "it is the disk" || loads.Load() != 1 {
		t.Errorf("the form has %q, and the page was loaded %d times", typed, loads.Load())
	}
	if said := browsertest.Eval[string](ann.Page, `document.getElementById("lost").textContent`); !strings.Contains(said, "What you have typed stays") {
		t.Errorf("said aloud is %q", said)
	}
	browsertest.Accessible(t, ann.Page)

	ann.Follow("#anew")
	ann.WaitFor(named("#badge:not(.stale)", "live"))
	if ann.Has("#anew") {
		t.Error("a page that is live offers to be loaded")
	}
	ann.mark()
	end <- struct{}{}
	ann.Until("the page is loaded again", `document.documentElement.dataset.marked === undefined`)
}
