package chart

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

const (
	replayHeight = 24.0
	// signReach is half of a sign in a lane, and badgeRoom what each badge takes.
	signReach = 5.0
	badgeRoom = 12.0
)

// replaySheet is a replay with everything in its place.
type replaySheet struct {
	*sheet
	*replayView
	grid grid
	top  float64
}

func drawReplay(v *replayView) template.HTML {
	s := &replaySheet{sheet: newSheet(v.ID, v.Width), replayView: v, top: 4}
	names := wide("people", textSize)
	for _, r := range s.rules {
		names = max(names, wide(r.Name, textSize))
	}
	s.scale.x0 = min(names, s.width*nameMost) + 12
	s.scale.x1 = s.width - s.widest()
	s.grid = gridOf(s.scale)
	tall := float64(len(s.rules))*replayHeight > 500
	if tall {
		s.axis(s.scale, s.grid, axisHeight, true)
		s.top = axisHeight
	}
	people := s.top + float64(len(s.rules))*replayHeight + 6
	bottom := people + replayHeight + 4
	s.lines(s.scale, s.grid, s.top, bottom)
	for i, r := range s.rules {
		s.rule(r, s.top+(float64(i)+0.5)*replayHeight)
	}
	s.line("c-edge", 0, people, s.width, people)
	s.people(people + replayHeight/2 + 2)
	s.axis(s.scale, s.grid, bottom, false)
	y := s.legend(bottom+axisHeight+6, s.key())
	y = s.remarksAt(y, v.remarks())
	return s.picture(y, nameOr(v.Title, replayTitle), few(v.words()))
}

// knot is one sign in a lane: one thing, or several that stand too close together.
type knot struct {
	x    float64
	from int
	// until is after the last one.
	until int
	room  float64
}

// knots joins what would lie upon each other. room says what the signs of a range
// take to the right of where they begin.
func knots(n int, x func(int) float64, room func(from, until int) float64) []knot {
	var list []knot
	for i := range n {
		list = append(list, knot{x(i), i, i + 1, room(i, i+1)})
		for m := len(list); m > 1 && list[m-1].x-signReach < list[m-2].x+list[m-2].room+2; m = len(list) {
			list[m-2].until = list[m-1].until
			list[m-2].room = room(list[m-2].from, list[m-2].until)
			list = list[:m-1]
		}
	}
	return list
}

// widest is what the widest sign that there may be takes to the right of its time.
func (s *replaySheet) widest() float64 {
	most, agreed, disagreed := len(s.did), false, false
	for _, r := range s.rules {
		most = max(most, len(r.Would))
		u := sumUp(r.Would)
		agreed, disagreed = agreed || u.agreed, disagreed || u.disagreed
	}
	return max(sum{n: most, agreed: agreed, disagreed: disagreed}.room()+4, 10)
}

// rule draws one rule's lane round the height y.
func (s *replaySheet) rule(r RuleLane, y float64) {
	s.name(y+4, s.scale.x0-12, r.Name)
	s.line("c-lane", s.scale.x0, y, s.scale.x1, y)
	list := knots(len(r.Would), func(i int) float64 { return s.scale.at(r.Would[i].At) }, func(from, until int) float64 {
		return sumUp(r.Would[from:until]).room()
	})
	for _, k := range list {
		s.would(r.Name, r.Would[k.from:k.until], k.x, y)
	}
}

// sum is what a sign says of several things.
type sum struct {
	n                 int
	kind              WouldKind
	agreed, disagreed bool
}

func sumUp(list []Would) sum {
	out := sum{n: len(list), kind: WouldRecord}
	for _, w := range list {
		if w.Kind.weight() > out.kind.weight() {
			out.kind = w.Kind
		}
		out.agreed = out.agreed || w.Judged == Agreed
		out.disagreed = out.disagreed || w.Judged == Disagreed
	}
	return out
}

func (u sum) count() string {
	if u.n == 1 {
		return ""
	}
	return strconv.Itoa(u.n)
}

func (u sum) room() float64 {
	room := signReach
	for _, badge := range []bool{u.agreed, u.disagreed} {
		if badge {
			room += badgeRoom
		}
	}
	if u.n > 1 {
		room += 2 + wide(u.count(), smallSize)
	}
	return room
}

// would draws one sign with its badges and its number.
func (s *replaySheet) would(rule string, list []Would, x, y float64) {
	u := sumUp(list)
	lines := make([]string, 0, len(list))
	for i, w := range list {
		if i == 6 && len(list) > 7 {
			lines = append(lines, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		lines = append(lines, s.tell(rule, w))
	}
	title := strings.Join(lines, "\n")
	s.titled(only(list), title, func() {
		s.ground(x, y, u.room())
		sign, class := u.kind.sign()
		s.shape(sign, class, x, y, signReach)
		at := x + signReach + badgeRoom/2
		if u.agreed {
			s.shape(check, "c-good", at, y, 3.2)
			at += badgeRoom
		}
		if u.disagreed {
			s.shape(cross, "c-bad", at, y, 3)
			at += badgeRoom
		}
		s.text("c-s c-ink", atStart, at-badgeRoom/2+2, y+4, u.count(), "")
	})
}

// ground keeps the lane's line from running through a sign.
func (s *replaySheet) ground(x, y, room float64) {
	left := max(x-signReach-1, s.scale.x0)
	s.rect("c-paper", left, y-signReach-2, min(x+room+1, s.width)-left, 2*signReach+4, "")
}

// only is the address of the one thing that a sign stands for.
func only(list []Would) string {
	if len(list) == 1 {
		return list[0].Href
	}
	return ""
}

// people draws the lane of what really was.
func (s *replaySheet) people(y float64) {
	s.name(y+4, s.scale.x0-12, "people")
	s.line("c-lane", s.scale.x0, y, s.scale.x1, y)
	var lasted []Stretch
	for _, d := range s.did {
		lasted = append(lasted, Stretch{d.At, d.Until})
	}
	for _, st := range s.scale.joined(lasted) {
		x0 := s.scale.at(st.From)
		s.rect("c-did", x0, y-1.5, s.scale.at(st.Until)-x0, 3, "")
	}
	room := func(from, until int) float64 {
		room := signReach
		if until-from > 1 {
			room += 4 + wide(strconv.Itoa(until-from), smallSize)
		}
		return room
	}
	for _, k := range knots(len(s.did), func(i int) float64 { return s.scale.at(s.did[i].At) }, room) {
		s.heads(s.did[k.from:k.until], k.x, y, k.room)
	}
}

func (s *replaySheet) heads(list []Did, x, y, room float64) {
	sign, class := diamond, "c-ink"
	var lines []string
	for i, d := range list {
		if d.Missed {
			sign, class = star, "c-bad"
		}
		if i < 6 {
			lines = append(lines, s.really(d))
		}
	}
	if len(list) > 6 {
		lines = append(lines, fmt.Sprintf("and %d more", len(list)-6))
	}
	href, number := "", strconv.Itoa(len(list))
	if len(list) == 1 {
		href, number = list[0].Href, ""
	}
	title := strings.Join(lines, "\n")
	s.titled(href, title, func() {
		if len(list) > 1 {
			s.ground(x, y, room)
		}
		s.shape(sign, class, x, y, signReach)
		s.text("c-s c-ink", atStart, x+signReach+3, y+4, number, "")
	})
}

func (s *replaySheet) key() []keyItem {
	at := func(sh shape, class string, r float64) func(x, y float64) {
		return func(x, y float64) { s.shape(sh, class, x+signWidth/2, y, r) }
	}
	used, judged, missed := map[WouldKind]bool{}, map[Judged]bool{}, false
	for _, r := range s.rules {
		for _, w := range r.Would {
			used[w.Kind], judged[w.Judged] = true, true
		}
	}
	for _, d := range s.did {
		missed = missed || d.Missed
	}
	var items []keyItem
	for _, k := range []WouldKind{WouldOpen, WouldStop, WouldRecord} {
		if sign, class := k.sign(); used[k] {
			items = append(items, keyItem{string(k), at(sign, class, signReach)})
		}
	}
	if judged[Agreed] {
		items = append(items, keyItem{string(Agreed), at(check, "c-good", 3.2)})
	}
	if judged[Disagreed] {
		items = append(items, keyItem{string(Disagreed), at(cross, "c-bad", 3)})
	}
	if len(s.did) > 0 {
		items = append(items, keyItem{"really rolled back", at(diamond, "c-ink", signReach)})
	}
	if missed {
		items = append(items, keyItem{"and no rule would have", at(star, "c-bad", signReach)})
	}
	return items
}
