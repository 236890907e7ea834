package chart

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	barsMost    = 300
	freezesMost = 50
	fortnight   = 14 * oneDay
)

// calendarView is what there is to see in a [Calendar], in order and cut to its time.
type calendarView struct {
	Calendar
	scale   scale
	bars    []calendarBar
	freezes []Freeze
	// targets are all targets of the bars, each once.
	targets []string
	// outside counts changes that lie outside of the picture or have no window, more
	// those without a place, moreFreezes the freezes.
	outside, more, moreFreezes int
}

// calendarBar is one change, and how it meets others.
type calendarBar struct {
	Bar
	// window, watch are cut to the picture. There may be only one of them in it.
	window, watch       Stretch
	hasWindow, hasWatch bool
	overlaps            []overlap
}

// overlap is a time in which another change is about the same targets.
type overlap struct {
	with string
	// target is the first of so many.
	target  string
	targets int
	Stretch
}

func (p Calendar) look() (*calendarView, bool) {
	from, until, ok := p.bounds()
	if !ok {
		return nil, false
	}
	v := &calendarView{Calendar: p, scale: scale{from: from, until: until, x1: 1}}
	for _, b := range p.Bars {
		if c, ok := v.bar(b); ok {
			v.bars = append(v.bars, c)
		} else {
			v.outside++
		}
	}
	slices.SortStableFunc(v.bars, func(a, b calendarBar) int {
		return cmp.Or(a.begin().Compare(b.begin()), strings.Compare(a.Name, b.Name))
	})
	if len(v.bars) > barsMost {
		v.more = len(v.bars) - barsMost
		v.bars = v.bars[:barsMost]
	}
	v.findOverlaps()
	for _, f := range p.Freezes {
		st, ok := v.scale.meets(Stretch{f.From, f.Until})
		if ok {
			v.freezes = append(v.freezes, Freeze{nameOr(f.Name, "freeze"), st.From, st.Until})
		}
	}
	slices.SortStableFunc(v.freezes, func(a, b Freeze) int { return a.From.Compare(b.From) })
	if len(v.freezes) > freezesMost {
		v.moreFreezes = len(v.freezes) - freezesMost
		v.freezes = v.freezes[:freezesMost]
	}
	return v, true
}

// bounds is the picture's time.
func (p Calendar) bounds() (from, until time.Time, ok bool) {
	from, until = utc(p.From), utc(p.Until)
	switch {
	case !from.IsZero() && from.Before(until):
	case !from.IsZero():
		until = from.Add(fortnight)
	case !until.IsZero():
		from = until.Add(-fortnight)
	case known(p.Now):
		from = utc(p.Now).Truncate(oneDay).Add(-oneDay)
		until = from.Add(fortnight)
	default:
		var opens []time.Time
		for _, b := range p.Bars {
			opens = append(opens, b.Opens)
		}
		if opens = onlyKnown(opens); len(opens) == 0 {
			return from, until, false
		}
		from = slices.MinFunc(opens, time.Time.Compare).Truncate(oneDay)
		until = from.Add(fortnight)
	}
	return span(from, until, nil)
}

func (v *calendarView) bar(b Bar) (calendarBar, bool) {
	c := calendarBar{Bar: b}
	c.Name, c.Title, c.State = nameOr(b.Name, "(no name)"), tidy(b.Title), tidy(b.State)
	c.Opens, c.Closes, c.Watch = utc(b.Opens), utc(b.Closes), utc(b.Watch)
	if c.Opens.IsZero() {
		return c, false
	}
	c.Closes = later(c.Closes, c.Opens)
	c.window, c.hasWindow = v.scale.meets(Stretch{c.Opens, c.Closes})
	if c.Watch.After(c.Closes) {
		c.watch, c.hasWatch = v.scale.meets(Stretch{c.Closes, c.Watch})
	}
	return c, c.hasWindow || c.hasWatch
}

// begin and end are of the whole bar, as far as it is drawn.
func (c *calendarBar) begin() time.Time {
	if c.hasWindow {
		return c.window.From
	}
	return c.watch.From
}

func (c *calendarBar) end() time.Time {
	if c.hasWatch {
		return c.watch.Until
	}
	return c.window.Until
}

// findOverlaps notes which bars are about the same target at the same time. Bars are
// in the order of their beginning.
func (v *calendarView) findOverlaps() {
	targets := v.targetNumbers()
	for i := range v.bars {
		for j := i + 1; j < len(v.bars) && v.bars[j].begin().Before(v.bars[i].end()); j++ {
			n, first := shared(targets[i], targets[j])
			if n == 0 {
				continue
			}
			a, b := &v.bars[i], &v.bars[j]
			st := Stretch{b.begin(), earlier(a.end(), b.end())}
			name := nameOr(v.targets[first], "(no name)")
			a.overlaps = append(a.overlaps, overlap{b.Name, name, n, st})
			b.overlaps = append(b.overlaps, overlap{a.Name, name, n, st})
		}
	}
}

// targetNumbers gives every target a number, and returns those of each bar in order.
func (v *calendarView) targetNumbers() [][]int {
	numbers := map[string]int{}
	out := make([][]int, len(v.bars))
	for i := range v.bars {
		for _, target := range v.bars[i].Targets {
			n, ok := numbers[target]
			if !ok {
				n = len(numbers)
				numbers[target] = n
				v.targets = append(v.targets, target)
			}
			out[i] = append(out[i], n)
		}
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// shared counts what is in both lists, which are in order.
func shared(a, b []int) (n, first int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			if n == 0 {
				first = a[0]
			}
			n++
			a, b = a[1:], b[1:]
		}
	}
	return n, first
}

// Words says in sentences what the picture shows: its time, the freezes, each change,
// and which of them overlap. There is always at least one.
func (p Calendar) Words() []string {
	v, ok := p.look()
	if !ok {
		return []string{"There is nothing to draw yet: no change has a window."}
	}
	return v.words()
}

func (v *calendarView) words() []string {
	words := []string{fmt.Sprintf("%s: %s, %s.", v.scale.whole(), count(len(v.bars), "change"), count(len(v.freezes), "freeze"))}
	for _, f := range v.freezes {
		words = append(words, fmt.Sprintf("Freeze %s: %s.", f.Name, v.scale.between(f.From, f.Until)))
	}
	for i := range v.bars {
		if i == wordsMost {
			words = append(words, "And "+count(len(v.bars)-i, "more change")+".")
			break
		}
		words = append(words, v.sentence(&v.bars[i])+".")
	}
	return append(words, v.remarks()...)
}

// sentence says all about one change.
func (v *calendarView) sentence(c *calendarBar) string {
	text := c.Name
	if c.Title != "" {
		text += " (" + c.Title + ")"
	}
	if c.State != "" {
		text += ", " + c.State
	}
	text += fmt.Sprintf(": window %s", v.scale.between(c.Opens, c.Closes))
	if c.Watch.After(c.Closes) {
		text += ", watch until " + v.scale.clock(c.Watch)
	}
	for i, o := range c.overlaps {
		if i == 5 {
			text += fmt.Sprintf("; and %d more", len(c.overlaps)-i)
			break
		}
		text += "; " + o.sentence(v.scale)
	}
	return text
}

func (o overlap) sentence(s scale) string {
	on := o.target
	if o.targets > 1 {
		on += fmt.Sprintf(" and %d more", o.targets-1)
	}
	return fmt.Sprintf("overlaps %s on %s, %s", o.with, on, s.between(o.From, o.Until))
}

func (v *calendarView) remarks() []string {
	var words []string
	if v.more > 0 {
		words = append(words, are(v.more, "later change")+" not drawn.")
	}
	if v.outside > 0 {
		words = append(words, are(v.outside, "change")+" outside of this time, or without a window.")
	}
	if v.moreFreezes > 0 {
		words = append(words, are(v.moreFreezes, "later freeze")+" not drawn.")
	}
	return words
}
