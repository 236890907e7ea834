package dashboard

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// site is a whole server in memory: the real routes, rights and pages on a fake.
type site struct {
	*fake
	t testing.TB
	h *handlers.Handler

	people sync.Mutex
	gone   map[string]bool
	who    map[string]handlers.Actor
}

// siteOf serves the fake. It has these people: ann approves, oz operates, vic looks,
// amy writes changes, adam runs the server, and wendy approves for the web team alone;
// nobody has no role at all. [site.join] takes more in.
func siteOf(t testing.TB, f *fake) *site {
	t.Helper()
	s := &site{fake: f, t: t, gone: map[string]bool{}, who: map[string]handlers.Actor{}}
	for name, role := range map[string]backout.Role{
		"ann": backout.RoleApprover, "oz": backout.RoleOperator, "vic": backout.RoleViewer, "amy": backout.RoleAuthor, "adam": backout.RoleAdmin,
	} {
		s.join(handlers.Actor{Name: name, Grants: []backout.Grant{{Role: role, Everywhere: true}}})
	}
	s.join(handlers.Actor{Name: "wendy", Grants: []backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"team": "web"}}}})
	s.join(handlers.Actor{Name: "nobody"})
	services := f.services()
	d := New(Options{Services: services, People: true, Version: "1.2.3"})
	t.Cleanup(d.Close)
	s.h = handlers.New(handlers.Options{
		Changes: services.Changes, Baselines: services.Baselines, Rollbacks: services.Rollbacks, Rules: services.Rules,
		Control: services.Control, Insight: services.Insight, Sessions: s, Pages: d.Pages(), ErrorPage: d.Error,
	})
	return s
}

// join takes somebody in, who has signed in with a browser; again, as they are now.
func (s *site) join(who handlers.Actor) {
	s.people.Lock()
	defer s.people.Unlock()
	who.Via = "dashboard"
	s.who[who.Name] = who
}

// leave ends somebody's session.
func (s *site) leave(name string) {
	s.people.Lock()
	defer s.people.Unlock()
	s.gone[name] = true
}

// Identify implements [handlers.Sessions]: the header As says who it is.
func (s *site) Identify(r *http.Request) (handlers.Actor, bool, error) {
	s.people.Lock()
	defer s.people.Unlock()
	who, ok := s.who[r.Header.Get("As")]
	return who, ok && !s.gone[who.Name], nil
}

// request is what somebody's browser asks for.
func request(as, method, path string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8420"+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = "127.0.0.1:40000"
	r.Header.Set("As", as)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (s *site) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

// get asks for a page.
func (s *site) get(as, path string) *httptest.ResponseRecorder {
	return s.do(request(as, http.MethodGet, path, nil))
}

// post sends a form. The fields are pairs of name and value.
func (s *site) post(as, path string, fields ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		form.Add(pair[0], pair[1])
	}
	return s.do(request(as, http.MethodPost, path, form))
}

// page asks for a page that is there, and returns it.
func (s *site) page(as, path string) string {
	s.t.Helper()
	w := s.get(as, path)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		s.t.Fatalf("GET %s as %s: answered %d %s", path, as, w.Code, w.Body)
	}
	return w.Body.String()
}

// wants fails for each part that the page lacks.
func wants(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
}

// lacks fails for each part that the page has.
func lacks(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(page, part) {
			t.Errorf("the page has %q:\n%s", part, page)
		}
	}
}

// open is an open page: what its stream has sent so far. It is for tests in a bubble of
// testing/synctest.
type open struct {
	header http.Header
	mu     sync.Mutex
	code   int
	text   bytes.Buffer
	// written has something in it after a write, done is closed at the end.
	written chan struct{}
	done    chan struct{}
}

// follow opens the stream of a page, at its own address, until ctx of the request ends.
func (s *site) follow(r *http.Request) *open {
	o := &open{header: http.Header{}, written: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		s.h.ServeHTTP(o, r)
	}()
	return o
}

func (o *open) Header() http.Header { return o.header }

func (o *open) WriteHeader(code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.code = code
}

func (o *open) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.written <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

// Flush implements [http.Flusher].
func (o *open) Flush() {}

// event is one event as a browser reads it.
type event struct{ name, data string }

// events takes the events that came since it was asked last.
func (o *open) events() (out []event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	// A line ends with either of these, or both.
	text := strings.ReplaceAll(strings.ReplaceAll(o.text.String(), "\r\n", "\n"), "\r", "\n")
	o.text.Reset()
	for block := range strings.SplitSeq(text, "\n\n") {
		e := event{name: "message"}
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			switch field, value, _ := strings.Cut(line, ":"); field {
			case "event":
				e.name = strings.TrimPrefix(value, " ")
			case "data":
				data = append(data, strings.TrimPrefix(value, " "))
			}
		}
		if e.data = strings.Join(data, "\n"); len(data) > 0 {
			out = append(out, e)
		}
	}
	return out
}

// pages are those among the events that are pages.
func (o *open) pages() (out []string) {
	for _, e := range o.events() {
		if e.name == "message" {
			out = append(out, e.data)
		}
	}
	return out
}
