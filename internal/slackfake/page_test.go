package slackfake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestPageShowsTheChannelAndRunsNothing(t *testing.T) {
	w, a := newApp(t, Options{})
	evil := `<script>alert(1)</script>&lt;img src=x onerror=alert(1)&gt; <!channel> *<https://evil.example|click>*`
	post := url.Values{"channel": {"C1"}, "text": {"x"}, "blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":` + quote(evil) + `}},
		{"type":"actions","elements":[{"type":"button","action_id":"go","style":"primary","text":{"type":"plain_text","text":` + quote("<script>x</script>") + `}}]}]`}}
	if code := a.code("xoxb", "chat.postMessage", post); code != "" {
		t.Fatal(code)
	}
	rec := httptest.NewRecorder()
	w.Page("C1", "U1").ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	body, _ := io.ReadAll(rec.Body)
	for _, bad := range []string{"<script", "<img", "href=", "onerror=alert(1)>"} {
		if strings.Contains(string(body), bad) {
			t.Errorf("the page has %q:\n%s", bad, body)
		}
	}
	if !strings.Contains(string(body), `name="action" value="go"`) || !strings.Contains(rec.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v\n%s", rec.Header(), body)
	}
	foreign := httptest.NewRequest(http.MethodPost, "/click", strings.NewReader("ts=1&action=go"))
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	rec = httptest.NewRecorder()
	w.Page("C1", "U1").ServeHTTP(rec, foreign)
	if rec.Code != http.StatusForbidden {
		t.Errorf("another site's form: %d", rec.Code)
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
