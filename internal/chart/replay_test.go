package chart

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEverySignStandsAtItsTime.
func TestEverySignStandsAtItsTime(t *testing.T) {
	p := Replay{From: march(1, 0), Until: march(11, 0), Rules: []RuleLane{{"R", []Would{
		{march(9, 0), WouldOpen, Agreed, "CHG3 on web-1: A", "../x"}, {march(1, 0), WouldRecord, Undecided, "CHG1 on web-1: A", ""}, {march(6, 0), WouldStop, Disagreed, "CHG2 on web-1: A", ""},
	}}}, Did: []Did{{march(9, 0), march(11, 0), false, "CHG3 on web-1", ""}, {march(3, 0), march(3, 1), true, "CHG9 on web-7", ""}}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	lane := classed(all, "c-lane")[0]
	x0, x1 := lane.num(t, "x1"), lane.num(t, "x2")
	if ring := classed(all, "c-hollow")[0]; math.Abs(ring.num(t, "cx")-x0) > 0.02 {
		t.Errorf("the first second is at %v of %v to %v", ring.attr["cx"], x0, x1)
	}
	did := classed(all, "c-did")
	if w := did[1].num(t, "width"); math.Abs(w-(x1-x0)/5) > 0.05 {
		t.Errorf("two days of ten are %v of %v", w, x1-x0)
	}
	for _, title := range []string{
		"R, 1 Mar 00:00: CHG1 on web-1: A, would only be recorded", "R, 6 Mar 00:00: CHG2 on web-1: A, would be stopped; people did not agree",
	} {
		if len(find(all, "g", title)) != 1 {
			t.Errorf("nothing says %q", title)
		}
	}
	if links := find(all, "a", "R, 9 Mar 00:00: CHG3 on web-1: A, would open a rollback; people agreed"); len(links) != 1 || links[0].attr["href"] != "../x" {
		t.Errorf("%d links", len(links))
	}
	want := []string{
		"Sun 1 Mar 2026 00:00 to Wed 11 Mar 2026 00:00 UTC: 1 rule, 2 rollbacks by people.", "R: 1 rollback opened, 1 only recorded, 1 stopped; people agreed with 1 and not with 1.",
		"CHG9 on web-7, really rolled back 3 Mar 00:00 to 01:00 (1h); no rule would have opened it.", "CHG3 on web-1, really rolled back 9 Mar 00:00 to 11 Mar 00:00 (2d).",
	}
	if got := p.Words(); !slices.Equal(got, want) {
		t.Errorf("words %q", got)
	}
}

// TestWhatIsTooCloseIsOneSign with its number, which shows the gravest.
func TestWhatIsTooCloseIsOneSign(t *testing.T) {
	lane := RuleLane{Name: "R"}
	for i := range 10_000 {
		kind := WouldRecord
		if i == 5000 {
			kind = WouldOpen
		}
		lane.Would = append(lane.Would, Would{march(1, 0).Add(time.Duration(i) * time.Minute), kind, Undecided, "CHG1", "../x"})
	}
	p := Replay{From: march(1, 0), Until: march(28, 0), Rules: []RuleLane{lane}}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	signs := find(all, "g", "R, ")
	if n := len(signs); n == 0 || n > 40 {
		t.Errorf("%d signs", n)
	}
	var opens int
	for _, e := range all {
		if e.name == "polygon" && e.is("c-bad") {
			opens++
		}
	}
	if opens != 2 { // one in the key
		t.Errorf("%d signs open a rollback", opens)
	}
	if !strings.Contains(signs[0].title, "\nand ") {
		t.Errorf("title %q", signs[0].title)
	}
}
