package handlers

import (
	"errors"
	"strings"
	"testing"
)

func TestUnknownRoutesAre404AndOtherMethods405(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t))
	for _, path := range []string{"/nothing", "/api/v1", "/api/v1/", "/api/v1/changes/", "/api/v1/changes/C1/nothing", "/metrics/x", "/debug/pprof/", "/api/v2/silences"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			wantError(t, do(h, request(method, path, "")), 404, "not_found", "no such route")
		}
	}
	w := do(h, request("DELETE", "/api/v1/changes", ""))
	wantError(t, w, 405, "bad_method", "GET, HEAD, POST")
	if w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow %q", w.Header().Get("Allow"))
	}
	wantError(t, do(h, request("GET", webhookPath, "")), 405, "bad_method", "POST")
}

func TestAPanicIs500AndLoggedOnce(t *testing.T) {
	var log strings.Builder
	f := &fake{follow: nil}
	h := handlerFor(t, f, withLog(&log), func(o *Options) { o.Control = nil })
	w := do(h, request("GET", "/api/v1/targets", ""))
	wantError(t, w, 500, "internal", "request id")
	if strings.Contains(w.Body.String(), "nil pointer") || strings.Count(log.String(), "nil pointer") != 1 || !strings.Contains(log.String(), "stack=") {
		t.Errorf("answer %s\nlog %s", w.Body, log.String())
	}
	if !strings.Contains(log.String(), "request_id="+w.Header().Get("X-Request-Id")) || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log %s", log.String())
	}
	if number(t, h, "backout_http_panics_total") != 1 || number(t, h, "backout_http_requests_in_flight") != 0 {
		t.Error("metrics do not show it")
	}
}

func TestEachRequestIsOneLineInTheLog(t *testing.T) {
	var log strings.Builder
	h := handlerFor(t, &fake{}, withLog(&log))
	r := request("GET", "/api/v1/changes?state=open", "")
	r.Header.Set("X-Request-Id", "from-the-proxy.7")
	if w := do(h, r); w.Header().Get("X-Request-Id") != "from-the-proxy.7" {
		t.Errorf("request id %q", w.Header().Get("X-Request-Id"))
	}
	do(h, request("POST", webhookPath, oneWebhook))
	do(h, request("POST", webhookPath, "secret body"))
	r = request("GET", "/%0aevil=1", "")
	r.Header.Set("X-Request-Id", "evil\nlevel=ERROR")
	do(h, r)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range [][]string{
		{"level=INFO", "msg=request", "request_id=from-the-proxy.7", "path=/api/v1/changes", "status=200", "by=local"},
		{"level=DEBUG", "path=" + webhookPath, "status=200"},
		{"level=WARN", "status=400", "source=local", "reason=invalid", "err="},
		{"level=INFO", `path="/\nevil=1"`, "status=404"},
	} {
		for _, part := range want {
			if len(lines) != 4 || !strings.Contains(lines[i], part) {
				t.Fatalf("line %d of %d lacks %s:\n%s", i, len(lines), part, log.String())
			}
		}
	}
	if strings.Contains(log.String(), "secret body") {
		t.Error("the log has a body")
	}
}

func TestMetricsCountRoutesAndCodes(t *testing.T) {
	h := handlerFor(t, &fake{err: errors.New("x")})
	do(h, request("GET", "/api/v1/changes/C1", ""))
	do(h, request("GET", "/api/v1/changes/C2", ""))
	do(h, request("GET", "/nothing", ""))
	if n := number(t, h, "backout_http_requests_total", "500", "/api/v1/changes/{id}"); n != 2 {
		t.Errorf("%v", n)
	}
	if n := number(t, h, "backout_http_requests_total", "404", "other"); n != 1 {
		t.Errorf("%v", n)
	}
}
