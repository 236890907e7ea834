package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

const (
	// rowHeight is that of a row, and lowHeight where there are more than manyRows.
	rowHeight = 22.0
	lowHeight = 16.0
	manyRows  = 60
	// barHeight is that of what is red, lineHeight that of what is quiet.
	barHeight  = 12.0
	lineHeight = 4.0
	// phaseRoom is that of the rows of window and watch.
	phaseRoom  = 16.0
	remarkRoom = 16.0
	// nameMost is the widest column of names, as a share of the picture.
	nameMost = 0.26
	// barsTold is how many bars of a picture, and of a row, are told by a title of their
	// own; a row with more is told by one.
	barsTold    = 1500
	barsToldRow = 24
)

// bandsSheet is a picture of bands with everything in its place.
type bandsSheet struct {
	*sheet
	*bandsView
	grid grid
	// crowded counts the marks that have no place beside the others.
	crowded int
	banners []planted
	pitch   float64
	bar     float64
	top     float64
	bottom  float64
}

func drawBands(v *bandsView) template.HTML {
	s := &bandsSheet{sheet: newSheet(v.ID, v.Width), bandsView: v, pitch: rowHeight, bar: barHeight}
	if len(v.rows) > manyRows {
		s.pitch, s.bar = lowHeight, barHeight-2
	}
	s.columns()
	s.grid = gridOf(s.scale)
	lanes := s.plantMarks()
	y := 4.0
	tall := float64(len(v.rows))*s.pitch > 500
	if tall {
		y += axisHeight
		s.axis(s.scale, s.grid, y, true)
	}
	lanesTop := y
	y += float64(lanes)*laneHeight + 4
	phases := s.phases()
	s.top = y + float64(len(phases))*phaseRoom + 4
	s.bottom = s.top + math.Max(float64(len(v.rows)), 1)*s.pitch + 6
	s.shade(phases, y)
	s.lines(s.scale, s.grid, s.top, s.bottom)
	s.drawRows()
	s.raise(s.banners, lanesTop, s.bottom)
	s.axis(s.scale, s.grid, s.bottom, false)
	y = s.legend(s.bottom+axisHeight+6, s.key())
	remarks := v.remarks()
	if s.crowded > 0 {
		remarks = append(remarks, are(s.crowded, "mark")+" too close to others to be drawn.")
	}
	y = s.remarksAt(y, remarks)
	return s.picture(y, nameOr(v.Title, bandsTitle), few(v.words()))
}

// columns divides the width between names, plot and what stands behind the rows.
func (s *bandsSheet) columns() {
	names, state := wide("window", smallSize), 0.0
	for _, r := range s.rows {
		names = max(names, wide(r.name, textSize))
		state = max(state, wide(s.state(r), smallSize))
	}
	s.scale.x0 = min(names, s.width*nameMost) + 12
	s.scale.x1 = s.width - 10
	if state > 0 {
		s.scale.x1 -= state
	}
}

// state is the word behind a row.
func (v *bandsView) state(r bandRow) string {
	switch {
	case r.still:
		return "still red, " + lasted(r.red)
	case len(r.spells) > 0:
		return "red " + lasted(r.red)
	}
	return v.calm()
}

// plantMarks finds the places of the marks and of the present.
func (s *bandsSheet) plantMarks() (lanes int) {
	var list []banner
	for _, m := range s.marks {
		sh, class, line := m.Kind.sign()
		at := s.scale.clock(m.At)
		short := clip(m.Text, 160, smallSize)
		list = append(list, banner{
			x: s.scale.at(m.At), short: short, long: short + " " + m.At.Format(s.scale.hour()), title: m.Text + ", " + at, shape: sh, class: class, line: line, grave: m.Kind.grave(),
		})
	}
	if s.scale.holds(s.Now) {
		list = append(list, banner{x: s.scale.at(s.now), short: "now", long: "now", title: "now, " + s.scale.clock(s.now), shape: down, class: "c-now", line: "c-nowline", grave: true})
	}
	s.banners, lanes = plant(list, s.scale.x0, s.width-headRoom)
	s.crowded = len(list) - len(s.banners)
	return lanes
}

// phase is the window or the watch: a row of its own above the targets, and a shade
// behind them.
type phase struct {
	name, class string
	st          Stretch
	fill        []string
}

func (s *bandsSheet) phases() []phase {
	var list []phase
	if s.hasWindow {
		list = append(list, phase{"window", "c-window", s.window, nil})
	}
	if s.hasWatch {
		list = append(list, phase{"watch", "c-watch", s.watch, s.fill(watchPattern)})
	}
	return list
}

func (s *bandsSheet) shade(phases []phase, y float64) {
	for i, p := range phases {
		x0, x1 := s.scale.at(p.st.From), s.scale.at(p.st.Until)
		title := p.name + " " + s.scale.between(p.st.From, p.st.Until)
		middle := y + (float64(i)+0.5)*phaseRoom
		s.rect(p.class, x0, middle, x1-x0, s.bottom-middle, title)
		s.rect(p.class+"bar", x0, middle-3, math.Max(x1-x0, 1), 6, title, p.fill...)
		s.text("c-s c-q", atStart, 0, middle+4, p.name, title)
	}
}

func (s *bandsSheet) drawRows() {
	for i, r := range s.rows {
		s.name(s.middle(i)+4, s.scale.x0-12, r.name)
	}
	known := s.scale.at(s.now)
	for i := range s.rows {
		y := s.middle(i)
		s.rect("c-quietband", s.scale.x0, y-lineHeight/2, known-s.scale.x0, lineHeight, "")
		if known < s.scale.x1-0.5 {
			s.line("c-future", known, y, s.scale.x1, y)
		}
	}
	for _, b := range s.scale.joined(s.blind) {
		x0, x1 := s.scale.at(b.From), s.scale.at(b.Until)
		s.rect("", x0, s.top, math.Max(x1-x0, 1), s.bottom-s.top-4, blindWords(s.scale, b), s.fill(unknownPattern)...)
	}
	s.reds()
	for i, r := range s.rows {
		class := "c-s c-quiettext"
		if len(r.spells) > 0 {
			class = "c-s c-badtext"
		}
		s.text(class, atEnd, s.width, s.middle(i)+4, s.state(r), "")
	}
}

func (s *bandsSheet) middle(row int) float64 { return s.top + (float64(row)+0.5)*s.pitch + 1 }

// reds draws what is red.
func (s *bandsSheet) reds() {
	rows, n := make([][]cluster, len(s.rows)), 0
	for i, r := range s.rows {
		rows[i] = s.clusters(r.spells)
		n += len(rows[i])
	}
	told := barsTold
	if n > barsTold {
		told = barsToldRow
	}
	s.open("g", s.fill(redPattern)...)
	for i, r := range s.rows {
		y := s.middle(i)
		if len(rows[i]) > told {
			s.together(r, rows[i], y)
			continue
		}
		for _, c := range rows[i] {
			x, w := s.extent(c)
			s.rect("", x, y-s.bar/2, w, s.bar, s.tell(r, c), "rx", "1.5")
		}
	}
	s.end("g")
}

// together draws all bars of a row as one thing.
func (s *bandsSheet) together(r bandRow, list []cluster, y float64) {
	var path strings.Builder
	var parts []Red
	times := 0
	for _, c := range list {
		x, w := s.extent(c)
		fmt.Fprintf(&path, "M%s %sh%sv%sh-%sz", num(x), num(y-s.bar/2), num(w), num(s.bar), num(w))
		parts = append(parts, c.parts...)
		times += c.spells
	}
	title := fmt.Sprintf("%s red %d times, %s in all", r.name, times, lasted(r.red))
	if names := alerts(parts, 8); names != "" {
		title += ": " + names
	}
	s.leaf(title, "path", "class", "c-bars", "d", path.String())
}

// cluster is one bar: a spell, or several with pauses that cannot be seen.
type cluster struct {
	spell
	spells int
}

// clusters joins spells with less than a unit between them.
func (s *bandsSheet) clusters(spells []spell) []cluster {
	var list []cluster
	for _, sp := range spells {
		if n := len(list); n > 0 && s.scale.at(sp.from)-s.scale.at(list[n-1].until) < 1 {
			list[n-1].join(sp)
			list[n-1].spells++
			continue
		}
		sp.parts = sp.parts[:len(sp.parts):len(sp.parts)]
		list = append(list, cluster{sp, 1})
	}
	return list
}

// extent is where a bar is: no narrower than can be seen.
func (s *bandsSheet) extent(c cluster) (x, w float64) {
	const least = 2
	x0, x1 := s.scale.at(c.from), s.scale.at(c.until)
	if x1-x0 < least {
		x1 = min(x0+least, s.scale.x1)
		x0 = x1 - least
	}
	return x0, x1 - x0
}

// tell is the title of a bar: who, when, and what was firing.
func (s *bandsSheet) tell(r bandRow, c cluster) string {
	const most = 6
	head := r.name + " red " + s.during(c.spell)
	if c.spells > 1 {
		head += fmt.Sprintf(", %d times", c.spells)
	}
	if len(c.parts) == 1 {
		if names := alerts(c.parts, most); names != "" {
			head += ": " + names
		}
		return head
	}
	lines := []string{head}
	for i, p := range c.parts {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(c.parts)-most))
			break
		}
		lines = append(lines, s.scale.between(p.From, p.Until)+": "+nameOr(alerts([]Red{p}, most), "an alert"))
	}
	return strings.Join(lines, "\n")
}

// key explains the signs.
func (s *bandsSheet) key() []keyItem {
	items := []keyItem{
		{"quiet", func(x, y float64) { s.rect("c-quietband", x, y-lineHeight/2, 18, lineHeight, "") }},
		{"red", func(x, y float64) { s.rect("", x, y-5, 18, 10, "", append(s.fill(redPattern), "rx", "1.5")...) }},
	}
	if len(s.blind) > 0 {
		items = append(items, keyItem{"monitoring blind", func(x, y float64) { s.rect("", x, y-5, 18, 10, "", s.fill(unknownPattern)...) }})
	}
	if s.now.Before(s.scale.until) {
		items = append(items, keyItem{"still to come", func(x, y float64) { s.line("c-future", x, y, x+18, y) }})
	}
	return items
}
