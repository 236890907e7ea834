package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestErrorsAreForWhoeverAsks: a browser gets a page that leads on, a program the API's
// shape, and what is not there is 404 for both.
func TestErrorsAreForWhoeverAsks(t *testing.T) {
	s := siteOf(t, &fake{})
	w := s.get("vic", "/nowhere")
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	wants(t, w.Body.String(), "There is no such thing", `href="/changes"`)
	r := request("vic", http.MethodGet, "/nowhere", nil)
	r.Header.Set("Accept", "application/json")
	if w := s.do(r); w.Code != http.StatusNotFound || !strings.HasPrefix(w.Body.String(), `{"error":`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.get("vic", "/pause"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestSignedOutPeople: a page leads to where they sign in and back; a form that they sent
// says that it was not done; a stream and the API just say no.
func TestSignedOutPeople(t *testing.T) {
	s := siteOf(t, &fake{})
	for _, c := range []struct {
		method, path string
		status       int
		to, says     string
	}{
		{"GET", "/settings", 303, "/login?next=%2Fsettings", ""},
		{"GET", "/live", 401, "", ""},
		{"POST", "/settings/tokens/revoke", 401, "", "what you sent was not done"},
		{"GET", "/api/v1/pause", 401, "", `"unauthenticated"`},
	} {
		w := s.do(request("stranger", c.method, c.path, nil))
		if w.Code != c.status || w.Header().Get("Location") != c.to || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d to %q: %s", c.method, c.path, w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	w := s.do(request("stranger", "POST", "/pause", nil))
	wants(t, w.Body.String(), `href="/login?next=%2f"`, "nobody is signed in here")
	lacks(t, w.Body.String(), "Authorization: Bearer", `href="/account"`)
}

// TestPeopleWithoutARole: they are signed in, so they are led to what says what they may.
func TestPeopleWithoutARole(t *testing.T) {
	s := siteOf(t, &fake{})
	if w := s.get("nobody", "/settings"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/account" {
		t.Errorf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := s.get("nobody", "/live"); w.Code != http.StatusForbidden {
		t.Errorf("a stream: %d", w.Code)
	}
	w := s.post("nobody", "/pause", "do", "pause", "reason", "storm")
	if w.Code != http.StatusForbidden {
		t.Errorf("a form: %d", w.Code)
	}
	wants(t, w.Body.String(), "Not for you", "no role is given to you")
}

// TestAStoreThatDoesNotAnswer: a page says so, with 503 and when to come again.
func TestAStoreThatDoesNotAnswer(t *testing.T) {
	s := siteOf(t, &fake{errs: map[string]error{"Monitoring": fmt.Errorf("no answer: %w", backout.ErrUnavailable)}})
	w := s.get("vic", "/settings")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	wants(t, w.Body.String(), "It does not work now", "no answer")
}

// TestReasonsOfANoAreBounded: a gate's no about a thousand targets is still a page.
func TestReasonsOfANoAreBounded(t *testing.T) {
	d := &Dashboard{}
	body := handlers.ErrorBody{Code: "refused", Message: "the gate says no"}
	for i := range 1000 {
		body.Violations = append(body.Violations, backout.Violation{Target: fmt.Sprintf("web-%d", i), Check: "room", Reason: "no space"})
	}
	w := httptest.NewRecorder()
	d.Error(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusUnprocessableEntity, body)
	wants(t, w.Body.String(), "web-99<", "and 900 more")
	lacks(t, w.Body.String(), "web-100<")
}
