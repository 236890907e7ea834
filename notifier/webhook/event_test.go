package webhook

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/hostile"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

func events(url string) Config {
	c := config(url)
	c.Format = FormatCloudEvents
	return c
}

func TestConformanceOfCloudEvents(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind: Kind(), NoThreads: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			r := newReceiver(t)
			r.events = true
			return newNotifier(t, events(r.url)), r
		},
	})
}

// TestEventIsACloudEvent: the attributes that the specification asks for, with the
// body of the other format as the data, signed as that is.
func TestEventIsACloudEvent(t *testing.T) {
	r := newReceiver(t)
	m := message(backout.MomentLevelStarted)
	if _, err := newNotifier(t, events(r.url)).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := r.take()[0]
	if kind := got.header.Values("Content-Type"); len(kind) != 1 || kind[0] != "application/cloudevents+json; charset=UTF-8" {
		t.Errorf("content type %q", kind)
	}
	if key := got.header.Get("Idempotency-Key"); key != m.Notice.ID {
		t.Errorf("idempotency key %q", key)
	}
	var attributes map[string]json.RawMessage
	if err := json.Unmarshal(got.body, &attributes); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"specversion": "1.0", "id": m.Notice.ID, "source": "/backout", "type": "io.backout.notice.level_started", "subject": "CHG0030001-r1",
		"time": "2026-03-14T02:03:00Z", "datacontenttype": "application/json",
	} {
		var value string
		if err := json.Unmarshal(attributes[name], &value); err != nil || value != want {
			t.Errorf("%s is %s, want %q", name, attributes[name], want)
		}
		delete(attributes, name)
	}
	var body Body
	if err := json.Unmarshal(attributes["data"], &body); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Body{Version: "1", Subject: m.Subject, Text: m.Text, Notice: m.Notice}, body); d != "" || len(attributes) != 1 {
		t.Errorf("%d attributes left, data (-want +got):\n%s", len(attributes), d)
	}
}

// TestEveryEventIsValid: what the specification says of attributes holds whatever
// stands in a notice: none is empty or holds control characters, the time is RFC 3339,
// and one id goes with one notice.
func TestEveryEventIsValid(t *testing.T) {
	n := newNotifier(t, events("https://hooks.example/"))
	seen := map[string]string{}
	for _, text := range hostile.Strings() {
		e := n.event(backout.Message{Notice: backout.Notice{ID: text, Moment: backout.Moment(text), RollbackID: text}})
		if other, twice := seen[e.ID]; twice {
			t.Errorf("%.40q and %.40q have one id", text, other)
		}
		seen[e.ID] = text
		for name, value := range map[string]string{"id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject} {
			if value == "" && name != "subject" || strings.ContainsFunc(value, unicode.IsControl) || len(value) > 8<<10 {
				t.Errorf("%.40q: %s is %.80q", text, name, value)
			}
		}
		if _, err := url.Parse(e.Source); err != nil || e.Type != "io.backout.notice.other" {
			t.Errorf("%.40q: source %q, type %q", text, e.Source, e.Type)
		}
	}
	for _, moment := range backout.Moments() {
		for _, sample := range notifier.Samples(moment) {
			e := n.event(backout.Message{Notice: sample})
			if _, err := time.Parse(time.RFC3339, e.Time); err != nil || e.Type != "io.backout.notice."+string(moment) {
				t.Errorf("%s: %v, type %q", moment, err, e.Type)
			}
		}
	}
}
