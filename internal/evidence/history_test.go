package evidence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

// told is a delivery with its minute.
type told struct {
	alert *backout.Alert
	at    float64
}

// spansOf writes spans as minutes with the names that fired.
func spansOf(spans []Span) []string {
	var out []string
	for _, s := range spans {
		to := "…"
		if !s.To.IsZero() {
			to = fmt.Sprint(s.To.Sub(t0).Minutes())
		}
		out = append(out, fmt.Sprintf("%v-%s %s", s.From.Sub(t0).Minutes(), to, strings.Join(s.Alerts, ",")))
	}
	return out
}

// TestHistory tells stories of deliveries, and when the target was red by their end.
func TestHistory(t *testing.T) {
	for name, story := range map[string]struct {
		told []told
		end  float64
		want []string
	}{
		"fires and resolves":             {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 5), 6}}, 10, []string{"1-5 A-a"}},
		"fires yet":                      {[]told{{firingSince("a", 1), 2}}, 10, []string{"1-… A-a"}},
		"repetitions change nothing":     {[]told{{firingSince("a", 1), 2}, {firingSince("a", 1), 3}, {resolved("a", 1, 5), 6}, {resolved("a", 1, 5), 7}, {firingSince("a", 1), 7.5}}, 10, []string{"1-5 A-a"}},
		"only its end is told":           {[]told{{resolved("a", 1, 5), 6}, {resolved("a", 1, 5), 7}}, 10, []string{"1-5 A-a"}},
		"two at once are one time":       {[]told{{firingSince("a", 1), 2}, {firingSince("b", 3), 3}, {resolved("a", 1, 5), 6}, {resolved("b", 3, 8), 8}}, 10, []string{"1-8 A-a,A-b"}},
		"one after the other":            {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 3), 3}, {firingSince("b", 4), 5}}, 10, []string{"1-3 A-a", "4-… A-b"}},
		"one that touches is no break":   {[]told{{resolved("b", 3, 4), 4}, {resolved("a", 1, 3), 4}}, 10, []string{"1-4 A-a,A-b"}},
		"an earlier start is learned":    {[]told{{firingSince("a", 3), 4}, {firingSince("a", 1), 5}}, 10, []string{"1-… A-a"}},
		"again, with a start of its own": {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 3), 3}, {firingSince("a", 4), 5}}, 10, []string{"1-3 A-a", "4-… A-a"}},
		// Its Alertmanager has lost what it knew: green from 3 to 8.
		"again, with its old start":        {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 3), 3}, {firingSince("a", 1), 8}}, 10, []string{"1-3 A-a", "8-… A-a"}},
		"and ended again":                  {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 3), 3}, {firingSince("a", 1), 8}, {resolved("a", 1, 9), 9}, {resolved("a", 1, 9), 10}}, 10, []string{"1-3 A-a", "8-9 A-a"}},
		"the end of an older firing":       {[]told{{firingSince("a", 1), 2}, {firingSince("a", 6), 6}, {resolved("a", 1, 3), 7}}, 10, []string{"1-3 A-a", "6-… A-a"}},
		"an end before all that is known":  {[]told{{firingSince("a", 6), 6}, {resolved("a", 1, 3), 7}}, 10, []string{"6-… A-a"}},
		"nobody confirms it":               {[]told{{until(firingSince("a", 1), 4), 2}}, 10, []string{"1-4 A-a"}},
		"somebody does":                    {[]told{{until(firingSince("a", 1), 4), 2}, {until(firingSince("a", 1), 7), 4}}, 10, []string{"1-7 A-a"}},
		"too late, it is red again":        {[]told{{until(firingSince("a", 1), 4), 2}, {until(firingSince("a", 1), 20), 6}}, 10, []string{"1-4 A-a", "6-… A-a"}},
		"without an end it goes stale":     {[]told{{firingSince("a", 1), 2}}, 100, []string{"1-62 A-a"}},
		"an end ahead of the clock":        {[]told{{firingSince("a", 1), 2}, {resolved("a", 1, 500), 6}}, 10, []string{"1-6 A-a"}},
		"a start ahead of the clock":       {[]told{{firingSince("a", 500), 2}}, 10, []string{"2-… A-a"}},
		"an end without a time":            {[]told{{firingSince("a", 1), 2}, {&backout.Alert{Fingerprint: "a", StartsAt: at(1)}, 6}}, 10, []string{"1-6 A-a"}},
		"no time at all is none":           {[]told{{resolved("a", 5, 5), 6}}, 10, nil},
		"a clock that goes backwards":      {[]told{{firingSince("a", 1), 6}, {firingSince("b", 9), 2}}, 10, []string{"1-… A-a,A-b"}},
		"what is about backout is not red": {[]told{{&backout.Alert{Fingerprint: "a", Firing: true, Labels: map[string]string{"alertname": backout.OwnAlertPrefix + "X"}, StartsAt: at(1)}, 2}}, 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHistory([]string{"web"}, HistoryOptions{StaleAfter: time.Hour})
			for _, d := range story.told {
				h.Observe("web", d.alert, at(d.at))
				h.Observe("stranger", d.alert, at(d.at))
			}
			h.Advance(at(story.end))
			if diff := cmp.Diff(story.want, spansOf(h.Spans("web", false, nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if h.Spans("stranger", false, nil) != nil || h.Joined() || h.Unnamed() || h.Evicted() != 0 {
				t.Error("a stranger is red, or something was left out")
			}
		})
	}
}

// TestWhatIsKnownFromElsewhereIsAdded, and where nothing is known any more nothing fires.
func TestWhatIsKnownFromElsewhereIsAdded(t *testing.T) {
	h := NewHistory([]string{"web"}, HistoryOptions{})
	h.Observe("web", resolved("a", 1, 2), at(2))
	h.Observe("web", firingSince("b", 3), at(4))
	for _, test := range []struct {
		cut  bool
		also []*backout.Alert
		want []string
	}{
		{false, nil, []string{"1-2 A-a", "3-… A-b"}},
		{true, nil, []string{"1-2 A-a", "3-4 A-b"}},
		{true, []*backout.Alert{firingSince("b", 3)}, []string{"1-2 A-a", "3-… A-b"}},
		{false, []*backout.Alert{firingSince("c", 0)}, []string{"0-… A-a,A-b,A-c"}},
		{true, []*backout.Alert{firingSince("c", 9)}, []string{"1-2 A-a", "3-4 A-b", "9-… A-c"}},
		{false, []*backout.Alert{firingSince("b", 2)}, []string{"1-2 A-a", "3-… A-b"}}, // green before 3, as was told
		{true, []*backout.Alert{firingSince("a", 1)}, []string{"1-2 A-a", "3-… A-a,A-b"}},
	} {
		if diff := cmp.Diff(test.want, spansOf(h.Spans("web", test.cut, test.also))); diff != "" {
			t.Errorf("cut %v, also %v (-want +got):\n%s", test.cut, test.also, diff)
		}
	}
}

// TestHistoryIsBounded: what comes too often is told as one, and what was left out is
// said.
func TestHistoryIsBounded(t *testing.T) {
	h := NewHistory([]string{"web"}, HistoryOptions{MaxSpans: 3, MaxAlerts: 100})
	for i, minute := range []float64{0, 10, 12, 30, 60, 61} {
		h.Observe("web", resolved(fmt.Sprint(i), minute, minute+1), at(minute+1))
	}
	want := []string{"0-13 A-0,A-1,A-2", "30-31 A-3", "60-62 A-4,A-5"}
	if diff := cmp.Diff(want, spansOf(h.Spans("web", false, nil))); diff != "" || !h.Joined() || h.Unnamed() {
		t.Errorf("joined %v, unnamed %v (-want +got):\n%s", h.Joined(), h.Unnamed(), diff)
	}
	for i := range 200 {
		h.Observe("web", firingSince(fmt.Sprint("more", i), 70), at(71))
	}
	spans := h.Spans("web", false, nil)
	if last := spans[len(spans)-1]; len(last.Alerts) != maxNames || !h.Unnamed() || h.Evicted() == 0 {
		t.Errorf("%d names, unnamed %v, evicted %d", len(last.Alerts), h.Unnamed(), h.Evicted())
	}
}

// TestHistorySaysWhatTheTableSays: by the end of any story it is red when the table is,
// its spans are in order and none touches another.
func TestHistorySaysWhatTheTableSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistory([]string{"t1", "t2"}, HistoryOptions{StaleAfter: 30 * time.Minute})
		table := New(Options{StaleAfter: 30 * time.Minute})
		minute := 0.0
		for range rapid.IntRange(0, 30).Draw(t, "deliveries") {
			minute += float64(rapid.IntRange(0, 5).Draw(t, "later"))
			d := drawDelivery(t)
			table.Expire(at(minute))
			table.Observe(d.target, d.alert, at(minute))
			h.Observe(d.target, d.alert, at(minute))
			for _, target := range []string{"t1", "t2"} {
				var last time.Time
				red := false
				for i, s := range h.Spans(target, false, nil) {
					if i > 0 && !s.From.After(last) || !s.To.IsZero() && !s.To.After(s.From) || red || len(s.Alerts) == 0 {
						t.Fatalf("minute %v: spans %v", minute, spansOf(h.Spans(target, false, nil)))
					}
					last, red = s.To, s.To.IsZero()
				}
				if want := len(table.Red(target)) > 0; red != want {
					t.Fatalf("minute %v: %s is red %v, the table says %v", minute, target, red, want)
				}
			}
		}
	})
}
