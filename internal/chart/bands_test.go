package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// plot is where times are drawn: from the first to the last line of the grid, which
// here are the edges.
func plot(t *testing.T, all []*element) (x0, x1 float64) {
	t.Helper()
	band := all[slices.IndexFunc(all, func(e *element) bool { return e.is("c-quietband") })]
	x0 = band.num(t, "x")
	return x0, x0 + band.num(t, "width")
}

// reds are the bars of what was red, in their order.
func reds(all []*element) []*element {
	return slices.DeleteFunc(find(all, "rect", " red "), func(e *element) bool { return e.attr["class"] != "" })
}

// TestASpanOfHalfTheTimeIsHalfTheWidth, and lies where its time is.
func TestASpanOfHalfTheTimeIsHalfTheWidth(t *testing.T) {
	p := Bands{From: night(0, 0), Until: night(8, 0), Rows: []Row{
		{"half", []Red{{night(2, 0), night(6, 0), []string{"A"}}}},
		{"all", []Red{{night(0, 0), night(8, 0), nil}}},
		{"end", []Red{{night(6, 0), night(23, 0), nil}}},
		{"early", []Red{{time.Time{}, night(2, 0), nil}}},
	}}
	all := whole(t, string(p.SVG()))
	x0, x1 := plot(t, all)
	for i, want := range [][2]float64{{0.25, 0.5}, {0, 1}, {0.75, 0.25}, {0, 0.25}} {
		e := reds(all)[i]
		x, w := (e.num(t, "x")-x0)/(x1-x0), e.num(t, "width")/(x1-x0)
		if math.Abs(x-want[0]) > 1e-4 || math.Abs(w-want[1]) > 1e-4 {
			t.Errorf("%s: from %.4f, %.4f wide, want %v", e.title, x, w, want)
		}
	}
	if title := reds(all)[0].title; title != "half red from 02:00 to 06:00 (4h): A" {
		t.Errorf("title %q", title)
	}
}

// TestOverlappingAlertsAreOneBar, whose title says all of them, and whose time counts
// once.
func TestOverlappingAlertsAreOneBar(t *testing.T) {
	p := Bands{From: night(0, 0), Until: night(8, 0), Rows: []Row{{"web-1", []Red{
		{night(3, 0), night(4, 0), []string{"B", "C"}}, {night(2, 0), night(3, 30), []string{"A"}}, {night(6, 0), night(7, 0), []string{"A"}},
	}}}}
	all := whole(t, string(p.SVG()))
	bars := reds(all)
	if len(bars) != 2 || bars[0].title != "web-1 red from 02:00 to 04:00 (2h)\n02:00 to 03:30: A\n03:00 to 04:00: B, C" {
		t.Errorf("%d bars, the first: %q", len(bars), bars[0].title)
	}
	want := []string{
		"Sat 14 Mar 2026 00:00 to 08:00 UTC: 1 of 1 target was red.",
		"web-1 was red from 02:00 to 04:00 (2h): A, B, C.", "web-1 was red from 06:00 to 07:00 (1h): A.",
	}
	if got := p.Words(); !slices.Equal(got, want) {
		t.Errorf("words %q", got)
	}
	if len(texts(all, "red 3h")) != 1 {
		t.Error("its three hours of red are not told")
	}
}

// texts returns the texts that are this.
func texts(all []*element, text string) []*element {
	return slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return e.name != "text" || e.text != text })
}

// TestWhatIsNotKnownIsNotQuiet: after now, and while monitoring was blind.
func TestWhatIsNotKnownIsNotQuiet(t *testing.T) {
	p := Bands{
		From: night(0, 0), Until: night(8, 0), Now: night(4, 0), Blind: []Stretch{{night(1, 0), night(2, 0)}, {night(3, 30), time.Time{}}},
		Rows: []Row{{"web-1", []Red{{From: night(3, 0), Alerts: []string{"A"}}}}, {Name: "web-2"}},
	}
	all := whole(t, string(p.SVG()))
	x0, known := plot(t, all)
	var future *element
	for _, e := range all {
		if e.is("c-future") && future == nil {
			future = e
		}
	}
	if x1 := future.num(t, "x2"); math.Abs((known-x0)/(x1-x0)-0.5) > 1e-4 || math.Abs(future.num(t, "x1")-known) > 0.02 {
		t.Errorf("known until %v of %v to %v", known, x0, x1)
	}
	blind := find(all, "rect", "Monitoring was blind")
	if len(blind) != 2 || math.Abs(blind[0].num(t, "width")-(known-x0)/4) > 0.02 || blind[1].num(t, "x")+blind[1].num(t, "width") > known+0.02 {
		t.Errorf("%d times blind", len(blind))
	}
	if bar := reds(all)[0]; math.Abs(bar.num(t, "x")+bar.num(t, "width")-known) > 0.02 || bar.title != "web-1 red since 03:00 (1h so far): A" {
		t.Errorf("still red: %q", bar.title)
	}
	if len(texts(all, "quiet")) != 1 || len(texts(all, "quiet while seen")) != 1 { // the first is of the key
		t.Error("what nobody saw counts as quiet")
	}
	early := Bands{From: p.From, Until: p.Until, Now: p.From, Rows: []Row{{Name: "web-1"}, {Name: "web-2"}}}
	if len(texts(whole(t, string(early.SVG())), "not known yet")) != 2 || !strings.HasSuffix(early.Words()[0], ": all 2 targets were not known yet.") {
		t.Errorf("what is still to come counts as quiet: %q", early.Words())
	}
	if words := strings.Join(p.Words(), "\n"); !strings.Contains(words, "web-1 is red since 03:00 (1h so far): A") || !strings.Contains(words, "Monitoring was blind from 03:30 to 04:00 (30m).") {
		t.Error(words)
	}
}

// TestEveryMarkHasItsSignAndItsWords, and no two kinds share a sign and a colour.
func TestEveryMarkHasItsSignAndItsWords(t *testing.T) {
	p, signs := Bands{From: night(0, 0), Until: night(20, 0), Now: night(19, 0), Rows: []Row{{Name: "web-1"}}}, map[string]MarkKind{}
	kinds := []MarkKind{MarkOpened, MarkClosed, MarkPatchStarted, MarkPatched, MarkLevel, MarkAsked, MarkHeld, MarkRecovered, MarkExhausted, MarkAborted, MarkWatchEnds, MarkOther}
	for i, k := range kinds {
		sign, class, _ := k.sign()
		if other, twice := signs[fmt.Sprint(sign, class)]; twice {
			t.Errorf("%s and %s look the same", k, other)
		}
		signs[fmt.Sprint(sign, class)] = k
		p.Marks = append(p.Marks, Mark{Kind: k, At: night(i, 30)})
	}
	all := whole(t, string(p.SVG()))
	apart(t, all)
	for i, k := range kinds {
		if len(find(all, "g", fmt.Sprintf("%s, %02d:30", k, i))) != 1 {
			t.Errorf("%s is not marked", k)
		}
	}
	if len(find(all, "g", "now, 19:00")) != 1 {
		t.Error("the present is not marked")
	}
}

// TestNoLineGoesThroughWords: that of a mark passes the words of all others.
func TestNoLineGoesThroughWords(t *testing.T) {
	narrow := story()
	narrow.Width = widthLeast
	for name, p := range map[string]Bands{"story": story(), "narrow": narrow, "demo": demo(), "long": longBands()} {
		all := whole(t, string(p.SVG()))
		for _, line := range slices.Concat(classed(all, "c-mark"), classed(all, "c-nowline")) {
			x, top, bottom := line.num(t, "x1"), line.num(t, "y1"), line.num(t, "y2")
			for _, e := range all {
				if e.name != "text" {
					continue
				}
				if b := boxOf(t, e); x > b.x0 && x < b.x1 && top < b.y1 && bottom > b.y0 {
					t.Errorf("%s: a line at %v goes through %q", name, x, b.text)
				}
			}
		}
	}
}

// TestManyAlertsStayOnePicture: what is under a pixel becomes one bar, a row with many
// bars one shape, and the picture stays small.
func TestManyAlertsStayOnePicture(t *testing.T) {
	p := Bands{From: march(1, 0), Until: march(15, 0)}
	row := Row{Name: "web-1"}
	for i := range 10_000 {
		from := march(1, 0).Add(time.Duration(i) * 2 * time.Minute)
		row.Red = append(row.Red, Red{from, from.Add(time.Minute), []string{fmt.Sprint("A", i)}})
	}
	p.Rows = []Row{row}
	for _, r := range row.Red {
		p.Blind = append(p.Blind, Stretch{r.Until, r.Until.Add(30 * time.Second)})
	}
	all := whole(t, string(p.SVG()))
	if n := len(reds(all)); n > 600 {
		t.Errorf("%d bars", n)
	}
	if n := len(find(all, "rect", "blind")); n > 600 {
		t.Errorf("%d times blind", n)
	}
	if words := p.Words(); len(words) > wordsMost+25 || !slices.Contains(words, "And 9800 more times of red.") {
		t.Errorf("%d sentences: %q", len(words), words[len(words)-1])
	}
	if long := string(longBands().SVG()); len(long) > 350<<10 {
		t.Errorf("%d bytes", len(long))
	}
}

// TestPausesStayPauses: however many bars there are, two with a pause that can be seen
// are two.
func TestPausesStayPauses(t *testing.T) {
	p := longBands()
	all := whole(t, string(p.SVG()))
	apart(t, all)
	paths := find(all, "path", "node-049 red ")
	if len(paths) != 1 || strings.Count(paths[0].attr["d"], "z") < 40 {
		t.Fatalf("%d shapes", len(paths))
	}
	if want := "node-049 red 49 times, 2h27m in all: Alert0, Alert7, Alert3, Alert6, Alert2, Alert5, Alert1, Alert4 and 1 more"; paths[0].title != want {
		t.Errorf("title %q", paths[0].title)
	}
}

// TestMoreThanARowHolds: what is not drawn is told, in the picture and in the words.
func TestMoreThanARowHolds(t *testing.T) {
	p := longBands()
	p.Marks = append(p.Marks, Mark{Kind: MarkWatchEnds, At: march(30, 0)})
	all := whole(t, string(p.SVG()))
	for _, want := range []string{"15 more targets are not drawn, 14 of them with alerts.", "1 alert or mark is outside of this time.", "4 later marks are not drawn."} {
		if len(texts(all, want)) != 1 {
			t.Errorf("the picture does not say %q", want)
		}
		if !slices.Contains(p.Words(), want) {
			t.Errorf("the words do not say %q", want)
		}
	}
	if n := len(texts(all, "node-199")) + len(texts(all, "node-200")); n != 1 {
		t.Errorf("%d of the rows at the limit are drawn", n)
	}
	crowded := slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return e.name != "text" || !strings.Contains(e.text, "too close to others") })
	if len(crowded) != 1 {
		t.Error("it does not say which marks have no room")
	}
}

// TestHowItEndedIsDrawnFirst where there are more marks than there is room for.
func TestHowItEndedIsDrawnFirst(t *testing.T) {
	p := Bands{Width: widthLeast, From: night(0, 0), Until: night(20, 0), Rows: []Row{{Name: "web-1"}}}
	for i := range 40 {
		p.Marks = append(p.Marks, Mark{MarkOther, night(10, i), "a note"})
	}
	p.Marks = append(p.Marks, Mark{MarkLevel, night(10, 12), "L1 started"}, Mark{Kind: MarkRecovered, At: night(10, 40)})
	all := whole(t, string(p.SVG()))
	apart(t, all)
	if len(find(all, "g", "L1 started, 10:12")) != 1 || len(find(all, "g", "recovered, 10:40")) != 1 {
		t.Error("notes are drawn in the place of how it ended")
	}
}

// TestTimesThatAreNone: zero, backwards, far away, and none at all.
func TestTimesThatAreNone(t *testing.T) {
	far := time.Unix(math.MaxInt64, 0)
	for name, p := range map[string]Bands{
		"nothing":           {},
		"rows without time": {Rows: []Row{{"web-1", []Red{{}}}}},
		"backwards":         {From: night(8, 0), Until: night(2, 0), Rows: []Row{{"web-1", []Red{{night(4, 0), night(3, 0), nil}}}}},
		"one instant":       {From: night(8, 0), Until: night(8, 0), Rows: []Row{{"web-1", []Red{{night(8, 0), night(8, 0), nil}}}}},
		"only from":         {From: night(8, 0)},
		"only until":        {Until: night(8, 0), Rows: []Row{{"web-1", []Red{{night(4, 0), night(5, 0), nil}}}}},
		"only now":          {Now: night(8, 0), Rows: []Row{{"web-1", []Red{{From: night(7, 0)}}}}},
		"before now":        {From: night(8, 0), Until: night(9, 0), Now: night(7, 0), Rows: []Row{{"web-1", []Red{{From: night(8, 30)}}}}},
		"far":               {From: far, Until: far, Now: far, Rows: []Row{{"web-1", []Red{{far, far, nil}}}}, Marks: []Mark{{At: far}}},
		"ages":              {From: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), Rows: []Row{{"web-1", []Red{{night(1, 0), night(2, 0), nil}}}}},
		"other zones":       {From: night(0, 0).In(time.FixedZone("x", 5*3600)), Until: night(8, 0).In(time.FixedZone("y", -7*3600))},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, whole(t, string(p.SVG())))
			for _, w := range p.Words() {
				if w == "" || strings.Contains(w, "0001") {
					t.Errorf("words %q", p.Words())
				}
			}
		})
	}
	if words := (Bands{}).Words(); len(words) != 1 || !strings.HasPrefix(words[0], "There is nothing to draw yet") {
		t.Errorf("words %q", words)
	}
}
