package chart

import (
	"slices"
	"time"
)

// grid is how a time axis is divided: its ticks, and the larger part of time that
// each of them begins, if it does.
type grid struct {
	ticks []tick
	// around is the larger part in which the axis begins.
	around string
}

type tick struct {
	at    time.Time
	label string
	// begins is the larger part of time that begins here, such as a day.
	begins string
}

// division is one way to divide: every so much time, or so many months.
type division struct {
	every  time.Duration
	months int
	// label and around are the layouts of a tick and of what it lies in.
	label, around string
	// sample is as wide as a label gets.
	sample string
	// weeks divides days by weeks: each Monday begins a larger part.
	weeks bool
}

const oneDay = 24 * time.Hour

// divisions are all that an axis may have, finest first.
var divisions = slices.Concat(
	byClock("15:04:05", "00:00:00", time.Second, 2*time.Second, 5*time.Second, 10*time.Second, 15*time.Second, 30*time.Second),
	byClock("15:04", "00:00", time.Minute, 2*time.Minute, 5*time.Minute, 10*time.Minute, 15*time.Minute, 30*time.Minute,
		time.Hour, 2*time.Hour, 3*time.Hour, 6*time.Hour),
	// Two of them are as wide as the name of their day.
	byClock("15:04", "Wed 30 Sept", 12*time.Hour),
	[]division{
		{every: oneDay, label: "Mon 2", around: "January 2006", sample: "Wed 30"},
		{every: oneDay, label: "2", around: "Mon 2 January 2006", sample: "30", weeks: true},
		{every: 7 * oneDay, label: "2 Jan", around: "2006", sample: "30 May"},
		{months: 1, label: "Jan", around: "2006", sample: "Mar"},
		{months: 3, label: "Jan", around: "2006", sample: "Mar"},
	},
	byYears(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
)

func byClock(label, sample string, every ...time.Duration) []division {
	list := make([]division, len(every))
	for i, d := range every {
		list[i] = division{every: d, label: label, around: "Mon 2 January 2006", sample: sample}
	}
	return list
}

func byYears(years ...int) []division {
	list := make([]division, len(years))
	for i, n := range years {
		list[i] = division{months: 12 * n, label: "2006", sample: "2000"}
	}
	return list
}

// labelSpace is the least space between two labels.
const labelSpace = 12

// gridOf divides a time as finely as its labels can be read.
func gridOf(s scale) grid {
	chosen := divisions[len(divisions)-1]
	for _, d := range divisions {
		if space := d.length() / seconds(s.from, s.until) * (s.x1 - s.x0); space >= wide(d.sample, smallSize)+labelSpace {
			chosen = d
			break
		}
	}
	g := grid{around: inWords(s.from, chosen.around)}
	last := g.around
	for t := chosen.first(s.from); !t.After(s.until); t = chosen.next(t) {
		k := tick{at: t, label: t.Format(chosen.label)}
		if now := inWords(t, chosen.around); now != last && (!chosen.weeks || t.Weekday() == time.Monday) {
			k.begins, last = now, now
		}
		g.ticks = append(g.ticks, k)
	}
	return g
}

func inWords(t time.Time, layout string) string {
	if layout == "" {
		return ""
	}
	return t.Format(layout)
}

// length is how many seconds lie between two ticks, at least.
func (d division) length() float64 {
	if d.months > 0 {
		return float64(d.months) * 28 * oneDay.Seconds()
	}
	return d.every.Seconds()
}

// first is the first tick at the time or after it.
func (d division) first(from time.Time) time.Time {
	var t time.Time
	switch {
	case d.months > 0:
		months := from.Year()*12 + int(from.Month()) - 1
		t = time.Date(0, time.Month(months-months%d.months+1), 1, 0, 0, 0, 0, time.UTC)
	default:
		// The zero time is a Monday, so weeks begin on Mondays.
		t = from.Truncate(d.every)
	}
	if t.Before(from) {
		t = d.next(t)
	}
	return t
}

func (d division) next(t time.Time) time.Time {
	if d.months > 0 {
		return t.AddDate(0, d.months, 0)
	}
	return t.Add(d.every)
}

// axisHeight is what an axis takes below a plot, or above it.
const axisHeight = 34.0

// lines draws a hairline at every tick, and a stronger one where a larger part of time
// begins.
func (s *sheet) lines(sc scale, g grid, top, bottom float64) {
	for _, k := range g.ticks {
		class := "c-grid"
		if k.begins != "" {
			class = "c-edge"
		}
		x := sc.at(k.at)
		s.line(class, x, top, x, bottom)
	}
}

// axis writes the times below a plot whose lower edge is at y, or above one whose
// upper edge is there.
func (s *sheet) axis(sc scale, g grid, y float64, above bool) {
	ticks, around := y+14, y+28
	if above {
		ticks, around = y-6, y-20
	}
	s.open("g", "aria-hidden", "true")
	s.text("c-s c-q", atStart, 0, ticks, "UTC", "")
	// A label at an edge leans inside, so that none leaves the picture.
	free := wide("UTC", smallSize) + 10
	for _, k := range g.ticks {
		x, w := sc.at(k.at), wide(k.label, smallSize)
		left := min(x-w/2, s.width-w)
		if left < free || left+w < x {
			continue
		}
		s.text("c-s c-q", atStart, left, ticks, k.label, "")
		free = left + w + 4
	}
	s.around(sc, g, around)
	s.end("g")
}

// around writes the larger parts of time: the one that the axis begins in, and each
// that begins on it, where there is room.
func (s *sheet) around(sc scale, g grid, y float64) {
	free := sc.x0
	first := slices.IndexFunc(g.ticks, func(k tick) bool { return k.begins != "" })
	if w := wide(g.around, smallSize); first < 0 || sc.at(g.ticks[first].at) >= sc.x0+w+labelSpace || sc.at(g.ticks[first].at)+wide(g.ticks[first].begins, smallSize) > s.width {
		s.text("c-s c-ink", atStart, sc.x0, y, g.around, "")
		free += w + labelSpace
	}
	for _, k := range g.ticks {
		x, w := sc.at(k.at), wide(k.begins, smallSize)
		if k.begins == "" || x < free || x+w > s.width {
			continue
		}
		s.text("c-s c-ink", atStart, x, y, k.begins, "")
		free = x + w + labelSpace
	}
}
