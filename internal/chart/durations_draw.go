package chart

import (
	"html/template"
	"math"
	"slices"
	"time"
)

const (
	levelHeight = 20.0
	blockGap    = 10.0
)

// durationsSheet is a picture of durations with everything in its place.
type durationsSheet struct {
	*sheet
	*durationsView
	// dates and levels are where those columns begin; x0 to x1 is the plot.
	dates, levels, x0, x1 float64
	// most is how long the plot is.
	most time.Duration
}

func drawDurations(v *durationsView) template.HTML {
	s := &durationsSheet{sheet: newSheet(v.ID, v.Width), durationsView: v, most: v.longest()}
	s.columns()
	const top = 6.0
	bottom := top
	for _, r := range s.rollbacks {
		bottom += float64(len(r.Levels))*levelHeight + blockGap
	}
	ticks := lengthTicks(s.most, s.x1-s.x0)
	for _, d := range ticks {
		s.line("c-grid", s.at(d), top, s.at(d), bottom)
	}
	s.names(top)
	y := top
	for i, r := range s.rollbacks {
		if i > 0 {
			s.line("c-grid", 0, y, s.width, y)
		}
		y += blockGap / 2
		for j, l := range r.Levels {
			s.level(r, l, y+(float64(j)+0.5)*levelHeight)
		}
		y += float64(len(r.Levels))*levelHeight + blockGap/2
	}
	s.lengthAxis(ticks, bottom)
	y = s.legend(bottom+24, s.key())
	y = s.remarksAt(y, v.remarks())
	return s.picture(y, nameOr(v.Title, durationsTitle), few(v.words()))
}

// longest is how long the plot must be. One level that took many times longer than all
// others does not make them invisible: its bar is broken off.
func (v *durationsView) longest() time.Duration {
	var took []time.Duration
	least := time.Second
	for _, r := range v.rollbacks {
		for _, l := range r.Levels {
			took = append(took, max(l.Took, 0))
			least = max(least, l.Limit)
		}
	}
	slices.Sort(took)
	usual := max(took[len(took)*9/10], least)
	if len(took) < 10 {
		usual = max(took[(len(took)-1)/2], least)
	}
	most := max(took[len(took)-1], least)
	if most/4 > usual {
		most = 2 * usual
	}
	// Room behind the last bar, unless that is more than there is.
	return most + min(most/20, math.MaxInt64-most)
}

func (s *durationsSheet) columns() {
	names, dates, levels, words := 0.0, 0.0, 0.0, 0.0
	for _, r := range s.rollbacks {
		names = max(names, wide(r.Name, textSize))
		if !r.At.IsZero() {
			dates = wide("30 May 2026", smallSize) + 10
		}
		for _, l := range r.Levels {
			levels = max(levels, wide(l.Name, textSize))
			words = max(words, wide(l.words(), smallSize))
		}
	}
	s.dates = min(names, s.width*0.22) + 10
	s.levels = s.dates + dates
	s.x0 = s.levels + min(levels, s.width*0.1) + 10
	s.x1 = s.width - min(words, s.width*0.28) - 14
}

// words are what stands behind a level's bar.
func (l TimedLevel) words() string {
	text := l.measured(false)
	if l.Outcome != "" {
		text += " · " + l.Outcome
	}
	return text
}

// at is where a duration ends; what is longer than the plot ends with it.
func (s *durationsSheet) at(d time.Duration) float64 {
	part := math.Min(math.Max(float64(d)/float64(s.most), 0), 1)
	return s.x0 + float64(part*(s.x1-s.x0))
}

// names writes whose levels these are, and when.
func (s *durationsSheet) names(y float64) {
	for _, r := range s.rollbacks {
		base := y + blockGap/2 + levelHeight/2 + 4
		s.titled(r.Href, r.sentence(), func() { s.name(base, s.dates-10, r.Name) })
		if !r.At.IsZero() {
			s.text("c-s c-q", atStart, s.dates, base, r.At.Format("2 Jan 2006"), r.At.Format("Mon 2 Jan 2006 15:04")+" UTC")
		}
		y += float64(len(r.Levels))*levelHeight + blockGap
	}
}

// level draws the bar of a level round the height y, its limit, and the words behind.
func (s *durationsSheet) level(r Timed, l TimedLevel, y float64) {
	const bar = 10
	s.text("c-t", atStart, s.levels, y+4, clip(l.Name, s.x0-10-s.levels, textSize), l.Name)
	title := r.Name + ": " + l.Name + " " + l.measured(true)
	if l.Outcome != "" {
		title += ", " + l.Outcome
	}
	end := s.at(l.Took)
	within := end
	if l.over() > 0 {
		within = s.at(l.Limit)
	}
	if l.Took >= 0 {
		s.rect("c-took", s.x0, y-bar/2, math.Max(within-s.x0, 1), bar, title)
	}
	if l.over() > 0 {
		s.rect("", within, y-bar/2, math.Max(end-within, 2), bar, title, s.fill(redPattern)...)
	}
	if l.Took > s.most {
		s.broken(y, bar)
	}
	if l.Running && l.Took >= 0 && l.Took <= s.most {
		s.shape(into, "c-ink", end+4, y, 4)
	}
	if l.Limit > 0 {
		s.bracket(s.at(l.Limit), y, l.Name+": escalate_after "+length(l.Limit))
	}
	class := "c-s c-q"
	if l.over() > 0 {
		class = "c-s c-badtext"
	}
	words := l.words()
	s.text(class, atStart, s.x1+14, y+4, clip(words, s.width-s.x1-14, smallSize), words)
}

// broken shows that a bar goes on beyond the plot.
func (s *durationsSheet) broken(y, bar float64) {
	for _, x := range []float64{s.x1 - 14, s.x1 - 9} {
		s.leaf("", "path", "class", "c-break", "d", "M"+num(x-2)+" "+num(y+bar/2+1)+"L"+num(x+2)+" "+num(y-bar/2-1))
	}
}

// bracket marks a limit: a stroke with feet, higher than the bar.
func (s *sheet) bracket(x, y float64, title string) {
	const reach, foot = 8, 2.5
	s.leaf(title, "path", "class", "c-limit",
		"d", "M"+num(x-foot)+" "+num(y-reach)+"h"+num(2*foot)+"M"+num(x)+" "+num(y-reach)+"v"+num(2*reach)+"M"+num(x-foot)+" "+num(y+reach)+"h"+num(2*foot))
}

// lengthSteps are the distances between the ticks of durations.
var lengthSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	oneDay, 2 * oneDay, 5 * oneDay, 10 * oneDay, 20 * oneDay, 50 * oneDay, 100 * oneDay, 200 * oneDay, 500 * oneDay, 1000 * oneDay, 10000 * oneDay,
}

// lengthTicks are the ticks of an axis of durations from nothing to most.
func lengthTicks(most time.Duration, room float64) []time.Duration {
	step := lengthSteps[len(lengthSteps)-1]
	for _, d := range lengthSteps {
		if float64(d)/float64(most)*room >= wide("23h30m", smallSize)+labelSpace {
			step = d
			break
		}
	}
	var list []time.Duration
	for d := time.Duration(0); d <= most; d += step {
		list = append(list, d)
		if d > most-step {
			break
		}
	}
	return list
}

func (s *durationsSheet) lengthAxis(ticks []time.Duration, y float64) {
	s.open("g", "aria-hidden", "true")
	unit := clip("since the level's first step", s.x0-24, smallSize)
	s.text("c-s c-q", atStart, 0, y+14, unit, "")
	free := wide(unit, smallSize) + 4
	for _, d := range ticks {
		x, half := s.at(d), wide(length(d), smallSize)/2
		if x-half < free || x+half > s.width {
			continue
		}
		s.text("c-s c-q", atMiddle, x, y+14, length(d), "")
		free = x + half + 4
	}
	s.end("g")
}

func (s *durationsSheet) key() []keyItem {
	items := []keyItem{
		{"within the limit", func(x, y float64) { s.rect("c-took", x, y-5, signWidth, 10, "") }},
		{"over the limit", func(x, y float64) { s.rect("", x, y-5, signWidth, 10, "", s.fill(redPattern)...) }},
		{"escalate_after", func(x, y float64) { s.bracket(x+signWidth/2, y, "") }},
	}
	running, broken := false, false
	for _, r := range s.rollbacks {
		for _, l := range r.Levels {
			running, broken = running || l.Running, broken || l.Took > s.most
		}
	}
	if running {
		items = append(items, keyItem{"still running", func(x, y float64) { s.shape(into, "c-ink", x+signWidth/2, y, 4) }})
	}
	if broken {
		items = append(items, keyItem{"longer than drawn", func(x, y float64) {
			s.rect("c-took", x, y-5, signWidth, 10, "")
			for _, at := range []float64{x + 7, x + 12} {
				s.leaf("", "path", "class", "c-break", "d", "M"+num(at-2)+" "+num(y+6)+"L"+num(at+2)+" "+num(y-6))
			}
		}})
	}
	return items
}
