package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func classed(all []*element, class string) []*element {
	return slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return !e.is(class) })
}

// TestAWindowIsAsWideAsItsTime, and the watch follows it.
func TestAWindowIsAsWideAsItsTime(t *testing.T) {
	p := Calendar{From: march(1, 0), Until: march(15, 0), Bars: []Bar{{Name: "CHG1", Opens: march(2, 0), Closes: march(4, 0), Watch: march(5, 0)}, {Name: "CHG2", Opens: march(1, 0), Closes: march(15, 0)}}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	full, watch := classed(all, "c-windowfull"), classed(all, "c-watchbar")
	day := full[0].num(t, "width") / 14
	if first := full[1]; math.Abs(first.num(t, "width")-2*day) > 0.02 || math.Abs(first.num(t, "x")-full[0].num(t, "x")-day) > 0.02 {
		t.Errorf("a day is %v, the window of two %v", day, first.attr)
	}
	if math.Abs(watch[0].num(t, "width")-day) > 0.02 || math.Abs(watch[0].num(t, "x")-full[1].num(t, "x")-2*day) > 0.02 {
		t.Errorf("a day is %v, the watch %v", day, watch[0].attr)
	}
}

// TestOverlapsAreMarked on both changes, only where targets are shared and only for
// that time, watch included.
func TestOverlapsAreMarked(t *testing.T) {
	p := Calendar{From: march(1, 0), Until: march(15, 0), Bars: []Bar{
		{Name: "CHG1", Opens: march(2, 0), Closes: march(3, 0), Watch: march(5, 0), Targets: []string{"a", "b", "c", "b"}},
		{Name: "CHG2", Opens: march(4, 0), Closes: march(6, 0), Targets: []string{"c", "b"}},
		{Name: "CHG3", Opens: march(2, 0), Closes: march(6, 0), Targets: []string{"d"}},
		{Name: "CHG4", Opens: march(6, 0), Closes: march(7, 0), Targets: []string{"c"}},
	}}
	words := p.Words()
	for i, want := range []string{
		"CHG1: window 2 Mar 00:00 to 3 Mar 00:00, watch until 5 Mar 00:00; overlaps CHG2 on b and 1 more, 4 Mar 00:00 to 5 Mar 00:00.",
		"CHG3: window 2 Mar 00:00 to 6 Mar 00:00.",
		"CHG2: window 4 Mar 00:00 to 6 Mar 00:00; overlaps CHG1 on b and 1 more, 4 Mar 00:00 to 5 Mar 00:00.",
		"CHG4: window 6 Mar 00:00 to 7 Mar 00:00.",
	} {
		if words[i+1] != want {
			t.Errorf("%q, want %q", words[i+1], want)
		}
	}
	marked := classed(whole(t, string(p.SVG())), "c-overlap")
	if len(marked) != 3 || marked[0].attr["x"] != marked[1].attr["x"] { // one in the key
		t.Errorf("%d overlaps are marked", len(marked))
	}
}

// TestOnlySafeLinksAreLinks: a picture with links is no image, whose inside nobody
// reads; one without is.
func TestOnlySafeLinksAreLinks(t *testing.T) {
	p := calendar()
	all := whole(t, string(p.SVG()))
	if links := find(all, "a", "CHG0030001 (OpenSSL"); len(links) != 1 || links[0].attr["href"] != "../changes/CHG0030001" {
		t.Errorf("%d links", len(links))
	}
	if role := all[0].attr["role"]; role != "group" {
		t.Errorf("a picture with links has the role %s", role)
	}
	for i := range p.Bars {
		p.Bars[i].Href = "javascript:alert(1)"
	}
	all = whole(t, string(p.SVG()))
	if n := len(find(all, "a", "")); n > 0 || all[0].attr["role"] != "img" {
		t.Errorf("%d links, role %s", n, all[0].attr["role"])
	}
}

// TestManyChangesArePacked: none lies upon another, all are there, and those that are
// too many are counted.
func TestManyChangesArePacked(t *testing.T) {
	for _, n := range []int{rowsOwn, rowsOwn + 1, 120, 320} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := packed(n)
			svg := string(p.SVG())
			all := whole(t, svg)
			apart(t, all)
			if links := len(find(all, "a", ": window ")); links != min(n, barsMost) {
				t.Errorf("%d links", links)
			}
			if n > barsMost && !slices.Contains(p.Words(), "20 later changes are not drawn.") {
				t.Error("it does not say how many are not drawn")
			}
			if h := all[0].num(t, "height"); n > rowsOwn && h > 0.6*float64(n)*packedHeight+200 {
				t.Errorf("%d changes are %v high", n, h)
			}
		})
	}
}

// TestABarGoesOn: what begins before the picture, or ends after it, says so.
func TestABarGoesOn(t *testing.T) {
	p := Calendar{From: march(1, 0), Until: march(15, 0), Bars: []Bar{{Name: "CHG1", Opens: march(-3, 0), Closes: march(20, 0), State: "open", Tone: ToneGood}}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	if n := len(classed(all, "c-halo")); n != 3 { // both ends, and its label upon it
		t.Errorf("%d signs", n)
	}
	if len(texts(all, "open")) != 1 {
		t.Error("a bar that fills the picture has no label")
	}
}

// TestTheTimeOfACalendar: two weeks, from the day before now.
func TestTheTimeOfACalendar(t *testing.T) {
	bar := []Bar{{Name: "CHG1", Opens: march(14, 2), Closes: march(14, 4)}}
	for name, tt := range map[string]struct {
		p    Calendar
		want string
	}{
		"now":        {Calendar{Now: march(14, 15), Bars: bar}, "Fri 13 Mar 2026 00:00 to Fri 27 Mar 2026 00:00 UTC"},
		"from":       {Calendar{From: march(1, 0), Now: march(14, 15), Bars: bar}, "Sun 1 Mar 2026 00:00 to Sun 15 Mar 2026 00:00 UTC"},
		"until":      {Calendar{Until: march(15, 0), Bars: bar}, "Sun 1 Mar 2026 00:00 to Sun 15 Mar 2026 00:00 UTC"},
		"backwards":  {Calendar{From: march(1, 0), Until: march(1, 0), Bars: bar}, "Sun 1 Mar 2026 00:00 to Sun 15 Mar 2026 00:00 UTC"},
		"the window": {Calendar{Bars: bar}, "Sat 14 Mar 2026 00:00 to Sat 28 Mar 2026 00:00 UTC"},
		"a day":      {Calendar{From: march(14, 0), Until: march(14, 12), Bars: bar}, "Sat 14 Mar 2026 00:00 to 12:00 UTC"},
	} {
		if got := tt.p.Words()[0]; !strings.HasPrefix(got, tt.want+": 1 change") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		apart(t, whole(t, string(tt.p.SVG())))
	}
	if words := (Calendar{Bars: []Bar{{Name: "CHG1", Closes: night(1, 0)}}}).Words(); words[0] != "There is nothing to draw yet: no change has a window." {
		t.Errorf("words %q", words)
	}
}

// TestManyTargetsAreFound in reasonable time: all pairs of 300 changes of 500
// targets each.
func TestManyTargetsAreFound(t *testing.T) {
	p := Calendar{Now: march(14, 0)}
	for i := range 300 {
		b := Bar{Name: fmt.Sprint("CHG", i), Opens: march(14, 0), Closes: march(14, 0).Add(time.Duration(i+1) * time.Hour)}
		for j := range 500 {
			b.Targets = append(b.Targets, fmt.Sprint("web-", j+i))
		}
		p.Bars = append(p.Bars, b)
	}
	if words := p.Words(); !strings.Contains(words[1], "; and 294 more") {
		t.Errorf("words %q", words[1])
	}
	if n := len(classed(whole(t, string(p.SVG())), "c-overlap")); n != 301 { // one in the key
		t.Errorf("%d strips", n)
	}
}
