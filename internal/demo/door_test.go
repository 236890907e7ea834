package demo

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// login is the product's page of the login, and who got in.
type login struct {
	in, broken atomic.Int64
	agent      string
}

func (l *login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	field := `<input type="hidden" name="form" value="0badcafe">`
	switch cookie, err := r.Cookie("backout-login"); {
	case l.broken.Add(-1) >= 0:
		http.Error(w, "no", http.StatusServiceUnavailable)
	case r.Method == http.MethodGet:
		http.SetCookie(w, &http.Cookie{Name: "backout-login", Value: "flow"})
		_, _ = w.Write([]byte(field))
	case err != nil || cookie.Value != "flow" || r.FormValue("form") != "0badcafe" || r.Header.Get("Origin") != "http://"+r.Host || r.FormValue("name") != "ann" || r.FormValue("password") != "secret of ann":
		http.Error(w, "who are you?", http.StatusForbidden)
	default:
		l.in.Add(1)
		l.agent = r.UserAgent()
		w.Header().Add("Set-Cookie", "backout-session=bos_1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func doorTo(t *testing.T) (*door, *login, string) {
	t.Helper()
	l := &login{}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	d := newDoor(server.URL)
	return d, l, d.linkFor(Person{Name: "ann", password: "secret of ann"})
}

func knock(d *door, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("User-Agent", "a browser")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func (d *door) isOpen() bool {
	select {
	case <-d.opened:
		return true
	default:
		return false
	}
}

// TestALinkSignsInOnce: the browser gets the product's own cookie as it was made, for a
// session that is its own; the same link again only leads to where people sign in.
func TestALinkSignsInOnce(t *testing.T) {
	d, l, link := doorTo(t)
	w := knock(d, http.MethodGet, link)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != d.server+"/" || l.agent != "a browser" || !d.isOpen() {
		t.Errorf("%d to %s as %q", w.Code, w.Header().Get("Location"), l.agent)
	}
	if got := w.Header().Get("Set-Cookie"); got != "backout-session=bos_1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax" {
		t.Errorf("the cookie is %q", got)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the link may be kept or told on: %v", w.Header())
	}
	w = knock(d, http.MethodGet, link)
	if w.Header().Get("Location") != d.server+"/login" || w.Header().Get("Set-Cookie") != "" || l.in.Load() != 1 {
		t.Errorf("again: to %s with %q, %d sessions", w.Header().Get("Location"), w.Header().Get("Set-Cookie"), l.in.Load())
	}
}

// TestTheDoorIsShut: for who does not know a link, has another's name, or only looks
// whether it is there.
func TestTheDoorIsShut(t *testing.T) {
	d, l, link := doorTo(t)
	key := strings.TrimPrefix(link, "/ann/")
	for _, path := range []string{"/", "/ann", "/ann/", "/ann/" + key[:len(key)-1], "/ben/" + key, "/" + key, link + "/x", "//" + key} {
		if w := knock(d, http.MethodGet, path); w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != d.server+"/login" {
			t.Errorf("%s: %d to %s", path, w.Code, w.Header().Get("Location"))
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodOptions} {
		if w := knock(d, method, link); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	if l.in.Load() != 0 || d.isOpen() {
		t.Errorf("%d sessions", l.in.Load())
	}
	if knock(d, http.MethodGet, link); l.in.Load() != 1 {
		t.Error("the link is used up by looking at it")
	}
}

// TestALinkThatFailedIsGoodYet: a server that did not answer is said, and the link is not
// used up by it.
func TestALinkThatFailedIsGoodYet(t *testing.T) {
	d, l, link := doorTo(t)
	l.broken.Store(1)
	if w := knock(d, http.MethodGet, link); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "503") || d.isOpen() {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := knock(d, http.MethodGet, link); w.Code != http.StatusSeeOther || l.in.Load() != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestTwoClicksAreOneSession: whoever is second gets none.
func TestTwoClicksAreOneSession(t *testing.T) {
	d, l, link := doorTo(t)
	var clicks sync.WaitGroup
	for range 8 {
		clicks.Go(func() { knock(d, http.MethodGet, link) })
	}
	if clicks.Wait(); l.in.Load() != 1 {
		t.Errorf("%d sessions", l.in.Load())
	}
}

// TestPasswordsAreNobodyElses: no two are the same, and what is kept is a hash.
func TestPasswordsAreNobodyElses(t *testing.T) {
	people, err := newPeople()
	again, errAgain := newPeople()
	if errors.Join(err, errAgain) != nil {
		t.Fatal(err, errAgain)
	}
	seen := map[string]bool{}
	for _, p := range append(people, again...) {
		if len(p.password) < 16 || seen[p.password] || strings.Contains(p.Hash, p.password) {
			t.Errorf("%s has %d letters, seen %v", p.Name, len(p.password), seen[p.password])
		}
		seen[p.password] = true
	}
}
