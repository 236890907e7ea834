package chart

import (
	"cmp"
	"math"
	"slices"
)

// banner is a moment that is marked across a plot: a line, a shape at its head and a
// word beside that.
type banner struct {
	x float64
	// long and short are its words; the short ones are taken where the long ones do
	// not fit.
	long, short string
	title       string
	shape       shape
	class       string
	// line is the class of its line.
	line string
	// grave is one that is not left out for others.
	grave bool
}

// planted is a banner with its place: the lane of its head counted from above, and its
// words, which stand to its right unless left is set.
type planted struct {
	banner
	lane int
	left bool
	text string
}

const (
	bannerLanes = 5
	laneHeight  = 16.0
	// headRoom is how far a head reaches to each side, wordGap where words begin.
	headRoom = 5.0
	wordGap  = 8.0
)

// plant gives every banner a place where it lies on nothing, between x0 and x1: with
// its short words, and the long ones where there is room for them. Words that have no
// room are left to the banner's title. Banners that have none are left out, the grave
// ones last. lanes says how many lanes there are in the end.
func plant(banners []banner, x0, x1 float64) (places []planted, lanes int) {
	banners = slices.Clone(banners)
	slices.SortStableFunc(banners, func(a, b banner) int { return cmp.Compare(a.x, b.x) })
	places = placeAll(banners, x0, x1)
	if len(places) < len(banners) {
		slices.SortStableFunc(banners, func(a, b banner) int {
			switch {
			case a.grave == b.grave:
				return 0
			case a.grave:
				return -1
			}
			return 1
		})
		places = placeAll(banners, x0, x1)
	}
	for i, p := range places {
		lanes = max(lanes, p.lane+1)
		if p.text == "" {
			continue
		}
		p.text = p.long
		if p.within(x0, x1) && p.free(places[:i]) && p.free(places[i+1:]) {
			places[i] = p
		}
	}
	return places, lanes
}

func placeAll(banners []banner, x0, x1 float64) []planted {
	var places []planted
	for _, b := range banners {
		if p, ok := place(b, places, x0, x1); ok {
			places = append(places, p)
		}
	}
	return places
}

// place finds the first lane in which the words fit, or at least the head does.
func place(b banner, others []planted, x0, x1 float64) (planted, bool) {
	for lane := range bannerLanes {
		for _, left := range []bool{false, true} {
			if p := (planted{banner: b, lane: lane, left: left, text: b.short}); p.within(x0, x1) && p.free(others) {
				return p, true
			}
		}
	}
	// Below the lanes are two of heads alone.
	for lane := range bannerLanes + 2 {
		if p := (planted{banner: b, lane: lane}); p.within(x0, x1) && p.free(others) {
			return p, true
		}
	}
	return planted{}, false
}

func (p planted) within(x0, x1 float64) bool {
	from, until := p.extent()
	return from >= x0-headRoom && until <= x1+headRoom
}

// extent is what head and words take in their lane.
func (p planted) extent() (from, until float64) {
	w := wide(p.text, smallSize)
	if w > 0 {
		w += wordGap - headRoom
	}
	if p.left {
		return p.x - headRoom - w, p.x + headRoom
	}
	return p.x - headRoom, p.x + headRoom + w
}

// free tells that the banner lies on no other, no other's line goes through it, and its
// own goes through no other.
func (p planted) free(others []planted) bool {
	from, until := p.extent()
	for _, o := range others {
		a, b := o.extent()
		switch {
		case p.lane == o.lane && from < b+3 && a < until+3,
			o.lane < p.lane && crosses(o.x, p.x, from, until),
			p.lane < o.lane && crosses(p.x, o.x, a, b):
			return false
		}
	}
	return true
}

// crosses tells whether a line at x goes through a banner that stands at its own x; two
// at the same moment share their line.
func crosses(x, own, from, until float64) bool {
	return x > from && x < until && math.Abs(x-own) > headRoom-1
}

// raise draws the banners, their lanes from top on and their lines down to bottom.
func (s *sheet) raise(places []planted, top, bottom float64) {
	for _, p := range places {
		s.line(p.line, p.x, top+float64(p.lane)*laneHeight+laneHeight/2+4, p.x, bottom)
	}
	for _, p := range places {
		y := top + float64(p.lane)*laneHeight + laneHeight/2
		s.titled("", p.title, func() {
			s.shape(p.shape, p.class, p.x, y, 4)
			if p.left {
				s.text("c-s c-ink", atEnd, p.x-wordGap, y+4, p.text, "")
			} else {
				s.text("c-s c-ink", atStart, p.x+wordGap, y+4, p.text, "")
			}
		})
	}
}
