package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is the real binary, which people run; programDir is removed at the end.
var (
	programDir string
	program    = sync.OnceValues(func() (string, error) {
		var err error
		if programDir, err = os.MkdirTemp("", "backout-demo-test-"); err != nil {
			return "", err
		}
		path := filepath.Join(programDir, "backout")
		build := exec.Command("go", "build", "-o", path, "../../cmd/backout")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", errors.Join(err, errors.New(string(out)))
		}
		return path, nil
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(programDir) // nothing where it is empty
	os.Exit(code)
}

func built(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return path
}

// inOrder fails unless the story has the parts one after the other.
func inOrder(t *testing.T, story string, parts ...string) {
	t.Helper()
	rest := story
	for _, want := range parts {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the story lacks %q, in this order:\n%s", want, story)
		}
		rest = after
	}
}

// TestDemoBringsTheShopBack runs the README's first command, as people run it:
// the real binary, its real store, a real service, real scripts.
func TestDemoBringsTheShopBack(t *testing.T) {
	var out safeBuffer
	if err := Run(t.Context(), Options{Dir: t.TempDir(), Exit: true, Program: built(t), Out: &out}); err != nil {
		t.Fatalf("demo: %v\n%s", err, out.String())
	}
	story := out.String()
	inOrder(t, story, "dashboard    http://127.0.0.1:", "sign in as ann",
		"it is well", "its window is open", "the shop is red", "opened for web-1 by rule ShopErrorsAfterPatch", "L1 starts", "step done on web-1: exit 0",
		"L1 did not help (time)", "L2 starts", "web-1 is green", "recovered: every target was green for 2s", "it says: ✅ CHG0030001 has recovered", "is well again",
		"without anybody touching anything")
	for _, notice := range []string{"[to ops]", "[to stakeholders]"} {
		if !strings.Contains(story, notice) {
			t.Errorf("nobody was told %s:\n%s", notice, story)
		}
	}
}

// TestTheStoryWaitsForWhoLooks: it begins when the dashboard is opened by its link, which
// signs ann in. L2 does not start while its window is open; ann holds it by the button of
// the page, and aborts it. The demo then says that people wanted it so, and stays up.
func TestTheStoryWaitsForWhoLooks(t *testing.T) {
	d := begin(t, pace{wait: time.Hour, every: "200ms", holdFor: "500ms", escalateAfter: "1s", veto: "1h", watchdog: time.Second})
	d.says("the story begins when you have opened it")
	if story := d.out.String(); strings.Contains(story, "its window is open") {
		t.Fatalf("it began before anybody looked:\n%s", story)
	}
	first, _, _ := strings.Cut(d.out.String(), "\n")
	if !strings.Contains(first, "dashboard    open http://127.0.0.1:") {
		t.Errorf("its first line does not lead to the dashboard: %s", first)
	}
	ann := d.opens("ann")
	ann.sees("/", "backout", ">ann</a>")
	d.says("L1 did not help (time)")
	d.says("unless somebody holds it")
	ann.sees("/", "waits for a decision", "until L2 (restore the snapshot) starts", ">Hold</button>")
	ann.sees("/settings", "the demo&#39;s command line", "operator everywhere")
	ann.does("hold")
	d.says("held by ann")
	ann.sees("/", "held")
	ann.does("abort")
	d.says("because people wanted it so")
	ann.sees("/", "All quiet")
	d.end(nil)
}

// TestTheSlowStoryEndsWell: nobody has to do anything; L2 starts when its window is over.
func TestTheSlowStoryEndsWell(t *testing.T) {
	d := begin(t, pace{wait: time.Millisecond, every: "200ms", holdFor: "500ms", escalateAfter: "1s", veto: "1s", watchdog: time.Second})
	d.says("the server stays up until Ctrl-C")
	inOrder(t, d.out.String(), "L1 starts", "L1 did not help (time)", "L2 starts at", "unless somebody holds it", "L2 starts", "recovered", "without anybody touching anything")
	ben := d.opens("ben")
	ben.sees("/", "All quiet", "Monitoring was last heard", ">ben</a>")
	d.end(nil)
}

// running is a demo that runs.
type running struct {
	t    *testing.T
	out  *safeBuffer
	stop context.CancelFunc
	done chan error
}

func begin(t *testing.T, p pace) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &running{t: t, out: &safeBuffer{}, stop: cancel, done: make(chan error, 1)}
	o := Options{Dir: t.TempDir(), Program: built(t), Out: d.out, pace: &p}
	go func() { d.done <- Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if d.done != nil {
			<-d.done
		}
	})
	return d
}

// says waits until the demo has said it.
func (d *running) says(text string) {
	d.t.Helper()
	d.poll(func() bool { return strings.Contains(d.out.String(), text) }, text)
}

// poll waits for what comes by itself.
func (d *running) poll(is func() bool, what string) {
	d.t.Helper()
	late := time.After(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case err := <-d.done:
			d.done = nil
			d.t.Fatalf("the demo ended before %q: %v\n%s", what, err, d.out.String())
		case <-late:
			d.t.Fatalf("%q did not come:\n%s", what, d.out.String())
		}
	}
}

// end presses Ctrl-C.
func (d *running) end(want error) {
	d.t.Helper()
	d.stop()
	err := <-d.done
	d.done = nil
	if !errors.Is(err, want) {
		d.t.Errorf("the demo ended with %v\n%s", err, d.out.String())
	}
}

// visitor is somebody's browser.
type visitor struct {
	*running
	client *http.Client
	at     *url.URL
}

// opens follows the link that the demo has printed.
func (d *running) opens(name string) *visitor {
	d.t.Helper()
	link := regexp.MustCompile(`http://[^ ]+/` + name + `/[a-z0-9]+`).FindString(d.out.String())
	jar, err := cookiejar.New(nil)
	if err != nil || link == "" {
		d.t.Fatalf("no link for %s: %v\n%s", name, err, d.out.String())
	}
	v := &visitor{running: d, client: &http.Client{Jar: jar}}
	res, _ := v.ask(http.MethodGet, link, nil)
	if v.at = res.Request.URL; res.StatusCode != http.StatusOK || v.at.Path != "/" {
		d.t.Fatalf("%s led to %s: %s", link, v.at, res.Status)
	}
	return v
}

func (v *visitor) ask(method, address string, form url.Values) (*http.Response, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "a browser")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(text)
}

// sees loads the page again until it has all of the parts.
func (v *visitor) sees(path string, parts ...string) {
	v.t.Helper()
	var page string
	v.poll(func() bool {
		_, page = v.ask(http.MethodGet, v.at.ResolveReference(&url.URL{Path: path}).String(), nil)
		for _, part := range parts {
			if !strings.Contains(page, part) {
				return false
			}
		}
		return true
	}, strings.Join(parts, ", ")+" on "+path)
}

// does presses a button of the page.
func (v *visitor) does(answer string) {
	v.t.Helper()
	res, page := v.ask(http.MethodPost, v.at.ResolveReference(&url.URL{Path: "/rollbacks/" + changeID + "-r1/answer"}).String(), url.Values{"answer": {answer}, "reason": {"a look"}, "back": {"now"}})
	if res.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %s\n%s", answer, res.Status, page)
	}
}

// TestDemoSaysWhatIsMissing: a program that cannot be the shop is one clear error, and so
// is an address at which nothing can listen.
func TestDemoSaysWhatIsMissing(t *testing.T) {
	err := Run(t.Context(), Options{Dir: t.TempDir(), Exit: true, Program: filepath.Join(t.TempDir(), "missing"), Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "start shop") {
		t.Errorf("got %v", err)
	}
	for listen, says := range map[string]string{"8420": "want HOST:PORT", "127.0.0.1:99999": "listen on 127.0.0.1:99999", "0.0.0.0:0": "can be reached from other machines"} {
		err := Run(t.Context(), Options{Dir: t.TempDir(), Exit: true, Program: built(t), Out: io.Discard, Listen: listen})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("listen on %s: got %v", listen, err)
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
