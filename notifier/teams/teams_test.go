package teams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// path is a workflow's, whose query is what lets one post.
const path = "/workflows/0a1b/triggers/manual/paths/invoke?api-version=2016-06-01&sig="

// newWorkflow plays a workflow: it takes a message with one Adaptive Card, answers
// 202, and refuses what Teams would.
func newWorkflow(t *testing.T) *notifiertest.HTTP {
	return notifiertest.NewHTTP(t, func(w http.ResponseWriter, r *http.Request, body []byte) (notifiertest.Delivery, bool) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || len(body) > 28<<10 || !utf8.Valid(body) {
			t.Errorf("Teams would refuse it: %s of %s, %d bytes", r.Method, r.Header.Get("Content-Type"), len(body))
		}
		w.WriteHeader(http.StatusAccepted)
		return read(t, body), true
	})
}

// read shows a card as a reader would see it. Markdown is read where cards have it, so
// that text which had got there would show in the shape.
func read(t *testing.T, body []byte) notifiertest.Delivery {
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []map[string]any
				Actions       []map[string]any
				Teams         map[string]any `json:"msteams"`
			}
		}
	}
	if err := json.Unmarshal(body, &m); err != nil || len(m.Attachments) != 1 {
		t.Errorf("%v: %d attachments", err, len(m.Attachments))
		return notifiertest.Delivery{}
	}
	c := m.Attachments[0].Content
	var d notifiertest.Delivery
	d.Shape = append(d.Shape, m.Type, m.Attachments[0].ContentType, c.Type, c.Version, fmt.Sprint(c.Teams))
	var lines []string
	for i, b := range c.Body {
		if b["type"] != "RichTextBlock" {
			d.Shape = append(d.Shape, fmt.Sprintf("element %v", b["type"]))
		}
		var line string
		for _, inline := range b["inlines"].([]any) {
			one := inline.(map[string]any)
			line += one["text"].(string)
			if one["type"] != "TextRun" || one["selectAction"] != nil {
				d.Shape = append(d.Shape, fmt.Sprintf("run %v", one))
			}
		}
		if strings.Contains(line, "{{") {
			d.Shape = append(d.Shape, "function in "+line)
		}
		line = strings.ReplaceAll(line, "{\u2060", "{")
		if i == 0 {
			d.ID, d.Subject = fmt.Sprint(b["id"]), line
			continue
		}
		lines = append(lines, line)
	}
	d.Text = strings.Join(lines, "\n")
	for _, a := range c.Actions {
		d.Shape = append(d.Shape, fmt.Sprintf("action %v %v", a["type"], a["url"]))
	}
	return d
}

func newNotifier(t *testing.T, base string) *Notifier {
	t.Helper()
	n, err := New(Config{URL: backout.SecretValue(base + path + url.QueryEscape(notifiertest.SecretText))})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind: Kind(), NoThreads: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			w := newWorkflow(t)
			return newNotifier(t, w.URL), w
		},
	})
}

func render(n backout.Notice) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), n, nil)
	return m
}

func TestCardSaysWhatHappensAndLeadsToIt(t *testing.T) {
	w := newWorkflow(t)
	n := notifier.Samples(backout.MomentApproval)[1]
	m := render(n)
	if _, err := newNotifier(t, w.URL).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := w.Deliveries()[0]
	if got.Subject != m.Subject || strings.ReplaceAll(m.Text, "\n\n", "\n") != got.Text {
		t.Errorf("subject %q, text:\n%s\nwant %q and:\n%s", got.Subject, got.Text, m.Subject, m.Text)
	}
	if !strings.Contains(strings.Join(got.Shape, "\n"), "action Action.OpenUrl "+n.URL) {
		t.Errorf("no button: %v", got.Shape)
	}
	c := compose(m, m.Text)
	if head := c.Body[0].Inlines[0]; head.Color != "Attention" || head.Weight != "Bolder" {
		t.Errorf("headline %+v", head)
	}
	bold := 0
	for _, b := range c.Body[1:] {
		if b.Inlines[0].Weight == "Bolder" {
			bold++
		}
	}
	if bold < 3 {
		t.Errorf("%d labels in bold", bold)
	}
}

// TestLongTextFits: Teams refuses a message of more than 28 KB, and a notice that is
// refused tells nobody.
func TestLongTextFits(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", notifier.MaxText), strings.Repeat("\U0001f600", notifier.MaxText), strings.Repeat("a\n", notifier.MaxText/2), strings.Repeat("<", notifier.MaxText)} {
		body, err := encode(backout.Message{Notice: notifier.Samples(backout.MomentHeld)[0], Subject: strings.Repeat("<", notifier.MaxSubject), Text: text})
		if err != nil || len(body) > maxMessage {
			t.Errorf("%.10q: %d bytes, %v", text, len(body), err)
		}
		if d := read(t, body); len(d.Text) < 1000 {
			t.Errorf("%.10q: only %d bytes of text are left", text, len(d.Text))
		}
	}
}

func TestAddressThatIsNoneIsNoButton(t *testing.T) {
	for _, address := range []string{"", "javascript:alert(1)", "msteams://x", "https://backout.example@evil.example/", "https://x/ y"} {
		n := notifier.Samples(backout.MomentHeld)[0]
		n.URL = address
		if c := compose(render(n), "x"); len(c.Actions) > 0 {
			t.Errorf("%q became %v", address, c.Actions)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct{ name, url, says string }{
		{"empty", "", "url is missing"},
		{"in clear", "http://prod.example/hunter2", "https address"},
		{"user", "https://u:hunter2@prod.example/", "https address"},
		{"no address", "hunter2", "https address"},
	} {
		_, err := New(Config{URL: backout.SecretValue(c.url)})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "url is missing") {
		t.Errorf("no url: %v", err)
	}
}

// TestUnreachableDoesNotShowTheAddress: its query lets everybody post.
func TestUnreachableDoesNotShowTheAddress(t *testing.T) {
	_, err := newNotifier(t, "http://127.0.0.1:1").Notify(t.Context(), render(notifier.Samples(backout.MomentHeld)[0]))
	if err == nil || backout.IsPermanent(err) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "workflows") {
		t.Errorf("error %v; want one that passes and names only the host", err)
	}
}
