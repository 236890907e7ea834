package e2e

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/browsertest"
	"github.com/backout-io/backout/internal/ui"
)

// offeringInDoubt serves the page of a rollback with a step in doubt, which may be paused
// too, and returns what is answered there.
func offeringInDoubt(t *testing.T) (url string, answers func() []string) {
	t.Helper()
	card := ui.Card{Rollback: backout.Rollback{ID: "CHG1-r1", Status: backout.RollbackHeld, HeldReason: "a step is in doubt"}}
	card.Offer([]ui.Offer{{Answer: "resolve", AttemptID: "CHG1-r1.L1.s1.t1.a1", Target: "web-1"}, {Answer: "pause"}})
	var mu sync.Mutex
	var got []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", ui.Policy("n"))
		if err := ui.Write(w, ui.Frame{Now: time.Now(), Nonce: "n"}, ui.Now{Rollbacks: []ui.Card{card}}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		asset, _ := ui.AssetNamed(r.PathValue("name"))
		w.Header().Set("Content-Type", asset.Type)
		_, _ = w.Write(asset.Data)
	})
	mux.HandleFunc("POST /rollbacks/CHG1-r1/answer", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.FormValue("answer")+": "+r.FormValue("reason"))
		http.Redirect(w, r, "/?sent="+r.FormValue("answer"), http.StatusSeeOther)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

// TestDashboardEnter: Enter in a reason gives the answer that there is, and none where
// there are several.
func TestDashboardEnter(t *testing.T) {
	url, answers := offeringInDoubt(t)
	p := browsertest.Open(t, url)
	for _, scripts := range []bool{true, false} {
		p.JavaScript(scripts)
		p.Go("/")
		p.Click(named("summary", "What happened on web-1?"))
		p.Fill("details[open] input[name=reason]", "looked")
		p.Press("Enter")
		p.Follow(named("details[open] button", "It did not"))
		p.Click(named("summary", "Pause"))
		p.Fill("details[open] input[name=reason]", "wait")
		p.Press("Enter")
		p.Until("the pause is sent", `location.search === "?sent=pause"`)
	}
	if got, want := answers(), []string{"did_not: looked", "pause: wait", "did_not: looked", "pause: wait"}; !slices.Equal(got, want) {
		t.Errorf("answered %q, want %q", got, want)
	}
}
