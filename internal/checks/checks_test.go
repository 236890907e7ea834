package checks_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/checks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func registry(t *testing.T, o checks.Options) *checks.Registry {
	t.Helper()
	r, err := checks.NewRegistry(checks.All(o)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decode(kind checks.Kind, section any) (json.RawMessage, error) {
	text, err := json.Marshal(section)
	if err != nil {
		return nil, err
	}
	return kind.Decode(func(into any) error {
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		return d.Decode(into)
	})
}

type section = map[string]any

func build(t *testing.T, o checks.Options, name string, s section) checks.Checker {
	t.Helper()
	kind, ok := registry(t, o).Lookup(name)
	if !ok {
		t.Fatalf("no check %s", name)
	}
	with, err := decode(kind, s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kind.Build(t.Context(), with, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func check(t *testing.T, got checks.Result, green bool, detail string) {
	t.Helper()
	if got.Green != green || !strings.Contains(got.Detail, detail) || strings.ContainsAny(got.Detail, "\n\x1b") {
		t.Errorf("green %v %q, want %v with %q", got.Green, got.Detail, green, detail)
	}
}

func TestBadSectionsAreRefused(t *testing.T) {
	r := registry(t, checks.Options{})
	if got := r.Names(); !slices.Equal(got, []string{"command", "http", "promql", "unit"}) {
		t.Errorf("types: %v", got)
	}
	for _, tt := range []struct {
		kind, want string
		s          section
	}{
		{"http", "not http", section{}},
		{"http", "unknown field", section{"url": "http://a", "expected": 1}},
		{"http", "not http", section{"url": "ftp://a"}},
		{"http", "not http", section{"url": "http://user@{address}/"}},
		{"http", "not http", section{"url": "{target}://a/"}},
		{"http", "not http", section{"url": "http://a:{target}/"}},
		{"http", "not http", section{"url": "http://a/#{target}"}},
		{"http", "query", section{"url": "http://a/?q={target}"}},
		{"http", "only {target}", section{"url": "http://a/{name}"}},
		{"http", "GET or HEAD", section{"url": "http://a", "method": "POST"}},
		{"http", "no text", section{"url": "http://a", "method": "HEAD", "contains": "x"}},
		{"http", "not an HTTP status", section{"url": "http://a", "expect_status": 20}},
		{"command", "argv is empty", section{}},
		{"command", "NUL", section{"argv": []string{"a", "\x00"}}},
		{"command", "environment", section{"argv": []string{"a", "x${BACKOUT_TARGET}"}}},
		{"command", "elements of their own", section{"argv": []string{"a", "${BACKOUT_LEVEL}"}}},
		{"unit", "nginx.service", section{"name": "nginx"}},
		{"unit", "not a unit", section{"name": "--all.service"}},
		{"promql", "query is empty", section{"query": " "}},
		{"promql", "backquotes", section{"query": "up{a=`{target}`}"}},
		{"promql", "does not end", section{"query": `up{a="{target}}`}},
	} {
		kind, _ := r.Lookup(tt.kind)
		if _, err := decode(kind, tt.s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %v: %v, want %q", tt.kind, tt.s, err, tt.want)
		}
	}
	kind, _ := r.Lookup("promql")
	if _, err := kind.Build(t.Context(), json.RawMessage(`{"query": "up"}`), nil); err == nil || !strings.Contains(err.Error(), "prometheus.url") {
		t.Errorf("promql without Prometheus: %v", err)
	}
}

func serve(t *testing.T, h http.HandlerFunc) (host, port string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname(), u.Port()
}

func TestHTTP(t *testing.T) {
	release := make(chan struct{})
	other, otherPort := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "healthy") })
	host, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/web1/health":
			_, _ = io.WriteString(w, "all is healthy")
		case "/away":
			http.Redirect(w, r, "http://"+other+":"+otherPort+"/", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/web1/health", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 2<<20)+"healthy")
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	defer close(release)
	subject := checks.Subject{Target: backout.Target{Name: "web1", Address: host + ":22"}}
	base := "http://{address}:" + port
	for _, tt := range []struct {
		s      section
		green  bool
		detail string
	}{
		{section{"url": base + "/{target}/health", "contains": "healthy"}, true, "answers 200"},
		{section{"url": base + "/{target}/health", "contains": "sick"}, false, "does not contain"},
		{section{"url": base + "/none"}, false, "answers 503, want 200"},
		{section{"url": base + "/none", "expect_status": 503}, true, "503"},
		{section{"url": base + "/{target}/health", "method": "HEAD"}, true, "200"},
		{section{"url": base + "/here", "contains": "healthy"}, true, "200"},
		{section{"url": base + "/away"}, false, "another host"},
		{section{"url": base + "/loop"}, false, "more than 5"},
		{section{"url": base + "/slow", "timeout": "50ms"}, false, "deadline"},
		{section{"url": base + "/long", "contains": "healthy"}, false, "does not contain"},
		{section{"url": "http://{address}:1/"}, false, "refused"},
	} {
		check(t, build(t, checks.Options{}, "http", tt.s).Check(t.Context(), subject), tt.green, tt.detail)
	}
}

func TestHostileTargetCannotChangeTheHost(t *testing.T) {
	hit := false
	_, port := serve(t, func(http.ResponseWriter, *http.Request) { hit = true })
	hostile := "127.0.0.1:" + port + "/"
	for _, s := range []section{{"url": "http://{address}.example.invalid/"}, {"url": "http://{target}:9/{target}"}, {"url": "http://x.invalid/{target}/../{address}"}} {
		c := build(t, checks.Options{}, "http", s)
		for _, bad := range []string{hostile, "127.0.0.1:" + port + "#", "a@127.0.0.1:" + port, "a b", "..", "a/../b", "%2f", "a\n", "", "{address}", "é"} {
			for _, target := range []backout.Target{{Name: bad, Address: "a"}, {Name: "web1", Address: bad + "?"}} {
				if got := c.Check(t.Context(), checks.Subject{Target: target}); got.Green {
					t.Errorf("%v for %q: %+v", s, bad, got)
				}
			}
		}
	}
	if hit {
		t.Error("a target's name led to another host")
	}
}

func TestHTTPTrustsTheNamedCertificateOnly(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	subject := checks.Subject{Target: backout.Target{Name: "127.0.0.1"}}
	at := "https://{address}:" + u.Port()
	check(t, build(t, checks.Options{}, "http", section{"url": at}).Check(t.Context(), subject), false, "certificate")
	check(t, build(t, checks.Options{}, "http", section{"url": at, "ca_file": ca}).Check(t.Context(), subject), true, "200")
	check(t, build(t, checks.Options{}, "http", section{"url": at, "ca_file": ca, "server_name": "other.test"}).Check(t.Context(), subject), false, "other.test")
}

// runs answers Run and records it; nothing else of a host is used by checks.
type runs struct {
	backout.Host
	result backout.ExecResult
	err    error
	last   *backout.Exec
	bounds *bool
}

func (r runs) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	*r.last = e
	_, *r.bounds = ctx.Deadline()
	return r.result, r.err
}

func TestCommandAndUnit(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		s      section
		result backout.ExecResult
		err    error
		green  bool
		detail string
		argv   []string
	}{
		{"command", section{"argv": []string{"look", "${BACKOUT_TARGET}", "-q"}}, backout.ExecResult{}, nil, true, "look exits with 0", []string{"look", "web;1", "-q"}},
		{"command", section{"argv": []string{"look"}}, backout.ExecResult{ExitCode: 2, Stdout: []byte("a\n\x1b[31mb"), Stderr: []byte("c")}, nil, false, "exits with 2: a", []string{"look"}},
		{"command", section{"argv": []string{"look"}}, backout.ExecResult{}, errors.New("target unreachable"), false, "unreachable", []string{"look"}},
		{"unit", section{"name": "web.service"}, backout.ExecResult{Stdout: []byte("active\n")}, nil, true, "is active", []string{"systemctl", "is-active", "--", "web.service"}},
		{"unit", section{"name": "web.service"}, backout.ExecResult{ExitCode: 3, Stdout: []byte("failed\n")}, nil, false, "is failed", []string{"systemctl", "is-active", "--", "web.service"}},
		{"unit", section{"name": "web.service"}, backout.ExecResult{Stdout: []byte("")}, nil, false, "web.service is", []string{"systemctl", "is-active", "--", "web.service"}},
		{"unit", section{"name": "web.service"}, backout.ExecResult{}, errors.New("target unreachable"), false, "unreachable", nil},
	} {
		var last backout.Exec
		var bounded bool
		h := runs{result: tt.result, err: tt.err, last: &last, bounds: &bounded}
		got := build(t, checks.Options{}, tt.kind, tt.s).Check(t.Context(), checks.Subject{Target: backout.Target{Name: "web;1"}, Host: h, ChangeID: "CHG1"})
		check(t, got, tt.green, tt.detail)
		if tt.argv != nil && !slices.Equal(last.Argv, tt.argv) {
			t.Errorf("ran %q, want %q", last.Argv, tt.argv)
		}
		if !bounded {
			t.Errorf("%s waits for ever", tt.kind)
		}
		if tt.kind == "command" && (last.Env["BACKOUT_TARGET"] != "web;1" || last.Env["BACKOUT_CHANGE_ID"] != "CHG1") {
			t.Errorf("environment %v", last.Env)
		}
	}
}

func TestPromQL(t *testing.T) {
	var query, token string
	reply, status := "", 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prom/api/v1/query" {
			t.Errorf("asked at %s", r.URL.Path)
		}
		query, token = r.PostFormValue("query"), r.Header.Get("Authorization")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	defer s.Close()
	o := checks.Options{PrometheusURL: s.URL + "/prom/", PrometheusToken: backout.SecretValue("t0ken")}
	c := build(t, o, "promql", section{"query": `min(up{instance="{address}:9100", host={target}})`})
	subject := checks.Subject{Target: backout.Target{Name: "web1", Address: "10.0.0.1:22"}}
	vector := func(values ...string) string {
		var b []string
		for _, v := range values {
			b = append(b, fmt.Sprintf(`{"metric":{"a":"b"},"value":[1.5,%q]}`, v))
		}
		return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(b, ",") + `]}}`
	}
	for _, tt := range []struct {
		reply  string
		status int
		green  bool
		detail string
	}{
		{vector("1"), 200, true, "1 samples"},
		{vector("0.5", "-1", "+Inf"), 200, true, "3 samples"},
		{vector("1", "0"), 200, false, "yields 0 for map[a:b]"},
		{vector("NaN"), 200, false, "NaN"},
		{vector(), 200, false, "no sample"},
		{`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`, 200, true, "1 samples"},
		{`{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}`, 200, false, "yields 0"},
		{`{"status":"success","data":{"resultType":"matrix","result":[]}}`, 200, false, "matrix"},
		{`{"status":"success","data":{"resultType":"vector","result":{}}}`, 200, false, "cannot be read"},
		{`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,2]}]}}`, 200, false, "yields"},
		{`{"status":"error","error":"parse error: x"}`, 400, false, "parse error: x"},
		{`<html>`, 502, false, "status 502"},
		{vector("1"), 500, false, "status 500"},
	} {
		reply, status = tt.reply, tt.status
		check(t, c.Check(t.Context(), subject), tt.green, tt.detail)
	}
	if want := `min(up{instance="10.0.0.1:9100", host="web1"})`; query != want || token != "Bearer t0ken" {
		t.Errorf("asked %q with %q", query, token)
	}
	query = ""
	for _, bad := range []backout.Target{{Name: `x"} or vector(1) #`, Address: "a"}, {Name: "web1", Address: "a\nb"}, {Name: "web1", Address: ".*"}} {
		check(t, c.Check(t.Context(), checks.Subject{Target: bad}), false, "target's")
	}
	if query != "" {
		t.Errorf("asked %q for a hostile target", query)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	check(t, c.Check(ctx, subject), false, "deadline")
}
