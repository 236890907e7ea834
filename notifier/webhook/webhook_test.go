package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// receiver plays what users put behind a webhook, with the checks the package
// comment asks of it.
type receiver struct {
	t   *testing.T
	url string
	// events is set when bodies come in CloudEvents.
	events bool

	mu       sync.Mutex
	answer   http.HandlerFunc
	requests []request
}

type request struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hooks/T0/B0/path-secret"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("read body: %v", err)
	}
	r.verify(req, body)
	r.mu.Lock()
	answer := r.answer
	if answer == nil {
		r.requests = append(r.requests, request{req.Header.Clone(), body})
	}
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

// verify checks the signature the way the documentation tells receivers to.
func (r *receiver) verify(req *http.Request, body []byte) {
	stamp := req.Header.Get("X-Backout-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		r.t.Errorf("timestamp %q is not now", stamp)
	}
	mac := hmac.New(sha256.New, []byte(notifiertest.SecretText))
	_, _ = io.WriteString(mac, stamp+"."+string(body))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(req.Header.Get("X-Backout-Signature"))) {
		r.t.Errorf("signature %q, want %q", req.Header.Get("X-Backout-Signature"), want)
	}
}

func sayStatus(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		http.Error(w, "you said "+r.Header.Get("Authorization")+" and "+notifiertest.SecretText, status)
	}
}

// Set implements [notifiertest.Peer].
func (r *receiver) Set(a notifiertest.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = map[notifiertest.Answer]http.HandlerFunc{
		notifiertest.Fail: sayStatus(502), notifiertest.Refuse: sayStatus(403), notifiertest.Later: sayStatus(429, "Retry-After", "120"),
		notifiertest.Hang: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}[a]
}

func (r *receiver) say(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

// Deliveries implements [notifiertest.Peer].
func (r *receiver) Deliveries() []notifiertest.Delivery {
	var out []notifiertest.Delivery
	for _, req := range r.take() {
		var body Body
		id := req.header.Get("Idempotency-Key")
		if r.events {
			var e Event
			if err := json.Unmarshal(req.body, &e); err != nil || e.ID != id {
				r.t.Errorf("event %q of %q: %v", e.ID, id, err)
			}
			body = e.Data
		} else if err := json.Unmarshal(req.body, &body); err != nil {
			r.t.Errorf("body: %v", err)
		}
		d := notifiertest.Delivery{ID: id, Subject: body.Subject, Text: body.Text}
		var fields map[string]any
		_ = json.Unmarshal(req.body, &fields)
		for k, v := range fields {
			d.Shape = append(d.Shape, "field "+k)
			if inner, ok := v.(map[string]any); ok {
				for k := range inner {
					d.Shape = append(d.Shape, "notice field "+k)
				}
			}
		}
		for k, v := range req.header {
			d.Shape = append(d.Shape, "header "+k+" "+strconv.Itoa(len(v)))
		}
		slices.Sort(d.Shape)
		out = append(out, d)
	}
	return out
}

func config(url string) Config {
	return Config{URL: url, Secret: backout.SecretValue(notifiertest.SecretText), Token: backout.SecretValue(notifiertest.SecretText)}
}

func newNotifier(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind:      Kind(),
		NoThreads: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			r := newReceiver(t)
			return newNotifier(t, config(r.url)), r
		},
	})
}

func message(moment backout.Moment) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), notifier.Samples(moment)[0], nil)
	return m
}

func TestBodyIsTheDocumentedSchema(t *testing.T) {
	r := newReceiver(t)
	c := config(r.url)
	c.Headers = map[string]string{"X-Team": "sre"}
	m := message(backout.MomentEscalated)
	receipt, err := newNotifier(t, c).Notify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Ref != m.Notice.ID {
		t.Errorf("receipt %+v, want the notice's id", receipt)
	}
	got := r.take()[0]
	var body Body
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Body{Version: "1", Subject: m.Subject, Text: m.Text, Notice: m.Notice}, body); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
	for header, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "backout", "Idempotency-Key": m.Notice.ID, "X-Team": "sre",
		"Authorization": "Bearer " + notifiertest.SecretText,
	} {
		if v := got.header.Get(header); v != want {
			t.Errorf("%s is %q, want %q", header, v, want)
		}
	}
}

func TestAnswersAreSorted(t *testing.T) {
	r := newReceiver(t)
	n := newNotifier(t, config(r.url))
	for _, c := range []struct {
		name      string
		answer    http.HandlerFunc
		taken     bool
		permanent bool
		after     time.Duration
	}{
		{"200", sayStatus(200), true, false, 0},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, true, false, 0},
		{"301", sayStatus(301, "Location", "http://127.0.0.1:1/"), false, true, 0},
		{"307", sayStatus(307, "Location", "http://127.0.0.1:1/"), false, true, 0},
		{"400", sayStatus(400), false, true, 0},
		{"401", sayStatus(401), false, true, 0},
		{"404", sayStatus(404), false, true, 0},
		{"408", sayStatus(408), false, false, 0},
		{"410", sayStatus(410), false, true, 0},
		{"425", sayStatus(425, "Retry-After", "3"), false, false, 3 * time.Second},
		{"429", sayStatus(429, "Retry-After", "7"), false, false, 7 * time.Second},
		{"500", sayStatus(500), false, false, 0},
		{"503 for a year", sayStatus(503, "Retry-After", "31536000"), false, false, notifier.MaxRetryAfter},
		{"503 with nonsense", sayStatus(503, "Retry-After", "soon"), false, false, 0},
	} {
		r.say(c.answer)
		_, err := n.Notify(t.Context(), message(backout.MomentHeld))
		if (err == nil) != c.taken || backout.IsPermanent(err) != c.permanent {
			t.Errorf("%s: error %v, permanent %v", c.name, err, backout.IsPermanent(err))
			continue
		}
		after := time.Duration(0)
		if e, ok := err.(interface{ RetryAfter() time.Duration }); ok {
			after = e.RetryAfter()
		}
		if after != c.after {
			t.Errorf("%s: again after %v, want %v", c.name, after, c.after)
		}
		if err != nil && (strings.Contains(err.Error(), "path-secret") || strings.Contains(err.Error(), "you said")) {
			t.Errorf("%s: the error shows the address's path or the answer: %v", c.name, err)
		}
	}
}

func TestRetryAfterAsDate(t *testing.T) {
	now := time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		"": 0, "-1": 0, "1.5": 0, "60": time.Minute,
	} {
		if got := notifier.ParseRetryAfter(header, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", header, got, want)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := make(chan struct{}, 1)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	defer other.Close()
	r := newReceiver(t)
	r.say(sayStatus(308, "Location", other.URL))
	_, err := newNotifier(t, config(r.url)).Notify(t.Context(), message(backout.MomentHeld))
	if !backout.IsPermanent(err) || !strings.Contains(err.Error(), "redirects are not followed") {
		t.Errorf("error %v", err)
	}
	if len(reached) > 0 {
		t.Error("the redirect was followed")
	}
}

func TestUnreachableDoesNotShowTheAddress(t *testing.T) {
	n := newNotifier(t, config("http://127.0.0.1:1/hooks/path-secret"))
	_, err := n.Notify(t.Context(), message(backout.MomentHeld))
	if err == nil || backout.IsPermanent(err) || strings.Contains(err.Error(), "path-secret") {
		t.Errorf("error %v; want one that passes and names only the host", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	s := backout.SecretValue("s")
	for _, c := range []struct {
		name   string
		config Config
		says   string
	}{
		{"no url", Config{Secret: s}, "url must be"},
		{"other scheme", Config{URL: "ftp://x", Secret: s}, "url must be"},
		{"user in url", Config{URL: "https://u:hunter2@x/", Secret: s}, "url must be"},
		{"unknown format", Config{URL: "https://x/", Secret: s, Format: "xml"}, "backout or cloudevents"},
		{"source of nothing", Config{URL: "https://x/", Secret: s, Source: "/x"}, "only said in CloudEvents"},
		{"bad source", Config{URL: "https://x/", Secret: s, Format: FormatCloudEvents, Source: "a b"}, "URI reference"},
		{"no secret", Config{URL: "https://x/"}, "secret is missing"},
		{"empty secret", Config{URL: "https://x/", Secret: backout.NewSecret(backout.SecretRef{Env: "E"})}, "secret is empty"},
		{"token in clear", Config{URL: "http://hooks.example/", Secret: s, Token: s}, "unencrypted"},
		{"authorization", Config{URL: "https://x/", Secret: s, Headers: map[string]string{"authorization": "hunter2"}}, "use token"},
		{"own header", Config{URL: "https://x/", Secret: s, Headers: map[string]string{"x-backout-signature": "1"}}, "set by backout"},
		{"bad name", Config{URL: "https://x/", Secret: s, Headers: map[string]string{"a b": "1"}}, "not a header's name"},
		{"bad value", Config{URL: "https://x/", Secret: s, Headers: map[string]string{"a": "1\r\nb: 2"}}, "characters"},
	} {
		_, err := New(c.config)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %v", c.name, err)
		}
	}
}
