package dashboard

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

func unzipped(t *testing.T, data []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestPagesAreCompressedForWhoTakesIt, and no cache gives one to somebody else.
func TestPagesAreCompressedForWhoTakesIt(t *testing.T) {
	s := siteOf(t, &fake{})
	for accepts, squeezed := range map[string]bool{
		"": false, "gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "gzip;q=0": false, "gzip; q=0": false, "deflate": false, "xgzip": false,
	} {
		r := request("vic", "GET", "/", nil)
		r.Header.Set("Accept-Encoding", accepts)
		w := s.do(r)
		body := w.Body.String()
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != squeezed {
			t.Errorf("%q: compressed %v", accepts, got)
		}
		if w.Header().Get("Content-Length") != strconv.Itoa(len(body)) || w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %v", accepts, w.Header())
		}
		if squeezed {
			body = unzipped(t, w.Body.Bytes())
		}
		wants(t, body, "All quiet")
	}
}

// TestAPageThatIsToComeAgain: whoever asks for it has it so, and the stream of those who
// look at the same is the same.
func TestAPageThatIsToComeAgain(t *testing.T) {
	s := siteOf(t, &fake{})
	page := s.do(request("vic", "GET", "/changes?text=web&again=1", nil)).Body.String()
	wants(t, page, `content="30; url=/changes?text=web&amp;again=1"`, `hx-sse:connect="/live/changes?text=web"`, `<a href="/changes?text=web">let it stand still</a>`)
	if page = s.do(request("vic", "GET", "/changes?text=web", nil)).Body.String(); strings.Contains(page, "refresh") {
		t.Error("a page on which one can type comes again unasked")
	}
}

var (
	loaded = regexp.MustCompile(`(?:src|href|data-quiet|data-wait|data-bad)="(/assets/[^"]+)"`)
	nonces = regexp.MustCompile(`nonce="([^"]+)"`)
)

// TestWhatAPageLoadsIsThere, for whoever asks, and may be kept for ever, since its name is
// its content's.
func TestWhatAPageLoadsIsThere(t *testing.T) {
	s := siteOf(t, &fake{})
	names := loaded.FindAllStringSubmatch(s.page("vic", "/"), -1)
	if len(names) < 8 {
		t.Fatalf("the page loads %v", names)
	}
	for _, name := range names {
		for _, accepts := range []string{"", "gzip"} {
			r := request("", "GET", name[1], nil)
			r.Header.Set("Accept-Encoding", accepts)
			w := s.do(r)
			if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || w.Header().Get("Content-Encoding") != accepts ||
				w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") == "" || w.Body.Len() == 0 {
				t.Errorf("%s: answered %d %v", name[1], w.Code, w.Header())
			}
			asset, ok := ui.AssetNamed(strings.TrimPrefix(name[1], "/assets/"))
			if accepts == "gzip" && (!ok || unzipped(t, w.Body.Bytes()) != string(asset.Data)) {
				t.Errorf("%s: compressed it is something else", name[1])
			}
		}
	}
	for _, name := range []string{"style.css", "style-000000000000.css", "LICENSE-htmx", "..%2fui.go", "%2e%2e"} {
		if w := s.get("", "/assets/"+name); w.Code != http.StatusNotFound || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: answered %d %v", name, w.Code, w.Header())
		}
	}
}

// TestEachPageHasItsOwnNonce, which its policy names, and nothing else may run.
func TestEachPageHasItsOwnNonce(t *testing.T) {
	s := siteOf(t, &fake{})
	seen := map[string]bool{}
	for range 2 {
		w := s.get("vic", "/")
		policy := w.Header().Get("Content-Security-Policy")
		all := nonces.FindAllStringSubmatch(w.Body.String(), -1)
		if len(all) == 0 || seen[all[0][1]] || !strings.Contains(policy, "script-src 'nonce-"+all[0][1]+"';") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q, nonces %v", policy, all)
		}
		seen[all[0][1]] = true
	}
}

// TestAnErrorIsAPageForPeople, which leads on, and JSON for programs.
func TestAnErrorIsAPageForPeople(t *testing.T) {
	down := &fake{errs: map[string]error{"ListRollbacks": backout.ErrUnavailable}}
	for name, tt := range map[string]struct {
		f        *fake
		as, path string
		code     int
		says     []string
	}{
		"nothing there":  {&fake{}, "vic", "/no/such/page", 404, []string{"There is no such thing", `href="/changes"`, `href="/rollbacks"`, `href="/"`}},
		"not allowed":    {&fake{errs: map[string]error{"ListRollbacks": backout.ErrForbidden}}, "vic", "/", 403, []string{"Not for you"}},
		"the store away": {down, "vic", "/", 503, []string{"It does not work now", "load the page again"}},
		"not understood": {&fake{}, "vic", "/?x=1", 400, []string{"unknown query parameter", "That cannot be done"}},
	} {
		s := siteOf(t, tt.f)
		w := s.get(tt.as, tt.path)
		if w.Code != tt.code || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: answered %d %v", name, w.Code, w.Header())
		}
		wants(t, w.Body.String(), tt.says...)
		wants(t, w.Body.String(), w.Header().Get("X-Request-Id"), `href="/settings"`)
		for _, accept := range []string{"", "*/*", "application/json"} {
			r := request(tt.as, "GET", tt.path, nil)
			r.Header.Set("Accept", accept)
			w := s.do(r)
			var body struct{ Error handlers.ErrorBody }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != tt.code || body.Error.Code == "" {
				t.Errorf("%s for %q: answered %d %s", name, accept, w.Code, w.Body)
			}
		}
	}
	if w := siteOf(t, down).get("vic", "/"); w.Header().Get("Retry-After") == "" {
		t.Error("a page that does not work now does not say when to come again")
	}
}

// TestWhoIsNotSignedInIsLedThere, and back to the page that they wanted.
func TestWhoIsNotSignedInIsLedThere(t *testing.T) {
	s := siteOf(t, &fake{})
	if w := s.get("", "/"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next=%2F" {
		t.Errorf("answered %d %q", w.Code, w.Header().Get("Location"))
	}
	if w := s.get("nobody", "/"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/account" {
		t.Errorf("without a role: answered %d %q", w.Code, w.Header().Get("Location"))
	}
}

// TestWhatIsWrongWithTheServerStandsOnThePage.
func TestWhatIsWrongWithTheServerStandsOnThePage(t *testing.T) {
	f := &fake{
		notReady:   backout.ErrUnavailable,
		monitoring: handlers.MonitoringStatus{Watched: true, Blind: true, BlindSince: time.Now().Add(-time.Minute), LastSeen: time.Now().Add(-2 * time.Minute)},
		paused:     handlers.PauseState{On: true, By: "oz", Reason: "storm", At: time.Now()},
	}
	wants(t, siteOf(t, f).page("vic", "/"), "Not ready", "Monitoring is blind", "seen last at", "Everything is paused", "<title>BLIND")
	lacks(t, siteOf(t, f).page("vic", "/"), "All quiet")
}

// TestEveryAddressStandsBehindTheBase: behind a proxy that adds a path, nothing leads out
// of it.
func TestEveryAddressStandsBehindTheBase(t *testing.T) {
	f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}, offers: map[string][]handlers.Offer{"CHG1-r1": everyOffer()}}
	d := New(Options{Services: f.services(), Base: "/backout", People: true})
	defer d.Close()
	w, r := httptest.NewRecorder(), request("ann", "GET", "/", nil)
	ann := handlers.Actor{Name: "ann", Grants: []backout.Grant{{Role: backout.RoleApprover, Everywhere: true}}}
	if err := d.whole(d.pages()[0])(w, r.WithContext(handlers.WithActor(r.Context(), ann)), ann); err != nil {
		t.Fatal(err)
	}
	for _, address := range regexp.MustCompile(`(?:href|src|action|connect)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if to := address[1]; !strings.HasPrefix(to, "/backout/") && !strings.HasPrefix(to, "#") && to != "" {
			t.Errorf("the page leads to %q", to)
		}
	}
	wants(t, w.Body.String(), `hx-sse:connect="/backout/live"`)
}
