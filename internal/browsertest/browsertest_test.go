package browsertest_test

import (
	"bytes"
	"fmt"
	"html/template"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout/internal/browsertest"
)

// TestMain wants nothing to be left of the browser: no goroutine, no process, no file.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "backout-browsertest-")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("TMPDIR", dir)
	goleak.VerifyTestMain(cleaned{m}, goleak.Cleanup(func(code int) {
		if left := processes(dir); len(left) > 0 {
			fmt.Println("still running:", left)
			code = 1
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "backout-browser-*")); len(left) > 0 {
			fmt.Println("still there:", left)
			code = 1
		}
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// cleaned ends the browser after the last test.
type cleaned struct{ *testing.M }

func (c cleaned) Run() int {
	code := c.M.Run()
	browsertest.Clean()
	return code
}

// processes are those that were started with a folder of ours.
func processes(dir string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var left []string
	for _, file := range files {
		if line, _ := os.ReadFile(file); bytes.Contains(line, []byte(dir)) {
			left = append(left, file+" "+string(line[:min(len(line), 80)]))
		}
	}
	return left
}

// site serves pages by path; a page is the inside of a body.
func site(t *testing.T, pages map[string]string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-x'; style-src 'nonce-x'; connect-src 'self' http://127.0.0.1:9; img-src http: data:; form-action 'self'")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>%s</title><meta name="viewport" content="width=device-width">`+
			`<link rel="icon" href="data:,"></head><body><main><h1>A page</h1>%s</main></body></html>`, template.HTMLEscapeString(r.URL.Path), body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// recorder is a test that may fail without failing the one that looks at it.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	said   []string
	failed bool
	after  []func()
}

func (r *recorder) say(fails bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said, r.failed = append(r.said, text), r.failed || fails
}

func (r *recorder) Helper()                           {}
func (r *recorder) Cleanup(f func())                  { r.after = append(r.after, f) }
func (r *recorder) Errorf(format string, args ...any) { r.say(true, fmt.Sprintf(format, args...)) }
func (r *recorder) Logf(format string, args ...any)   { r.say(false, fmt.Sprintf(format, args...)) }
func (r *recorder) Failed() bool                      { r.mu.Lock(); defer r.mu.Unlock(); return r.failed }

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// verdict runs a test to its end and returns what it said, and whether it failed.
func verdict(t *testing.T, test func(testing.TB)) (failed bool, said string) {
	t.Helper()
	r := &recorder{TB: t}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			for i := len(r.after) - 1; i >= 0; i-- {
				r.after[i]()
			}
		}()
		test(r)
	}()
	<-over
	return r.failed, strings.Join(r.said, "\n")
}

// TestWhatTheBrowserComplainsOfFailsTheTest, unless the test has allowed it.
func TestWhatTheBrowserComplainsOfFailsTheTest(t *testing.T) {
	for name, c := range map[string]struct{ page, want string }{
		"console error":   {`<script nonce="x">console.error("shop", {a: 1}, 7)</script>`, "console error: shop"},
		"console warning": {`<script nonce="x">console.warn("beware")</script>`, "console warning: beware"},
		"exception":       {`<script nonce="x">null.shop</script>`, "Cannot read properties of null"},
		"lost promise":    {`<script nonce="x">Promise.reject(new Error("nobody cares"))</script>`, "nobody cares"},
		"policy, script":  {`<script>console.log("no")</script>`, "issue ContentSecurityPolicyIssue"},
		"policy, handler": {`<p onclick="alert(1)">x</p>`, "Content Security Policy"},
		"policy, style":   {`<p style="color: red">x</p>`, "Content Security Policy"},
		"not found":       {`<img src="/nowhere.png" alt="">`, "404"},
		"third party":     {`<img src="http://example.invalid/x.png" alt="">`, "request to another host: http://example.invalid/x.png"},
		"failed request":  {`<script nonce="x">fetch("http://127.0.0.1:9/").catch(() => {})</script>`, "request failed: http://127.0.0.1:9/"},
		"dialog":          {`<script nonce="x">alert("clicked")</script>`, "dialog: alert: clicked"},
		"window":          {`<script nonce="x">open("/other")</script>`, "another window was opened"},
		"frame":           {`<iframe src="/other"></iframe>`, "Content Security Policy"},
	} {
		t.Run(name, func(t *testing.T) {
			url := site(t, map[string]string{"/": c.page + `<p id="end">end</p>`, "/other": ""})
			look := func(t testing.TB, allow string) {
				p := browsertest.Open(t, url)
				if allow != "" {
					p.Allow(allow)
				}
				p.Go("/")
				p.WaitFor("#end")
				if allow == "" {
					waitForComplaint(p, c.want)
				}
			}
			if failed, said := verdict(t, func(t testing.TB) { look(t, "") }); !failed || !strings.Contains(said, c.want) {
				t.Errorf("want a failure with %q, it said:\n%s", c.want, said)
			}
			if failed, said := verdict(t, func(t testing.TB) { look(t, " ") }); !failed || !strings.Contains(said, "say which words") {
				t.Errorf("everything was allowed:\n%s", said)
			}
		})
	}
}

// waitForComplaint gives the browser the time to notice.
func waitForComplaint(p *browsertest.Page, words string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(strings.Join(p.Complaints(), "\n"), words) {
			return
		}
	}
}

// TestAllowedIsNoFailure: only so long as it is allowed.
func TestAllowedIsNoFailure(t *testing.T) {
	url := site(t, map[string]string{"/": `<script nonce="x">console.error("shop " + location.search)</script>`})
	failed, said := verdict(t, func(t testing.TB) {
		p := browsertest.Open(t, url)
		enough := p.Allow("shop ?one")
		p.Go("/?one")
		p.Go("/?two")
		enough()
		p.Go("/?one")
	})
	if !failed || strings.Count(said, "shop ?one") != 1 || strings.Count(said, "shop ?two") != 1 {
		t.Errorf("want one complaint of each, got:\n%s", said)
	}
}

// TestAFailedTestKeepsThePage as a picture and as its source.
func TestAFailedTestKeepsThePage(t *testing.T) {
	url := site(t, map[string]string{"/": `<p>shown</p>`})
	failed, said := verdict(t, func(t testing.TB) {
		p := browsertest.Open(t, url).Patient(300 * time.Millisecond)
		p.Go("/")
		p.WaitFor("#nowhere")
	})
	if !failed || !strings.Contains(said, "#nowhere is seen") || !strings.Contains(said, "shown") {
		t.Errorf("it said:\n%s", said)
	}
	for _, kind := range []string{"png", "html"} {
		if files, _ := filepath.Glob(filepath.Join(t.ArtifactDir(), "page-*."+kind)); len(files) != 1 {
			t.Errorf("kept as %s: %v", kind, files)
		}
	}
}

// TestPicturesHaveTheSizeOfTheWindow, in the theme that the person prefers.
func TestPicturesHaveTheSizeOfTheWindow(t *testing.T) {
	url := site(t, map[string]string{"/": `<style nonce="x">:root{color-scheme:light dark}@media(prefers-reduced-motion:reduce){p{display:none}}</style><p>moves</p>`})
	p := browsertest.Open(t, url)
	bright := map[string]uint32{}
	for _, v := range []browsertest.View{{}, {Width: 390, Height: 844, Dark: true, ReducedMotion: true}} {
		p.Emulate(v)
		p.Go("/")
		if p.Has("p") == v.ReducedMotion {
			t.Errorf("%s: the person's preference of motion is not known", v)
		}
		path := filepath.Join(t.TempDir(), "x.png")
		p.Screenshot(path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		size := picture.Bounds().Size()
		if want := strings.Fields(v.String())[0]; fmt.Sprintf("%dx%d", size.X, size.Y) != want {
			t.Errorf("the picture is %v, want %s", size, want)
		}
		bright[v.String()], _, _, _ = picture.At(size.X-2, size.Y-2).RGBA()
	}
	if bright["1280x800 light"] < 0xf000 || bright["390x844 dark"] > 0x4000 {
		t.Errorf("the themes are %v", bright)
	}
}

// TestPeopleShareNothing: two of them are two sessions.
func TestPeopleShareNothing(t *testing.T) {
	var visits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("who"); err == nil {
			fmt.Fprintf(w, "known as %s", c.Value)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "who", Value: fmt.Sprint(visits.Add(1)), HttpOnly: true, SameSite: http.SameSiteStrictMode})
		_, _ = w.Write([]byte("unknown"))
	}))
	t.Cleanup(srv.Close)
	for i, p := range []*browsertest.Page{browsertest.Open(t, srv.URL), browsertest.Open(t, srv.URL)} {
		p.Allow("issue QuirksModeIssue")
		p.Allow("favicon.ico")
		for _, want := range []string{"unknown", fmt.Sprintf("known as %d", i+1)} {
			p.Go("/")
			if got := p.Text("body"); got != want {
				t.Errorf("person %d is %q, want %q", i+1, got, want)
			}
		}
	}
}
