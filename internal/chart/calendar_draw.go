package chart

import (
	"html/template"
	"math"
)

const (
	// rowsOwn is up to how many changes each has a row of its own.
	rowsOwn = 24
	// packedHeight is that of a lane with several changes.
	packedHeight = 18.0
	windowBar    = 10.0
	watchBar     = 7.0
	freezeRoom   = 20.0
	// freezeLanes is how many freezes are named at the same time.
	freezeLanes = 3
)

// calendarSheet is a calendar with everything in its place.
type calendarSheet struct {
	*sheet
	*calendarView
	grid grid
	// own tells that each change has its row, with its name on the left.
	own   bool
	lanes []int
	pitch float64
	top   float64
}

func drawCalendar(v *calendarView) template.HTML {
	s := &calendarSheet{sheet: newSheet(v.ID, v.Width), calendarView: v, own: len(v.bars) <= rowsOwn, pitch: rowHeight}
	if !s.own {
		s.pitch = packedHeight
	}
	s.columns()
	s.grid = gridOf(s.scale)
	rows := s.pack()
	places, lanes := s.present()
	const top = axisHeight
	names, freezeRows := s.packFreezes()
	heads := top + float64(freezeRows)*freezeRoom
	s.top = heads + float64(lanes)*laneHeight + 4
	bottom := s.top + float64(max(rows, 1))*s.pitch + 6
	s.freezeGround(top, bottom)
	s.lines(s.scale, s.grid, top, bottom)
	s.freezeNames(names, top)
	s.raise(places, heads, bottom)
	s.draw()
	s.axis(s.scale, s.grid, top, true)
	if bottom-s.top > 500 {
		s.axis(s.scale, s.grid, bottom, false)
		bottom += axisHeight
	}
	y := s.legend(bottom+6, s.key())
	y = s.remarksAt(y, v.remarks())
	return s.picture(y, nameOr(v.Title, calendarTitle), few(v.words()))
}

func (s *calendarSheet) columns() {
	names := wide("freezes", smallSize)
	if s.own {
		for i := range s.bars {
			names = max(names, wide(s.bars[i].Name, textSize))
		}
	}
	s.scale.x0 = min(names, s.width*nameMost) + 12
	s.scale.x1 = s.width - 10
}

// label is what stands beside a bar: state and title where the name has a column, and
// the name where it has none.
func (s *calendarSheet) label(c *calendarBar) string {
	switch {
	case !s.own:
		return c.Name
	case c.State == "" || c.Title == "":
		return c.State + c.Title
	}
	return c.State + " · " + c.Title
}

// spot is where a bar is, and its label: behind it, before it, or where neither has
// room on it.
type spot struct {
	x0, x1 float64
	// from and until are of bar and label together.
	from, until float64
	text        string
	// sign and word are where the label's sign and its words stand; end is the end of
	// the words that stands there.
	sign, word float64
	end        string
	inside     bool
}

const (
	labelGap = 8.0
	signRoom = 12.0
)

func (s *calendarSheet) spot(c *calendarBar) spot {
	p := spot{x0: s.scale.at(c.begin()), x1: s.scale.at(c.end()), text: s.label(c), end: atStart}
	if p.x1-p.x0 < 3 {
		p.x1 = min(p.x0+3, s.scale.x1)
		p.x0 = p.x1 - 3
	}
	p.from, p.until = p.x0, p.x1
	const around = labelGap + signRoom
	behind, before, on := s.width-p.x1-around, p.x0-s.scale.x0-around, p.x1-p.x0-2*around
	w := wide(p.text, smallSize)
	switch {
	case w <= behind || behind >= max(before, on):
		p.text = clip(p.text, behind, smallSize)
		p.sign, p.word = p.x1+labelGap+signRoom/2-2, p.x1+around
		p.until = p.word + wide(p.text, smallSize)
	case w <= before || before >= on:
		p.text, p.end = clip(p.text, before, smallSize), atEnd
		p.sign, p.word = p.x0-labelGap-signRoom/2+2, p.x0-around
		p.from = p.word - wide(p.text, smallSize)
	default:
		p.text, p.inside = clip(p.text, on, smallSize), true
		p.sign, p.word = p.x0+labelGap+signRoom/2, p.x0+around+2
	}
	return p
}

// pack gives every bar its lane: its own, or the first in which nothing stands.
func (s *calendarSheet) pack() (lanes int) {
	s.lanes = make([]int, len(s.bars))
	var taken []lane
	for i := range s.bars {
		if s.own {
			s.lanes[i] = i
			continue
		}
		p := s.spot(&s.bars[i])
		s.lanes[i] = fit(&taken, p.from-6, p.until+6)
	}
	if s.own {
		return len(s.bars)
	}
	return len(taken)
}

// lane is what stands side by side.
type lane [][2]float64

// fit finds the first lane with room, and takes it.
func fit(lanes *[]lane, from, until float64) int {
	for i, l := range *lanes {
		free := true
		for _, t := range l {
			free = free && (until <= t[0] || from >= t[1])
		}
		if free {
			(*lanes)[i] = append(l, [2]float64{from, until})
			return i
		}
	}
	*lanes = append(*lanes, lane{{from, until}})
	return len(*lanes) - 1
}

// present is the line of the present, if it lies within the picture.
func (s *calendarSheet) present() ([]planted, int) {
	if !s.scale.holds(s.Now) {
		return nil, 0
	}
	at := s.Now.UTC()
	return plant([]banner{{
		x: s.scale.at(at), short: "now", long: "now " + s.scale.clock(at), title: "now, " + s.scale.clock(at), shape: down, class: "c-now", line: "c-nowline",
	}}, s.scale.x0, s.width-headRoom)
}

// named is where the name of a freeze stands: in its bar, or where that is too short
// behind it.
type named struct {
	lane int
	text string
	x    float64
}

func (s *calendarSheet) packFreezes() (list []named, rows int) {
	var taken []lane
	for _, f := range s.freezes {
		x0, x1 := s.scale.at(f.From), math.Max(s.scale.at(f.Until), s.scale.at(f.From)+1)
		n := named{x: x0 + 6, text: clip(f.Name, x1-x0-12, smallSize)}
		until := x1
		if n.text != f.Name && x1-x0 < 80 {
			n.x, n.text = x1+6, clip(f.Name, min(s.width-x1-6, 120), smallSize)
			until = n.x + wide(n.text, smallSize)
		}
		n.lane = fit(&taken, x0, until+4)
		list = append(list, n)
	}
	return list, min(len(taken), freezeLanes)
}

// freezeGround draws the freezes behind everything.
func (s *calendarSheet) freezeGround(top, bottom float64) {
	var all []Stretch
	for _, f := range s.freezes {
		all = append(all, Stretch{f.From, f.Until})
	}
	for _, st := range s.scale.joined(all) {
		x0, x1 := s.scale.at(st.From), s.scale.at(st.Until)
		s.rect("c-freeze", x0, top, math.Max(x1-x0, 1), bottom-top, "")
		s.rect("", x0, top, math.Max(x1-x0, 1), bottom-top, "", s.fill(freezePattern)...)
	}
}

func (s *calendarSheet) freezeNames(list []named, y float64) {
	if len(list) == 0 {
		return
	}
	s.text("c-s c-q", atStart, 0, y+15, "freezes", "")
	for i, f := range s.freezes {
		n := list[i]
		if n.lane >= freezeLanes {
			continue
		}
		x0, x1 := s.scale.at(f.From), s.scale.at(f.Until)
		top := y + float64(n.lane)*freezeRoom + 3
		title := f.Name + ": freeze, " + s.scale.between(f.From, f.Until)
		s.rect("c-freezebar", x0, top, math.Max(x1-x0, 1), 16, title, "rx", "2")
		s.text("c-s c-ink c-halo", atStart, n.x, top+12, n.text, title)
	}
}

func (s *calendarSheet) draw() {
	for i := range s.bars {
		c := &s.bars[i]
		y := s.middle(i)
		if s.own && i > 0 {
			s.line("c-grid", 0, y-s.pitch/2, s.width, y-s.pitch/2)
		}
		s.titled(c.Href, s.sentence(c), func() {
			if s.own {
				s.name(y+4, s.scale.x0-12, c.Name)
			}
			s.bar(c, y)
		})
	}
}

func (s *calendarSheet) middle(i int) float64 { return s.top + (float64(s.lanes[i])+0.5)*s.pitch }

// bar draws a change round the height y: its window, its watch, what overlaps, and its
// label.
func (s *calendarSheet) bar(c *calendarBar, y float64) {
	p := s.spot(c)
	if c.hasWatch {
		x0, x1 := s.scale.at(c.watch.From), s.scale.at(c.watch.Until)
		s.rect("c-watchbar", x0, y-watchBar/2, math.Max(x1-x0, 1), watchBar, "", s.fill(watchPattern)...)
	}
	if c.hasWindow {
		x0, x1 := s.scale.at(c.window.From), s.scale.at(c.window.Until)
		s.rect("c-windowfull", min(x0, p.x1-2), y-windowBar/2, math.Max(x1-x0, 2), windowBar, "", "rx", "2")
	}
	var overlaps []Stretch
	for _, o := range c.overlaps {
		overlaps = append(overlaps, o.Stretch)
	}
	for _, o := range s.scale.joined(overlaps) {
		x0, x1 := s.scale.at(o.From), s.scale.at(o.Until)
		s.overlap(min(x0, p.x1-2), y+windowBar/2+0.5, math.Max(x1-x0, 2))
	}
	s.cuts(c, y)
	s.beside(c, p, y)
}

// beside writes the label of a bar.
func (s *calendarSheet) beside(c *calendarBar, p spot, y float64) {
	if p.text == "" && (c.Tone == ToneNone || p.sign > s.width-4) {
		return
	}
	if p.inside {
		s.rect("c-paper", p.sign-6, y-7, wide(p.text, smallSize)+signRoom+10, 14, "", "rx", "2")
	}
	sign, class := c.Tone.sign()
	s.shape(sign, class, p.sign, y, 3.5)
	s.text("c-s c-halo "+s.labelClass(), p.end, p.word, y+4, p.text, "")
}

// overlap draws a strip below a bar.
func (s *sheet) overlap(x, y, w float64) {
	s.rect("c-overlap", x, y, w, 3.5, "", s.fill(overlapPattern)...)
}

// labelClass makes a name look like what can be followed, where it can.
func (s *calendarSheet) labelClass() string {
	if s.own {
		return "c-ink"
	}
	return "c-ink c-follow"
}

// cuts marks where a bar goes on beyond the picture.
func (s *calendarSheet) cuts(c *calendarBar, y float64) {
	if c.Opens.Before(s.scale.from) {
		s.shape(outof, "c-ink c-halo", s.scale.x0+5, y, 3.5)
	}
	if later(c.Closes, c.Watch).After(s.scale.until) {
		s.shape(into, "c-ink c-halo", s.scale.x1-5, y, 3.5)
	}
}

func (s *calendarSheet) key() []keyItem {
	items := []keyItem{
		{"window", func(x, y float64) {
			s.rect("c-windowfull", x, y-windowBar/2, signWidth, windowBar, "", "rx", "2")
		}},
	}
	if s.used[watchPattern] {
		items = append(items, keyItem{"watch", func(x, y float64) {
			s.rect("c-watchbar", x, y-watchBar/2, signWidth, watchBar, "", s.fill(watchPattern)...)
		}})
	}
	tones := map[Tone]bool{}
	for i := range s.bars {
		tones[s.bars[i].Tone] = !s.own
	}
	for _, t := range []struct {
		tone Tone
		word string
	}{{ToneGood, "as it should be"}, {ToneWait, "needs somebody"}, {ToneBad, "broken"}} {
		if tones[t.tone] {
			sign, class := t.tone.sign()
			items = append(items, keyItem{t.word, func(x, y float64) { s.shape(sign, class, x+signWidth/2, y, 3.5) }})
		}
	}
	if s.used[overlapPattern] {
		items = append(items, keyItem{"overlap on the same target", func(x, y float64) {
			s.rect("c-windowfull", x, y-windowBar/2-1, signWidth, windowBar-2, "", "rx", "2")
			s.overlap(x, y+3, signWidth)
		}})
	}
	if len(s.freezes) > 0 {
		items = append(items, keyItem{"freeze", func(x, y float64) {
			s.rect("c-freeze", x, y-windowBar/2, signWidth, windowBar, "")
			s.rect("", x, y-windowBar/2, signWidth, windowBar, "", s.fill(freezePattern)...)
		}})
	}
	return items
}
