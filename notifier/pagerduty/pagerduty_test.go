package pagerduty

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// service plays PagerDuty's Events API as far as its documentation describes it: it
// refuses what is not documented, and keeps alerts by their dedup_key.
type service struct {
	*notifiertest.HTTP
	t      *testing.T
	open   map[string]bool
	events []event
}

func newService(t *testing.T) *service {
	s := &service{t: t, open: map[string]bool{}}
	s.HTTP = notifiertest.NewHTTP(t, s.take)
	return s
}

func (s *service) take(w http.ResponseWriter, r *http.Request, body []byte) (notifiertest.Delivery, bool) {
	var e event
	var all map[string]any
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || json.Unmarshal(body, &all) != nil {
		s.t.Errorf("the event cannot be read: %v", err)
	}
	for _, problem := range s.problems(r, e) {
		s.t.Errorf("PagerDuty would refuse it: %s: %.300s", problem, body)
	}
	s.events = append(s.events, e)
	d := notifiertest.Delivery{ID: e.Payload.Details["notice_id"], Key: e.DedupKey, Subject: e.Payload.Summary, Text: e.Payload.Details["text"]}
	switch e.Action {
	case trigger:
		s.open[e.DedupKey] = true
	case resolve:
		s.open[e.DedupKey] = false
	}
	d.Open = s.open[e.DedupKey]
	d.Shape = append(shape("", all), "path "+r.URL.Path, "action "+e.Action, "severity "+string(e.Payload.Severity))
	for _, l := range e.Links {
		d.Shape = append(d.Shape, "link "+l.Href+" "+l.Text)
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte(`{"status":"success","message":"Event processed"}`))
	return d, true
}

func (s *service) problems(r *http.Request, e event) []string {
	var list []string
	check := func(ok bool, what string) {
		if !ok {
			list = append(list, what)
		}
	}
	check(r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/json", "not JSON by POST")
	check(e.RoutingKey == notifiertest.SecretText, "routing_key")
	check(e.Payload.Summary != "" && utf8.RuneCountInString(e.Payload.Summary) <= 1024, "summary")
	check(len(e.DedupKey) <= 255, "dedup_key")
	_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
	check(err == nil, "timestamp")
	switch r.URL.Path {
	case "/v2/enqueue":
		check(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "event_action")
		check(slices.Contains([]string{"critical", "error", "warning", "info"}, string(e.Payload.Severity)), "severity")
		check(e.Payload.Source != "" && e.DedupKey != "", "source, dedup_key")
	case "/v2/change/enqueue":
		check(e.Action == "" && e.DedupKey == "" && e.Client == "" && e.Payload.Severity == "" && e.Payload.Class == "", "fields of an alert event")
	default:
		check(false, "path "+r.URL.Path)
	}
	return list
}

// shape names every field.
func shape(path string, v any) []string {
	fields, ok := v.(map[string]any)
	if !ok {
		return []string{"field " + path}
	}
	var list []string
	for name, inner := range fields {
		list = append(list, shape(path+"."+name, inner)...)
	}
	return list
}

func config(url string) Config {
	return Config{RoutingKey: backout.SecretValue(notifiertest.SecretText), URL: url}
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
		Kind: Kind(), NoThreads: true, Keeps: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			s := newService(t)
			return newNotifier(t, config(s.URL)), s
		},
	})
}

func message(n backout.Notice) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), n, nil)
	return m
}

// TestWhatWakesSomebodyAndWhatDoesNot: windows and gates are change events, which
// wake nobody.
func TestWhatWakesSomebodyAndWhatDoesNot(t *testing.T) {
	got := map[backout.Moment]string{}
	for _, moment := range backout.Moments() {
		e := compose(message(notifier.Samples(moment)[0]))
		got[moment] = e.Action + " " + e.DedupKey
	}
	const r, change = "backout.CHG0030001-r1", " "
	want := map[backout.Moment]string{
		backout.MomentGateRefused: change, backout.MomentWindowOpened: change, backout.MomentWindowClosed: change, backout.MomentNotReady: change,
		backout.MomentReadyAgain: change, backout.MomentReopened: change,
		backout.MomentRecovered: "resolve " + r, backout.MomentAborted: "resolve " + r, backout.MomentCancelled: "resolve " + r,
		backout.MomentDrift: "trigger backout.drift.CHG0030001-r1", backout.MomentMonitoringBlind: "trigger backout.monitoring",
		backout.MomentMonitoringBack: "resolve backout.monitoring", backout.MomentTest: got[backout.MomentTest],
	}
	for _, moment := range backout.Moments() {
		if _, ok := want[moment]; !ok {
			want[moment] = "trigger " + r
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if !strings.HasPrefix(got[backout.MomentTest], "trigger backout.test.") {
		t.Errorf("a test: %s", got[backout.MomentTest])
	}
}

func TestAlertSaysWhatHappensNext(t *testing.T) {
	n := notifier.Samples(backout.MomentHeld)[1]
	n.Targets = []string{"web-01", "web-02", "web-03", "web-04", "web-05"}
	m := message(n)
	e := compose(m)
	want := event{
		Action: "trigger", DedupKey: "backout.CHG0030001-r1", Client: "backout", ClientURL: n.URL,
		Payload: payload{
			Summary: m.Subject, Source: "web-01, web-02, web-03, and 2 more", Severity: "critical", Timestamp: "2026-03-14T02:33:00Z",
			Component: "CHG0030001", Group: "CHG0030001-r1", Class: "held",
			Details: map[string]string{
				"notice_id": n.ID, "moment": "held", "text": m.Text, "change": "CHG0030001", "rollback": "CHG0030001-r1", "level": "L2",
				"if_nobody_acts": "L3 starts", "lost_for_good": "everything written since 01:30 UTC", "why": n.Reason, "deadline": "2026-03-14T03:03:00Z",
			},
		},
		Links: []link{{n.URL, "Open in backout"}},
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
}

// TestAddressThatIsNoneIsNoLink: only what is a web address and nothing else can be
// clicked.
func TestAddressThatIsNoneIsNoLink(t *testing.T) {
	for _, address := range []string{"", "javascript:alert(1)", "https://backout.example@evil.example/", "https://x/ y", "//evil.example", "https://x/\"><b>"} {
		n := notifier.Samples(backout.MomentHeld)[0]
		n.URL = address
		if e := compose(message(n)); len(e.Links) > 0 || e.ClientURL != "" {
			t.Errorf("%q became the link %v", address, e.Links)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	key := backout.SecretValue("0123456789abcdef0123456789abcdef")
	for _, c := range []struct {
		name   string
		config Config
		says   string
	}{
		{"no key", Config{}, "routing_key is missing"},
		{"empty key", Config{RoutingKey: backout.NewSecret(backout.SecretRef{Env: "E"})}, "routing_key is empty"},
		{"key with a line break", Config{RoutingKey: backout.SecretValue("hunter2\n")}, "without line breaks"},
		{"in clear", Config{RoutingKey: key, URL: "http://events.example"}, "https"},
		{"user", Config{RoutingKey: key, URL: "https://u:hunter2@events.example"}, "https"},
		{"path", Config{RoutingKey: key, URL: "https://events.example/v2/enqueue"}, "path"},
	} {
		_, err := New(c.config)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
	if n := newNotifier(t, Config{RoutingKey: key}); n.base != "https://events.pagerduty.com" {
		t.Errorf("the default is %s", n.base)
	}
}
