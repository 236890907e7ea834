package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Program {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(Main(ctx, os.Stdout))
	}
	os.Exit(m.Run())
}

// api is one that rebuilds machines: each new key begins a job.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	posts []*http.Request
	body  []string
	keys  map[string]bool
	state string
	drop  bool
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{keys: map[string]bool{}, state: "successful"}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// ServeHTTP implements [http.Handler].
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		a.posts, a.body = append(a.posts, r), append(a.body, string(body))
		a.keys[r.Header.Get("Idempotency-Key")] = true
		if a.drop {
			a.drop = false
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "/jobs/7")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"id": 7, "data": {"link": "a/b"}}`)
	case r.URL.Path == "/jobs/7":
		fmt.Fprintf(w, `{"status": %q}`, a.state)
	case r.URL.Path == "/image":
		fmt.Fprint(w, `{"image": {"digest": "sha256:1"}}`)
	case r.URL.Path == "/gone":
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("Authorization") == "Bearer wrong":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (a *api) set(state string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = state
}

func (a *api) effects() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.posts)
}

func (a *api) section(more string) string {
	return fmt.Sprintf(`{"url": %q, "poll": {"field": "status", "done": ["successful"], "failed": ["failed"], "every": "100ms"}%s}`, a.URL+"/launch/{target}", more)
}

func TestConformance(t *testing.T) {
	a := newAPI(t)
	a.set("running")
	slow := a.section("")
	quick := fmt.Sprintf(`{"url": %q}`, a.URL+"/quick")
	executorstest.Run(t, executorstest.Suite{
		Kind: Kind(), Quick: quick, Effects: a.effects,
		Slow: slow, SlowSays: "status: running", Release: func() { a.set("successful") },
		Bad: map[string]string{
			`{"url": ""}`:                                                                                                              "url",
			`{"url": "http://api.example.com/"}`:                                                                                       "use https",
			`{"url": "https://{target}/"}`:                                                                                             "placeholder in its host",
			`{"url": "https://u:p@a.example.com/"}`:                                                                                    "without user",
			`{"url": "https://a.example.com/{alert}"}`:                                                                                 "{alert} is not known",
			`{"url": "https://a.example.com/", "method": "GET"}`:                                                                       "method",
			`{"url": "https://a.example.com/", "user": "u"}`:                                                                           "belong together",
			`{"url": "https://a.example.com/", "body": {"a": "{x}"}}`:                                                                  "{x} is not known",
			`{"url": "https://a.example.com/", "headers": {"authorization": "x"}}`:                                                     "Authorization is a secret",
			`{"url": "https://a.example.com/", "poll": {"field": "a", "done": ["x"], "failed": []}}`:                                   "at least one of each",
			`{"url": "https://a.example.com/", "poll": {"field": "a", "done": ["x"], "failed": ["x"]}}`:                                "both done and failed",
			`{"url": "https://a.example.com/", "ready": {"url": "https://a.example.com/", "field": "a"}}`:                              "belong together",
			`{"url": "https://a.example.com/", "expect_status": [7]}`:                                                                  "not an HTTP status",
			`{"url": "https://a.example.com/", "poll": {"url": "https://{answer.id}/", "field": "a", "done": ["x"], "failed": ["y"]}}`: "placeholder in its host",
		},
	})
}

func run(t *testing.T, section, attempt string) (backout.Outcome, string, error) {
	t.Helper()
	var out bytes.Buffer
	h := executorstest.Local(t)
	o, err := executorstest.Build(t, Kind(), section).Execute(t.Context(), executorstest.Task(Kind(), attempt), h, &out)
	return o, out.String(), err
}

// TestTheRequestSaysWhoAsksForWhat: placeholders are escaped where they stand, and
// the key is the attempt's id.
func TestTheRequestSaysWhoAsksForWhat(t *testing.T) {
	a := newAPI(t)
	section := a.section(`, "body": {"vars": {"host": "{target}", "list": ["{change_id}/{attempt}", 3]}}, "headers": {"X-Team": "web"}`)
	task := executorstest.Task(Kind(), "CHG1-r1.L3.s1.t1.a1")
	task.Target.Name = "web/1?x"
	h := executorstest.Local(t)
	if _, err := executorstest.Build(t, Kind(), section).Execute(t.Context(), task, h, io.Discard); err != nil {
		t.Fatal(err)
	}
	got := a.posts[0]
	if got.RequestURI != "/launch/web%2F1%3Fx" || got.Header.Get("Idempotency-Key") != task.AttemptID || got.Header.Get("X-Team") != "web" {
		t.Errorf("asked %s with %v", got.RequestURI, got.Header)
	}
	var body map[string]map[string]any
	if err := json.Unmarshal([]byte(a.body[0]), &body); err != nil || body["vars"]["host"] != "web/1?x" || fmt.Sprint(body["vars"]["list"]) != "[CHG1/CHG1-r1.L3.s1.t1.a1 3]" {
		t.Errorf("body %s (%v)", a.body[0], err)
	}
}

// TestThePolledStateIsTheEnd: a yes to the request is not the end of the work.
func TestThePolledStateIsTheEnd(t *testing.T) {
	a := newAPI(t)
	a.set("failed")
	o, out, err := run(t, a.section(""), "failed")
	if err == nil || errors.Is(err, backout.ErrInDoubt) || !strings.Contains(err.Error(), `ended as "failed"`) || o.ExitCode == 0 {
		t.Errorf("%+v, %v\n%s", o, err, out)
	}
}

// TestALostAnswerIsInDoubt: the request may have arrived, and is not sent again.
func TestALostAnswerIsInDoubt(t *testing.T) {
	a := newAPI(t)
	a.drop = true
	_, out, err := run(t, a.section(""), "lost")
	if !errors.Is(err, backout.ErrInDoubt) || a.effects() != 1 {
		t.Errorf("%v after %d requests\n%s", err, a.effects(), out)
	}
}

// TestALostAnswerIsAskedAgainWhereTheKeyCounts: with the same key.
func TestALostAnswerIsAskedAgainWhereTheKeyCounts(t *testing.T) {
	a := newAPI(t)
	a.drop = true
	_, out, err := run(t, a.section(`, "repeat": true`), "repeat")
	if err != nil || a.effects() != 2 || len(a.keys) != 1 {
		t.Errorf("%v after %d requests with %d keys\n%s", err, a.effects(), len(a.keys), out)
	}
}

// TestAnAnswerThatSaysNoIsAFailure, and its text is told.
func TestAnAnswerThatSaysNoIsAFailure(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, "machine\nis locked")
	}))
	defer s.Close()
	_, _, err := run(t, fmt.Sprintf(`{"url": %q}`, s.URL), "no")
	if err == nil || errors.Is(err, backout.ErrInDoubt) || !strings.Contains(err.Error(), "409 machine is locked") {
		t.Error(err)
	}
}

// TestALocationElsewhereIsNotFollowed: the secret would go there.
func TestALocationElsewhereIsNotFollowed(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL+"/jobs/1")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	_, _, err := run(t, fmt.Sprintf(`{"url": %q, "poll": {"field": "status", "done": ["a"], "failed": ["b"]}}`, s.URL), "elsewhere")
	if !errors.Is(err, backout.ErrInDoubt) || !strings.Contains(err.Error(), "another host") || asked {
		t.Errorf("%v, other host asked: %t", err, asked)
	}
}

// TestNothingListensIsAFailureInTime: what was never sent is no doubt.
func TestNothingListensIsAFailureInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	w := work{Method: http.MethodPost, URL: "http://" + address}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.send(ctx); err == nil || errors.Is(err, backout.ErrInDoubt) {
		t.Error(err)
	}
}

// TestSecretsStayOutOfArgvAndOutput: and reach the API.
func TestSecretsStayOutOfArgvAndOutput(t *testing.T) {
	a := newAPI(t)
	r := Request{Config{URL: a.URL + "/x", Token: backout.SecretValue("t0ken-t0ken")}}
	w, err := r.work(executorstest.Task(Kind(), "secret"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := w.exec()
	if err != nil || strings.Contains(strings.Join(e.Argv, " "), "t0ken") {
		t.Errorf("argv %q, %v", e.Argv, err)
	}
	var out bytes.Buffer
	h := executorstest.Local(t)
	if _, err := r.Execute(t.Context(), executorstest.Task(Kind(), "secret"), h, &out); err != nil {
		t.Fatal(err)
	}
	if a.posts[0].Header.Get("Authorization") != "Bearer t0ken-t0ken" || strings.Contains(out.String(), "t0ken") {
		t.Errorf("header %q, output %q", a.posts[0].Header.Get("Authorization"), out.String())
	}
}

func TestPreflightAsksTheAPI(t *testing.T) {
	a := newAPI(t)
	for name, c := range map[string]struct{ section, want string }{
		"405 is an answer":  {a.section(""), ""},
		"not found":         {fmt.Sprintf(`{"url": %q}`, a.URL+"/gone"), "answers 404"},
		"image is there":    {a.section(fmt.Sprintf(`, "ready": {"url": %q, "field": "image.digest", "equals": "sha256:1"}`, a.URL+"/image")), ""},
		"image is another":  {a.section(fmt.Sprintf(`, "ready": {"url": %q, "field": "image.digest", "equals": "sha256:2"}`, a.URL+"/image")), `want "sha256:2"`},
		"image is not told": {a.section(fmt.Sprintf(`, "ready": {"url": %q}`, a.URL+"/gone")), "want 200"},
		"nobody there":      {`{"url": "http://127.0.0.1:1/"}`, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p, ok := executorstest.Build(t, Kind(), c.section).(backout.Preflighter)
			if !ok {
				t.Fatal("no preflight")
			}
			got := p.Preflight(t.Context(), executorstest.Task(Kind(), "p"), nil)
			if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0].Reason, c.want)) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
	if a.effects() != 0 {
		t.Errorf("the gate sent %d requests that do something", a.effects())
	}
	wrong := Request{Config{URL: a.URL + "/x", Token: backout.SecretValue("wrong")}}
	if got := wrong.Preflight(t.Context(), executorstest.Task(Kind(), "p"), nil); len(got) != 1 || !strings.Contains(got[0].Reason, "401") {
		t.Errorf("with a wrong token %+v", got)
	}
}
