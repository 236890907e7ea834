package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/browsertest"
)

// form is a page that works without scripts and is quicker with them.
const form = `
<form method="post" action="/hold"><label>Reason <input name="reason"></label><button>Hold</button></form>
<p id="scripts">off</p>
<script nonce="x">document.querySelector("#scripts").textContent = "on"</script>`

// held serves the form, and counts what is sent.
func held(t *testing.T) (url string, sent *atomic.Int32) {
	t.Helper()
	sent = &atomic.Int32{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hold", func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		http.Redirect(w, r, "/held?reason="+r.FormValue("reason"), http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-x'; img-src data:; form-action 'self'")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>x</title><link rel="icon" href="data:,">`, form)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, sent
}

// TestScriptsOff: the same actions, as forms.
func TestScriptsOff(t *testing.T) {
	url, sent := held(t)
	p := browsertest.Open(t, url)
	for i, on := range []bool{true, false} {
		p.JavaScript(on)
		p.Go("/")
		if got := p.Text("#scripts"); got != map[bool]string{true: "on", false: "off"}[on] {
			t.Errorf("scripts are %s", got)
		}
		p.Fill("input", "because")
		p.Follow(browsertest.Named("button", "Hold"))
		if p.Path() != "/held?reason=because" || int(sent.Load()) != i+1 || p.Status() != http.StatusOK {
			t.Errorf("it is at %s with %d, %d forms were sent", p.Path(), p.Status(), sent.Load())
		}
	}
}

// TestKeysOnly: a form is found, filled and sent without a pointer, and a focus that
// cannot be seen is a failure.
func TestKeysOnly(t *testing.T) {
	url, sent := held(t)
	p := browsertest.Open(t, url)
	p.Go("/")
	p.TabTo("input")
	p.Press("o", "K")
	p.TabTo(browsertest.Named("button", "Hold"))
	if on := p.Focused(); on != (browsertest.Focus{Tag: "button", Text: "Hold", Visible: true}) {
		t.Errorf("the focus is %+v", on)
	}
	p.Press("Shift+Tab", "Enter")
	p.Until("the form is sent", `location.search === "?reason=oK"`)
	if sent.Load() != 1 {
		t.Errorf("%d forms were sent", sent.Load())
	}
	url = site(t, map[string]string{"/": `<style nonce="x">:focus{outline:none}</style><button>one</button><button id="two">two</button>`})
	failed, said := verdict(t, func(t testing.TB) {
		p := browsertest.Open(t, url)
		p.Go("/")
		p.TabTo("#two")
	})
	if !failed || !strings.Contains(said, `the focus on button "one" cannot be seen`) {
		t.Errorf("it said:\n%s", said)
	}
}

// TestOnlyWhatCanBeClickedIsClicked: not what is covered, disabled or not there yet.
func TestOnlyWhatCanBeClickedIsClicked(t *testing.T) {
	url := site(t, map[string]string{"/": `
		<style nonce="x">#cover{position:fixed;inset:0;background:white}</style>
		<button id="hold">Hold</button><p id="count">0</p><div id="cover"></div>
		<script nonce="x">
			hold.onclick = (e) => { count.textContent += " " + e.detail };
			setTimeout(() => { count.textContent = "uncovered"; cover.remove() }, 300);
		</script>`})
	p := browsertest.Open(t, url)
	p.Go("/")
	p.Click("#hold")
	p.DoubleClick("#hold")
	if got := p.Text("#count"); got != "uncovered 1 1 2" {
		t.Errorf("the clicks were %q", got)
	}
}

// TestAChangeIsSeenAtOnce: the page tells of itself, nobody has to look at intervals.
func TestAChangeIsSeenAtOnce(t *testing.T) {
	url := site(t, map[string]string{"/": `<p id="at"></p><script nonce="x">
		document.addEventListener("click", () => setTimeout(() => at.textContent = performance.now(), 130))</script>`})
	p := browsertest.Open(t, url)
	p.Go("/")
	var late []time.Duration
	for range 9 {
		p.Click("h1")
		before := p.Text("#at")
		p.Until("it is another time", fmt.Sprintf(`document.querySelector("#at").textContent !== %q`, before))
		late = append(late, time.Duration(browsertest.Eval[float64](p, `(performance.now() - document.querySelector("#at").textContent) * 1e6`)))
	}
	slices.Sort(late)
	// Who looked every 200 ms would take 70 or more for each.
	if late[len(late)/2] > 50*time.Millisecond {
		t.Errorf("changes were seen after %v", late)
	}
}

// TestWrongClock: the page believes it, our own look at the page does not.
func TestWrongClock(t *testing.T) {
	url := site(t, map[string]string{"/": `<p></p><script nonce="x">
		document.querySelector("p").textContent = [Date.now(), +new Date(), new Date(0).toISOString(), Date.parse(Date()), performance.timeOrigin,
			Intl.DateTimeFormat().resolvedOptions().timeZone, new Date() instanceof Date].join(" ")</script>`})
	p := browsertest.Open(t, url)
	p.Clock(-2 * time.Hour)
	p.TimeZone("Asia/Tokyo")
	p.Go("/")
	var now, made, text, origin float64
	var epoch, zone, is string
	if _, err := fmt.Sscan(p.Text("p"), &now, &made, &epoch, &text, &origin, &zone, &is); err != nil {
		t.Fatal(err)
	}
	for name, ms := range map[string]float64{"Date.now": now, "new Date": made, "Date()": text, "timeOrigin": origin} {
		if off := time.Until(time.UnixMilli(int64(ms))) + 2*time.Hour; off.Abs() > time.Minute {
			t.Errorf("%s is wrong by %s and two hours", name, off)
		}
	}
	if epoch != "1970-01-01T00:00:00.000Z" || zone != "Asia/Tokyo" || is != "true" {
		t.Errorf("the page says %q", p.Text("p"))
	}
}

// TestTransferred: what comes over the network, packed and with its headers, of the last
// page only.
func TestTransferred(t *testing.T) {
	url := site(t, map[string]string{"/": strings.Repeat("<p>shop</p>", 5000), "/small": "x"})
	p := browsertest.Open(t, url)
	p.Go("/")
	big, each := p.Transferred()
	p.ClearCache()
	p.Slow(300 * time.Millisecond)
	began := time.Now()
	p.Go("/small")
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("a slow network took %s", took)
	}
	small, _ := p.Transferred()
	if big < 55000 || big > 57000 || small < 300 || small > 2000 {
		t.Errorf("the pages had %d and %d bytes: %v", big, small, each)
	}
}
