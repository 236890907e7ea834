package chart

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	rowsMost  = 200
	marksMost = 60
)

// bandsView is what there is to see in a [Bands], in order and cut to its time.
type bandsView struct {
	Bands
	scale scale
	// now is until when anything is known.
	now   time.Time
	rows  []bandRow
	marks []Mark
	blind []Stretch
	// window and watch are cut to the picture; shown tells which of them lie in it.
	window, watch       Stretch
	hasWindow, hasWatch bool
	// outside counts times of red and marks that lie outside of the picture, more and
	// moreRed the targets that have no row, moreMarks the marks without a place.
	outside, more, moreRed, moreMarks int
}

// bandRow is a target and its spells, in order and without overlap.
type bandRow struct {
	name   string
	spells []spell
	red    time.Duration
	still  bool
}

// spell is a time without a pause in which at least one alert was firing.
type spell struct {
	from, until time.Time
	// still tells that it had not ended.
	still bool
	parts []Red
}

func (p Bands) look() (*bandsView, bool) {
	from, until, ok := span(p.From, p.Until, p.moments())
	if !ok {
		return nil, false
	}
	v := &bandsView{Bands: p, scale: scale{from: from, until: until, x1: 1}}
	v.now = until
	if known(p.Now) {
		v.now = earlier(later(p.Now.UTC(), from), until)
	}
	v.window, v.hasWindow = v.scale.meets(p.Window)
	v.watch, v.hasWatch = v.scale.meets(p.Watch)
	for _, b := range p.Blind {
		if b, ok := v.scale.meets(b); ok {
			b.Until = later(earlier(b.Until, v.now), b.From)
			v.blind = append(v.blind, b)
		}
	}
	v.blind = unite(v.blind)
	v.lookAtMarks()
	for i, row := range p.Rows {
		if i >= rowsMost {
			v.more++
			if len(row.Red) > 0 {
				v.moreRed++
			}
			continue
		}
		v.rows = append(v.rows, v.row(row))
	}
	return v, true
}

// moments are all times in the picture, by which it is bounded when nothing else says
// how.
func (p Bands) moments() []time.Time {
	list := []time.Time{p.Window.From, p.Window.Until, p.Watch.From, p.Watch.Until}
	for _, m := range p.Marks {
		list = append(list, m.At)
	}
	for _, b := range p.Blind {
		list = append(list, b.From, b.Until)
	}
	for _, row := range p.Rows {
		for _, r := range row.Red {
			list = append(list, r.From, r.Until)
			if !known(r.Until) {
				list = append(list, p.Now)
			}
		}
	}
	return list
}

func (v *bandsView) lookAtMarks() {
	for _, m := range v.Marks {
		switch {
		case !v.scale.holds(m.At):
			v.outside++
		default:
			m.At, m.Text = m.At.UTC(), nameOr(m.Text, nameOr(string(m.Kind), string(MarkOther)))
			v.marks = append(v.marks, m)
		}
	}
	slices.SortStableFunc(v.marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	if len(v.marks) > marksMost {
		v.moreMarks = len(v.marks) - marksMost
		v.marks = v.marks[:marksMost]
	}
}

// row puts the times of red of a target in order and joins those that overlap.
func (v *bandsView) row(row Row) bandRow {
	out := bandRow{name: nameOr(row.Name, "(no name)")}
	list := make([]spell, 0, len(row.Red))
	for _, r := range row.Red {
		still := !known(r.Until)
		if still {
			r.Until = later(v.now, utc(r.From))
		}
		st, ok := v.scale.meets(Stretch{r.From, r.Until})
		if !ok {
			v.outside++
			continue
		}
		r.From, r.Until = st.From, st.Until
		list = append(list, spell{from: st.From, until: st.Until, still: still, parts: []Red{r}})
	}
	slices.SortStableFunc(list, func(a, b spell) int { return cmp.Or(a.from.Compare(b.from), a.until.Compare(b.until)) })
	for _, s := range list {
		if n := len(out.spells); n > 0 && !s.from.After(out.spells[n-1].until) {
			out.spells[n-1].join(s)
			continue
		}
		out.spells = append(out.spells, s)
	}
	for _, s := range out.spells {
		out.red += s.until.Sub(s.from)
		out.still = out.still || s.still
	}
	return out
}

func (s *spell) join(next spell) {
	s.until = later(s.until, next.until)
	s.still = s.still || next.still
	s.parts = append(s.parts, next.parts...)
}

// during says when a spell was, and how long.
func (v *bandsView) during(s spell) string {
	took := lasted(s.until.Sub(s.from))
	if s.still {
		return fmt.Sprintf("since %s (%s so far)", v.scale.clock(s.from), took)
	}
	return fmt.Sprintf("from %s (%s)", v.scale.between(s.from, s.until), took)
}

// alerts names the alerts of a spell, each once.
func alerts(parts []Red, most int) string {
	var names []string
	seen := map[string]bool{}
	for _, p := range parts {
		for _, a := range p.Alerts {
			if seen[a] {
				continue
			}
			seen[a] = true
			if a = tidy(a); a != "" {
				names = append(names, a)
			}
		}
	}
	return some(names, most)
}

// some names the first few of a list.
func some(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// count is "1 target" or "3 targets".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
