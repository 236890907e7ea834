package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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
	mux := showing(t, ui.Frame{}, ui.Now{Rollbacks: []ui.Card{card}})
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

// showing serves one page at /, and what it loads.
func showing(t *testing.T, f ui.Frame, c ui.Content) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		f := f
		f.Now, f.Nonce = time.Now(), "n"
		w.Header().Set("Content-Security-Policy", ui.Policy(f.Nonce))
		if err := ui.Write(w, f, c); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		asset, _ := ui.AssetNamed(r.PathValue("name"))
		w.Header().Set("Content-Type", asset.Type)
		_, _ = w.Write(asset.Data)
	})
	return mux
}

// TestDashboardHoldSaysWhichOnAPhone: Hold is under the thumb there, away from its card,
// and with several rollbacks says which it is of.
func TestDashboardHoldSaysWhichOnAPhone(t *testing.T) {
	p := holding(t, "CHG1-r1", "CHG2-r1")
	for width, want := range map[int][]string{360: {"Hold CHG1-r1", "Hold"}, 1280: {"Hold", "Hold"}} {
		p.Emulate(browsertest.View{Width: width, Height: 740})
		p.Go("/")
		got := p.Texts("form.act.safe button")
		for i := range got {
			got[i] = strings.Join(strings.Fields(got[i]), " ")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d px wide the buttons say %q, want %q", width, got, want)
		}
		browsertest.FitsWidth(t, p)
		browsertest.Accessible(t, p)
	}
}

// holding is Now with these rollbacks, each of which can be held.
func holding(t *testing.T, ids ...string) *browsertest.Page {
	t.Helper()
	var cards []ui.Card
	for i, id := range ids {
		card := ui.Card{Rollback: backout.Rollback{ID: id, ChangeID: id[:4], Status: backout.RollbackRunning, LevelDeadline: time.Now().Add(time.Duration(i+1) * time.Hour)}}
		card.Offer([]ui.Offer{{Answer: "hold"}})
		cards = append(cards, card)
	}
	srv := httptest.NewServer(showing(t, ui.Frame{}, ui.Now{Rollbacks: cards}))
	t.Cleanup(srv.Close)
	return browsertest.Open(t, srv.URL)
}

// TestDashboardHoldStaysAWordOnAPhone: however long the name is that it says, Hold stands
// in one piece, the bar is no higher than the room below the page, and who listens hears all.
func TestDashboardHoldStaysAWordOnAPhone(t *testing.T) {
	for _, length := range []int{7, 29, 40, 128} {
		id := strings.Repeat("CHG0041014-", 12)[:length-3] + "-r1"
		p := holding(t, id, "CHG2-r1")
		p.Emulate(browsertest.View{Width: 360, Height: 740})
		p.Go("/")
		const bar = `const bar = document.querySelector("form.act.safe"), button = bar.querySelector("button");`
		if lines := browsertest.Eval[int](p, `(() => {`+bar+` const word = document.createRange(); word.selectNode(button.firstChild); return word.getClientRects().length })()`); lines != 1 {
			t.Errorf("with an id of %d characters Hold stands in %d pieces", length, lines)
		}
		if over := browsertest.Eval[float64](p, `(() => {`+bar+` return bar.getBoundingClientRect().height - parseFloat(getComputedStyle(document.body).paddingBottom) })()`); over > 0 {
			t.Errorf("with an id of %d characters the bar is %v px too high", length, over)
		}
		if cut := browsertest.Eval[bool](p, `(() => {`+bar+` return button.scrollHeight > button.clientHeight + 1 })()`); cut && length <= 40 {
			t.Errorf("an id of %d characters is cut", length)
		}
		if name := browsertest.Eval[string](p, `(() => {`+bar+` return button.getAttribute("aria-label") })()`); name != "Hold "+id {
			t.Errorf("it is called %q", name)
		}
		browsertest.FitsWidth(t, p)
		browsertest.Accessible(t, p)
	}
}

// TestDashboardServerTimeGoesOn: what is called the server's time is that, and not when the
// page was loaded, which is what it says where nothing can carry it on.
func TestDashboardServerTimeGoesOn(t *testing.T) {
	srv := httptest.NewServer(showing(t, ui.Frame{}, ui.Now{}))
	t.Cleanup(srv.Close)
	p := browsertest.Open(t, srv.URL)
	p.Clock(2 * time.Hour)
	p.Go("/")
	p.WaitFor(named("footer", "Server time"))
	const shown = `Date.parse(document.querySelector("footer time").textContent.replace(" UTC", "Z").replace(" ", "T"))`
	began := browsertest.Eval[float64](p, shown)
	p.Until("the server's time goes on", fmt.Sprintf("%s >= %f + 2000", shown, began))
	if off := time.Since(time.UnixMilli(int64(browsertest.Eval[float64](p, shown)))); off.Abs() > 5*time.Second {
		t.Errorf("it is wrong by %s", off)
	}
	p.JavaScript(false)
	p.Go("/")
	p.WaitFor(named("footer", "Loaded at"))
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
