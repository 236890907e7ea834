package email

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/hostile"
	"github.com/backout-io/backout/notifier"
)

var templates = sync.OnceValue(notifier.Default)

func sent(t *testing.T, textOnly bool, m backout.Message) ([]byte, []part) {
	t.Helper()
	o := newOffice(t)
	c := config(o)
	c.TextOnly = textOnly
	if _, err := newNotifier(t, c).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	data := o.take()[0].data
	read, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	list, err := parts(read)
	if err != nil {
		t.Fatal(err)
	}
	return data, list
}

// TestTheSameMailComesAsTextAndHTML: text first, as RFC 2046, 5.1.4 has it, and what
// parts them is another for each delivery, so that no text can know it.
func TestTheSameMailComesAsTextAndHTML(t *testing.T) {
	m := message(backout.MomentEscalated, nil)
	first, list := sent(t, false, m)
	if len(list) != 2 || list[0].kind != "text/plain; charset=UTF-8" || list[1].kind != "text/html; charset=UTF-8" {
		t.Fatalf("parts %+v", list)
	}
	if strings.TrimSpace(list[0].text) != m.Text {
		t.Errorf("text:\n%s", list[0].text)
	}
	second, again := sent(t, false, m)
	if !slices.Equal(list, again) {
		t.Errorf("two deliveries differ:\n%+v\n%+v", list, again)
	}
	if boundary(t, first) == boundary(t, second) {
		t.Errorf("two deliveries have the boundary %q", boundary(t, first))
	}
	if _, list := sent(t, true, m); len(list) != 1 || !strings.HasPrefix(list[0].kind, "text/plain") {
		t.Errorf("text alone: %+v", list)
	}
}

func boundary(t *testing.T, data []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || len(params["boundary"]) < 30 {
		t.Errorf("boundary %q: %v", params["boundary"], err)
	}
	return params["boundary"]
}

func readable(text string) string {
	return strings.Join(strings.Fields(text), "")
}

// TestHTMLSaysWhatTheTextSays: for every moment, with everything and with as little as
// there can be.
func TestHTMLSaysWhatTheTextSays(t *testing.T) {
	for _, moment := range backout.Moments() {
		for i, n := range notifier.Samples(moment) {
			m, err := templates().Render(Kind().Style(), n, nil)
			if err != nil {
				t.Fatal(err)
			}
			written, err := htmlOf(m)
			if err != nil {
				t.Fatal(err)
			}
			_, seen := look(written)
			seen = readable(seen)
			if !strings.Contains(seen, strings.Join(strings.Fields(m.Text), "")) || !strings.HasPrefix(seen, strings.Join(strings.Fields(m.Subject), "")) {
				t.Errorf("%s %d: subject or text is not in:\n%s", moment, i, written)
			}
			if (n.URL != "") != strings.Contains(written, `<a href="`+n.URL+`"`) {
				t.Errorf("%s %d: the button: %s", moment, i, written)
			}
		}
	}
}

func htmlOf(m backout.Message) (string, error) { return writeHTML(m, subject(m.Subject)) }

// TestHTMLFetchesNothing: no picture, style sheet, script or frame, whatever stands in
// the notice; the one address is the button's.
func TestHTMLFetchesNothing(t *testing.T) {
	for i, text := range hostile.Strings() {
		n := notifier.Samples(backout.MomentApproval)[1]
		n.Title, n.Reason, n.Targets, n.RollbackID, n.IfNobodyActs = text, text, []string{text}, text, text
		m, _ := templates().Render(Kind().Style(), n, nil)
		written, err := htmlOf(m)
		if err != nil {
			t.Fatal(err)
		}
		shape, seen := look(written)
		links := 0
		for _, s := range shape {
			links += strings.Count(s, "href=")
			for _, bad := range []string{"src=", "url(", "@import", "<link", "<script", "<img", "<iframe", "<form", "<base", "background", " on", "http-equiv"} {
				if strings.Contains(s, bad) {
					t.Errorf("text %d %.40q: %s", i, text, s)
				}
			}
		}
		if links != 1 || strings.Count(written, "<style") != 1 {
			t.Errorf("text %d %.40q: %d links", i, text, links)
		}
		if shown := readable(notifier.Plain(text)); len(shown) < 300 && !strings.Contains(readable(seen), shown) {
			t.Errorf("text %d %.40q: it is not shown", i, text)
		}
	}
}

// TestAddressThatIsNoneIsNoButton: nothing but a web address can be clicked.
func TestAddressThatIsNoneIsNoButton(t *testing.T) {
	for _, address := range []string{"javascript:alert(1)", "https://backout.example@evil.example/", "//evil.example", `https://x/" onclick="x`} {
		n := notifier.Samples(backout.MomentHeld)[0]
		n.URL = address
		m, _ := templates().Render(Kind().Style(), n, nil)
		if written, err := htmlOf(m); err != nil || strings.Contains(written, "<a ") {
			t.Errorf("%q: %v: %s", address, err, written)
		}
	}
}

// TestHTMLBeginsWithWhatMattersAtNight: what happens if nobody acts, when, and what is
// lost.
func TestHTMLBeginsWithWhatMattersAtNight(t *testing.T) {
	n := notifier.Samples(backout.MomentApproval)[1]
	want := []fact{
		{"If nobody acts", "L3 starts"}, {"At", "2026-03-14 03:03 UTC"}, {"Votes", "1 of 2"}, {"Lost for good", "everything written since 01:30 UTC"},
	}
	if got := facts(n); !slices.Equal(got, want) {
		t.Errorf("facts %+v", got)
	}
	if got := facts(backout.Notice{Moment: backout.MomentHeld}); len(got) != 0 {
		t.Errorf("facts of nothing: %+v", got)
	}
}
