package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/browsertest"
)

// TestDashboardLosesItsServer: who looks at a page is told at once when nothing new can
// come, and the page goes on by itself when the server is there again.
func TestDashboardLosesItsServer(t *testing.T) {
	t.Parallel()
	d, srv, ids := redTargets(t, 2)
	ann := srv.looks("ann", true)
	ann.signsIn()
	ann.WaitFor(named("#badge", "live"))
	ann.mark()

	for _, words := range []string{"ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "htmx:sse:error"} {
		ann.Allow(words)
	}
	srv.kill()
	began := time.Now()
	ann.WaitFor(named("#badge.stale", "stale"))
	atOnce(t, "a killed server", began, 2*time.Second)
	ann.WaitFor(named("#lost", "what you see may be old"))
	browsertest.Accessible(t, ann.Page)

	srv = d.serve()
	began = time.Now()
	ann.WaitFor(named("#badge:not(.stale)", "live"))
	// What is tried again waits 4 s and a third at most.
	atOnce(t, "a server that is back", began, 8*time.Second)
	if code, _, said := srv.cli("rollback", "hold", ids[1], "--reason", "by somebody else"); code != 0 {
		t.Fatalf("hold: %s", said)
	}
	ann.WaitFor(named("#"+ids[1]+" .state", "held"))

	// One that hangs says nothing: the page notices that.
	if err := srv.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	ann.WaitFor(named("#badge.stale", "stale"))
	atOnce(t, "a server that hangs", began, 14*time.Second)
	if err := srv.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ann.WaitFor(named("#badge:not(.stale)", "live"))
	if !ann.marked() {
		t.Error("the page was loaded again")
	}
}

func atOnce(t *testing.T, what string, began time.Time, within time.Duration) {
	t.Helper()
	took := time.Since(began)
	t.Logf("%s is noticed after %s", what, took.Round(10*time.Millisecond))
	if took > within {
		t.Errorf("%s is noticed after %s, want %s at most", what, took.Round(10*time.Millisecond), within)
	}
}

// TestDashboardScriptsInAnyOrder: a script that comes late, over a bad network, comes not
// too late.
func TestDashboardScriptsInAnyOrder(t *testing.T) {
	t.Parallel()
	d := newDuty(t, time.Minute)
	srv := d.serve()
	for _, late := range []string{"htmx.min", "hx-sse", "hx-csp", "page"} {
		t.Run(late, func(t *testing.T) {
			through := proxyTo(t, srv)
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/assets/"+late) {
					<-time.After(500 * time.Millisecond)
				}
				through.ServeHTTP(w, r)
			}))
			defer proxy.Close()
			defer proxy.CloseClientConnections() // which a browser opens before it needs them
			ann := &look{Page: browsertest.Open(t, proxy.URL), t: t, name: "ann", scripts: true}
			defer ann.Go("/login") // ends the stream, which the proxy waits for
			ann.signsIn()
			ann.WaitFor(named("#badge", "live"))
			srv.mustCLI("pause", "--reason", "late "+late)
			began := time.Now()
			ann.WaitFor(named(".banner", "late "+late))
			atOnce(t, "a pause", began, 2*time.Second)
			srv.mustCLI("resume", "--reason", "enough")
			ann.WaitGone(named(".banner", "late "+late))
		})
	}
}

// proxyTo leads to the server; what streams is passed on at once.
func proxyTo(t *testing.T, srv *server) *httputil.ReverseProxy {
	t.Helper()
	to, err := url.Parse(srv.url)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(to)
	through.FlushInterval = -1
	return through
}

// TestDashboardBeginsAnew: a page whose stream could not begin says that it may be old,
// and begins again once the server lets it.
func TestDashboardBeginsAnew(t *testing.T) {
	t.Parallel()
	d := newDuty(t, time.Minute)
	srv := d.serve()
	through := proxyTo(t, srv)
	var refused atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" && !refused.Swap(true) {
			http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
			return
		}
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	defer proxy.CloseClientConnections()
	ann := &look{Page: browsertest.Open(t, proxy.URL), t: t, name: "ann", scripts: true}
	defer ann.Go("/login")
	for _, words := range []string{"503", "htmx:"} {
		ann.Allow(words)
	}
	ann.signsIn()
	// Stale is shown for no longer than it takes to load the page anew.
	ann.WaitFor(named("#badge:not(.stale)", "live"))
	if !refused.Load() {
		t.Error("the page is live without the stream that was refused")
	}
	srv.mustCLI("pause", "--reason", "a storm")
	ann.WaitFor(named(".banner", "a storm"))
}

// TestDashboardSignsInAnew: a page whose session ended while its stream was down goes to
// where people sign in, and comes back. Where only the stream is refused, it tries that
// once: it must not load itself again and again.
func TestDashboardSignsInAnew(t *testing.T) {
	t.Parallel()
	d := newDuty(t, time.Minute)
	srv := d.serve()
	through := proxyTo(t, srv)
	var ended, refused atomic.Bool
	var loads atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/live" && refused.Load():
			http.Error(w, "not for you", http.StatusForbidden)
			return
		case r.URL.Path == "/" && r.Method == http.MethodGet:
			loads.Add(1)
		case r.URL.Path == "/login" && r.Method == http.MethodPost:
			ended.Store(false)
		}
		if ended.Load() {
			r.Header.Del("Cookie")
		}
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	defer proxy.CloseClientConnections()
	ann := &look{Page: browsertest.Open(t, proxy.URL), t: t, name: "ann", scripts: true}
	defer ann.Go("/login")
	for _, words := range []string{"401", "403", "htmx:", "ERR_"} {
		ann.Allow(words)
	}
	ann.signsIn()
	ann.WaitFor(named("#badge", "live"))
	ended.Store(true)
	began := time.Now()
	proxy.CloseClientConnections()
	ann.WaitFor("#password")
	atOnce(t, "a session that has ended", began, 8*time.Second)
	if at := ann.Path(); at != "/login?next=%2F" {
		t.Errorf("it leads to %s", at)
	}
	ann.signsIn()
	ann.WaitFor(named("#badge", "live"))

	loads.Store(0)
	refused.Store(true)
	proxy.CloseClientConnections()
	ann.WaitFor(named("#badge.stale", "stale"))
	ann.WaitFor(named("#badge.stale", "stale 15s"))
	if n := loads.Load(); n != 1 {
		t.Errorf("it was loaded %d times, want once", n)
	}
}

// TestDashboardKeepsWhatWasTyped: a reason that was refused is in its form again, as the
// server writes it there, and stays when the page is kept up to date.
func TestDashboardKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	_, srv, ids := redTargets(t, 1)
	form := ids[0] + "-pause"
	refused := strings.NewReplacer(`id="`+form+`"`, `id="`+form+`" open`, `id="`+form+`-why"`, `id="`+form+`-why" value="it is the disk"`)
	through := proxyTo(t, srv)
	through.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path != "/rollbacks/"+ids[0] {
			return nil
		}
		page, err := io.ReadAll(r.Body)
		body := refused.Replace(string(page))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return err
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept-Encoding", "identity")
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	defer proxy.CloseClientConnections()
	ann := &look{Page: browsertest.Open(t, proxy.URL), t: t, name: "ann", scripts: true}
	defer ann.Go("/login")
	ann.signsIn()
	ann.Go("/rollbacks/" + ids[0])
	ann.WaitFor(named("#badge", "live"))
	if code, _, said := srv.cli("rollback", "deny", ids[0], "--level", "L1", "--reason", "not yet"); code != 0 {
		t.Fatalf("deny: %s", said)
	}
	ann.WaitFor(named("#"+ids[0]+" .state", "held"))
	if typed := browsertest.Eval[string](ann.Page, `document.querySelector("details[open] input[name=reason]")?.value ?? "no form is open"`); typed != "it is the disk" {
		t.Errorf("the form has %q", typed)
	}
}
