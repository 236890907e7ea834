package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
)

const (
	webhookPath = "/api/v1/alertmanager"
	v2Path      = "/api/v2/alerts"
	oneWebhook  = `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-22T23:47:07Z","endsAt":"0001-01-01T00:00:00Z"}]}`
	oneV2       = `[{"labels":{"alertname":"A"}}]`
)

func recordings(tb testing.TB) map[string]string {
	tb.Helper()
	names, err := filepath.Glob("../internal/alertwire/testdata/alertmanager/*.json")
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		if strings.Contains(name, "-api-v2-") || strings.Contains(name, "-request-headers") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		out[filepath.Base(name)] = string(data)
	}
	if len(out) < 20 {
		tb.Fatalf("only %d recordings", len(out))
	}
	return out
}

func TestWebhookTakesEveryRecordedBody(t *testing.T) {
	for name, body := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			if w := do(handlerFor(t, f), request("POST", webhookPath, body)); w.Code != 200 || w.Body.Len() != 0 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			want, err := alertwire.DecodeWebhook([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			d := f.accepted[0]
			if len(f.accepted) != 1 || d.Kind != "webhook" || d.Source != "local" || string(d.Body) != body ||
				len(d.Alerts) != len(want.Alerts) || d.Truncated != want.Truncated {
				t.Errorf("delivered %+v", d)
			}
			if strings.Contains(name, "truncated") && d.Truncated != 2 {
				t.Errorf("truncated %d, want 2", d.Truncated)
			}
		})
	}
}

func TestWebhookActsOnAlertsNotOnTheGroup(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f)
	do(h, request("POST", webhookPath, recordings(t)["v0.34.2-group3-one-resolved.json"]))
	firing := number(t, h, "backout_intake_alerts_total", "local", "firing")
	resolved := number(t, h, "backout_intake_alerts_total", "local", "resolved")
	if firing != 2 || resolved != 1 {
		t.Errorf("%v firing, %v resolved, want 2 and 1", firing, resolved)
	}
}

func TestWebhookAcceptsUnknownExtraFields(t *testing.T) {
	body := strings.Replace(oneWebhook, `"labels"`, `"new":{"deep":[1,null]},"labels"`, 1)
	body = strings.Replace(body, `{"version"`, `{"routeLabels":{},"notification_reason":"x","version"`, 1)
	if w := do(handlerFor(t, &fake{}), request("POST", webhookPath, body)); w.Code != 200 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestWebhookHandsOnTruncation(t *testing.T) {
	var log strings.Builder
	f := &fake{}
	h := handlerFor(t, f, withTokens(t), withLog(&log))
	body := strings.Replace(oneWebhook, `"alerts"`, `"truncatedAlerts":7,"alerts"`, 1)
	if w := do(h, bearer(request("POST", webhookPath, body), secondSecret)); w.Code != 200 {
		t.Fatalf("answered %d", w.Code)
	}
	if n := number(t, h, "backout_intake_truncated_alerts_total", "am-2"); n != 7 || f.accepted[0].Truncated != 7 {
		t.Errorf("metric %v, handed on %d, want 7", n, f.accepted[0].Truncated)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "truncated_alerts=7") {
		t.Errorf("no warning: %s", log.String())
	}
}

func TestAnEmptyListOfAlertsDoesNothing(t *testing.T) {
	for path, body := range map[string]string{webhookPath: `{"version":"4","alerts":[]}`, v2Path: `[]`} {
		f := &fake{err: errors.New("must not be asked")}
		if w := do(handlerFor(t, f), request("POST", path, body)); w.Code != 200 || len(f.accepted) != 0 {
			t.Errorf("%s: answered %d, delivered %d", path, w.Code, len(f.accepted))
		}
	}
}

func TestBadJSONIs400NamingTheProblemAndTheByte(t *testing.T) {
	h := handlerFor(t, &fake{})
	for body, part := range map[string]string{
		`{"version":"4",`: "not JSON: the body ends where a key in quotes should be (at byte 15)",
		`{]`:              "not JSON: ']' where a key in quotes should be (at byte 1)",
		`{"version":"4","alerts":[{"labels":{"a":1}}]}`: `alerts[0].labels."a": must be a string (at byte 40)`,
		`{"version":"4","alerts":7}`:                    "alerts: must be an array",
		``:                                              "the body ends where an object should be",
	} {
		wantError(t, do(h, post(webhookPath, body)), 400, "invalid", part)
	}
}

// post is a request whose content type is JSON even if it is empty.
func post(path, body string) *http.Request {
	r := request("POST", path, body)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestWrongVersionIs400(t *testing.T) {
	h := handlerFor(t, &fake{})
	for _, version := range []string{`"3"`, `"5"`, `4`, `""`} {
		body := strings.Replace(oneWebhook, `"4"`, version, 1)
		wantError(t, do(h, request("POST", webhookPath, body)), 400, "invalid", "version: ")
	}
	wantError(t, do(h, request("POST", webhookPath, `{"alerts":[]}`)), 400, "invalid", `version: missing, want "4"`)
}

func TestWrongContentTypeIs415(t *testing.T) {
	h := handlerFor(t, &fake{})
	for _, given := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/json2", ";"} {
		r := request("POST", webhookPath, oneWebhook)
		r.Header.Set("Content-Type", given)
		wantError(t, do(h, r), 415, "content_type", "application/json")
	}
	for _, given := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		r := request("POST", webhookPath, oneWebhook)
		r.Header.Set("Content-Type", given)
		if w := do(h, r); w.Code != 200 {
			t.Errorf("%s: answered %d", given, w.Code)
		}
	}
	r := request("POST", webhookPath, oneWebhook)
	r.Header.Set("Content-Encoding", "gzip")
	wantError(t, do(h, r), 415, "content_type", "gzip")
}

func TestTooLargeIs413(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f, func(o *Options) { o.Limits.MaxBody = int64(len(oneWebhook)) })
	if w := do(h, request("POST", webhookPath, oneWebhook)); w.Code != 200 {
		t.Fatalf("a body of exactly the limit: %d", w.Code)
	}
	wantError(t, do(h, request("POST", webhookPath, oneWebhook+" ")), 413, "too_large", "larger")
	chunked := request("POST", webhookPath, oneWebhook+" ")
	chunked.ContentLength = -1
	wantError(t, do(h, chunked), 413, "too_large", "larger")
	many := `{"version":"4","alerts":[` + strings.Repeat(`{"labels":{"a":"b"},"status":"firing","startsAt":"2026-11-22T23:47:07Z"},`, alertwire.MaxAlerts) + `{}]}`
	wantError(t, do(handlerFor(t, f), request("POST", webhookPath, many)), 413, "too_large", "more than 10000 alerts")
	if h.intake.count.Load() != 0 || h.intake.bytes.Load() != 0 {
		t.Errorf("%d requests, %d bytes still count as waiting", h.intake.count.Load(), h.intake.bytes.Load())
	}
}

func TestABodyThatEndsEarlyIs400(t *testing.T) {
	r := request("POST", webhookPath, oneWebhook)
	r.ContentLength++
	wantError(t, do(handlerFor(t, &fake{}), r), 400, "invalid", "ended early")
}

func TestWrongOrMissingTokenIs401(t *testing.T) {
	h := handlerFor(t, &fake{}, withTokens(t))
	try := func(prepare func(*http.Request)) int {
		r := request("POST", webhookPath, oneWebhook)
		prepare(r)
		return do(h, r).Code
	}
	for name, prepare := range map[string]func(*http.Request){
		"none":            func(*http.Request) {},
		"wrong":           func(r *http.Request) { bearer(r, "wrong-secret-0123456789") },
		"empty":           func(r *http.Request) { bearer(r, "") },
		"prefix":          func(r *http.Request) { bearer(r, senderSecret[:len(senderSecret)-1]) },
		"longer":          func(r *http.Request) { bearer(r, senderSecret+"x") },
		"another scheme":  func(r *http.Request) { r.Header.Set("Authorization", "Token "+senderSecret) },
		"wrong password":  func(r *http.Request) { r.SetBasicAuth("am-1", "wrong-secret-0123456789") },
		"name for secret": func(r *http.Request) { r.SetBasicAuth(senderSecret, "am-1") },
		"an API token":    func(r *http.Request) { bearer(r, aliceSecret) },
		"in the address":  func(r *http.Request) { r.URL.RawQuery = "token=" + senderSecret },
	} {
		if code := try(prepare); code != 401 {
			t.Errorf("%s: answered %d", name, code)
		}
	}
	w := do(h, request("POST", webhookPath, oneWebhook))
	wantError(t, w, 401, "unauthenticated", "token is needed")
	if got := strings.Join(w.Header().Values("WWW-Authenticate"), " "); !strings.Contains(got, "Bearer") || !strings.Contains(got, "Basic") {
		t.Errorf("WWW-Authenticate: %q", got)
	}
}

func TestTheTokenNamesTheSource(t *testing.T) {
	f := &fake{}
	h := handlerFor(t, f, withTokens(t))
	do(h, bearer(request("POST", webhookPath, oneWebhook), senderSecret))
	r := request("POST", v2Path, oneV2)
	r.SetBasicAuth("whoever", secondSecret)
	do(h, r)
	r = request("POST", v2Path, oneV2)
	r.Header.Set("Authorization", "bearer  "+secondSecret+" ")
	do(h, r)
	var sources []string
	for _, d := range f.accepted {
		sources = append(sources, d.Source)
	}
	if fmt.Sprint(sources) != "[am-1 am-2 am-2]" {
		t.Errorf("sources %v", sources)
	}
}

func TestFailingStorageIs503NeverA429(t *testing.T) {
	for _, err := range []error{backout.ErrUnavailable, errors.New("disk full"), errors.Join(backout.ErrUnavailable, backout.ErrInvalid), context.DeadlineExceeded} {
		for path, body := range map[string]string{webhookPath: oneWebhook, v2Path: oneV2} {
			h := handlerFor(t, &fake{err: err})
			w := do(h, request("POST", path, body))
			if w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s, %v: answered %d, Retry-After %q", path, err, w.Code, w.Header().Get("Retry-After"))
			}
			if strings.Contains(w.Body.String(), "disk full") {
				t.Errorf("the answer tells the sender about the disk: %s", w.Body)
			}
			if number(t, h, "backout_intake_rejected_total", "unavailable") != 1 {
				t.Error("not counted")
			}
		}
	}
}

// TestMoreThanTheStorageTakesIs413: sending it again would not make it fit.
func TestMoreThanTheStorageTakesIs413(t *testing.T) {
	for path, body := range map[string]string{webhookPath: oneWebhook, v2Path: oneV2} {
		h := handlerFor(t, &fake{err: fmt.Errorf("append post: %w: it takes 9 bytes", backout.ErrInvalid)})
		w := do(h, request("POST", path, body))
		if w.Code != 413 || w.Header().Get("Retry-After") != "" || number(t, h, "backout_intake_rejected_total", "too_large") != 1 {
			t.Errorf("%s: answered %d %s", path, w.Code, w.Body)
		}
	}
}

// TestEveryNoToASenderIsAWarning: the sender gives the alerts up, so somebody
// must be able to see why, and whose.
func TestEveryNoToASenderIsAWarning(t *testing.T) {
	for want, r := range map[string]*http.Request{
		"status=400 source=am-1 reason=invalid":      bearer(request("POST", webhookPath, "{]"), senderSecret),
		"status=401 reason=unauthenticated":          request("POST", webhookPath, oneWebhook),
		"status=413 source=am-1 reason=too_large":    bearer(request("POST", webhookPath, strings.Repeat(" ", 5<<20)), senderSecret),
		"status=415 source=am-2 reason=content_type": bearer(request("POST", v2Path, ""), secondSecret),
		"status=422 source=am-1 reason=required":     bearer(request("POST", v2Path, "[{}]"), senderSecret),
	} {
		var log strings.Builder
		do(handlerFor(t, &fake{}, withTokens(t), withLog(&log)), r)
		for _, part := range append(strings.Fields(want), "level=WARN") {
			if !strings.Contains(log.String(), part) {
				t.Errorf("no %s in %s", part, log.String())
			}
		}
	}
}

func TestAnAlertWithTooManyLabelsDoesNotRefuseTheOthers(t *testing.T) {
	var log strings.Builder
	f := &fake{}
	h := handlerFor(t, f, withLog(&log))
	var labels strings.Builder
	for i := range alertwire.MaxPairs + 44 {
		fmt.Fprintf(&labels, `"l%d":"x",`, i)
	}
	body := strings.Replace(oneWebhook, `"alerts":[`, `"alerts":[{"status":"firing","startsAt":"2026-11-22T23:47:07Z","labels":{`+labels.String()+`"alertname":"B"}},`, 1)
	if w := do(h, request("POST", webhookPath, body)); w.Code != 200 || len(f.accepted[0].Alerts) != 2 || f.accepted[0].Alerts[0].Name() != "B" {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if n := number(t, h, "backout_intake_cut_values_total"); n != 45 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "cut_values=45") {
		t.Errorf("%v counted; log %s", n, log.String())
	}
}

func TestSilentStorageIs503InTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{onAccept: func(ctx context.Context, _ Delivery) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		start := time.Now()
		w := do(handlerFor(t, f), request("POST", webhookPath, oneWebhook))
		if took := time.Since(start); w.Code != 503 || took != 10*time.Second {
			t.Errorf("answered %d after %v, want 503 after 10 s", w.Code, took)
		}
	})
}

func TestOverloadedIs503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		f := &fake{onAccept: func(context.Context, Delivery) error { <-free; return nil }}
		h := handlerFor(t, f, func(o *Options) { o.Limits.MaxWaiting = 3 })
		codes := make(chan int, 3)
		for range 3 {
			go func() { codes <- do(h, request("POST", webhookPath, oneWebhook)).Code }()
		}
		synctest.Wait()
		w := do(h, request("POST", webhookPath, oneWebhook))
		wantError(t, w, 503, "overloaded", "too many")
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		close(free)
		for range 3 {
			if code := <-codes; code != 200 {
				t.Errorf("a request that waited was answered %d", code)
			}
		}
		if w := do(h, request("POST", webhookPath, oneWebhook)); w.Code != 200 {
			t.Errorf("after the rush: %d", w.Code)
		}
	})
}

func TestTooManyBytesWaitingIs503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		f := &fake{onAccept: func(context.Context, Delivery) error { <-free; return nil }}
		h := handlerFor(t, f, func(o *Options) { o.Limits.MaxPending = int64(len(oneWebhook)) * 3 / 2 })
		codes := make(chan int, 1)
		go func() { codes <- do(h, request("POST", webhookPath, oneWebhook)).Code }()
		synctest.Wait()
		wantError(t, do(h, request("POST", webhookPath, oneWebhook)), 503, "overloaded", "")
		close(free)
		if code := <-codes; code != 200 {
			t.Errorf("answered %d", code)
		}
		if h.intake.count.Load() != 0 || h.intake.bytes.Load() != 0 {
			t.Errorf("%d requests, %d bytes still count as waiting", h.intake.count.Load(), h.intake.bytes.Load())
		}
	})
}

// TestTwoHundredOnlyAfterTheAlertsAreOnDisk: nothing is answered before Accept
// has returned nil.
func TestTwoHundredOnlyAfterTheAlertsAreOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := make(chan error)
		f := &fake{onAccept: func(context.Context, Delivery) error { return <-stored }}
		h := handlerFor(t, f)
		for _, tc := range []struct {
			err  error
			code int
		}{{nil, 200}, {backout.ErrUnavailable, 503}} {
			answered := make(chan int, 1)
			go func() { answered <- do(h, request("POST", webhookPath, oneWebhook)).Code }()
			synctest.Wait()
			select {
			case code := <-answered:
				t.Fatalf("answered %d before the storage did", code)
			default:
			}
			stored <- tc.err
			if code := <-answered; code != tc.code {
				t.Errorf("answered %d, want %d", code, tc.code)
			}
		}
	})
}

func TestAClientThatLeavesIsNotAFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{onAccept: func(ctx context.Context, _ Delivery) error { cancel(); return ctx.Err() }}
	h := handlerFor(t, f)
	do(h, request("POST", webhookPath, oneWebhook).WithContext(ctx))
	if n := number(t, h, "backout_http_requests_total", "499", webhookPath); n != 1 {
		t.Errorf("counted %v times as gone", n)
	}
}
