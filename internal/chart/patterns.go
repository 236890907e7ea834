package chart

// The patterns, by what they stand for.
const (
	redPattern     = "red"
	unknownPattern = "unknown"
	watchPattern   = "watch"
	freezePattern  = "freeze"
	overlapPattern = "overlap"
)

// fill refers to a pattern of this picture, which is defined with it.
func (s *sheet) fill(pattern string) []string {
	s.used[pattern] = true
	return []string{"fill", "url(#" + s.id + "-" + pattern + ")"}
}

// pattern is a tile that repeats itself.
type pattern struct {
	name string
	side float64
	// ground is the class of what lies below; lines are what is drawn on it, of this
	// class.
	ground, class, lines string
}

// The lines of a tile go on in the next one.
var tiles = []pattern{
	{redPattern, 6, "c-red", "c-onred", "M-1.5 1.5L1.5 -1.5M-1 7L7 -1M4.5 7.5L7.5 4.5"},
	{unknownPattern, 4, "c-paper", "c-dots", "M1 1h1M3 3h1"},
	{watchPattern, 4, "c-paper", "c-watchline", "M1 0L1 4M3 0L3 4"},
	{freezePattern, 8, "", "c-freezeline", "M-2 6L2 10M-2 -2L10 10M6 -2L10 2"},
	{overlapPattern, 5, "c-paper", "c-overlapline", "M0 0L5 5M5 0L0 5"},
}

func (s *sheet) patterns() {
	if len(s.used) == 0 {
		return
	}
	s.open("defs")
	for _, p := range tiles {
		if !s.used[p.name] {
			continue
		}
		side := num(p.side)
		s.open("pattern", "id", s.id+"-"+p.name, "patternUnits", "userSpaceOnUse", "width", side, "height", side)
		if p.ground != "" {
			s.rect(p.ground, 0, 0, p.side, p.side, "")
		}
		s.leaf("", "path", "class", p.class, "d", p.lines)
		s.end("pattern")
	}
	s.end("defs")
}
