package chart

import "strings"

// shape is a sign that is told from the others without colour.
type shape int

const (
	dot shape = iota
	ring
	square
	hollowSquare
	diamond
	up
	down
	into
	outof
	check
	cross
	pause
	star
)

// shape draws a sign round x, y that reaches r to each side.
func (s *sheet) shape(sh shape, class string, x, y, r float64) {
	points := func(list ...float64) {
		words := make([]string, 0, len(list)/2)
		for i := 0; i+1 < len(list); i += 2 {
			words = append(words, num(x+list[i]*r)+","+num(y+list[i+1]*r))
		}
		s.leaf("", "polygon", "class", class, "points", strings.Join(words, " "))
	}
	stroke := func(path ...string) { s.leaf("", "path", "class", class+" c-open", "d", strings.Join(path, "")) }
	to := func(letter string, dx, dy float64) string { return letter + num(x+dx*r) + " " + num(y+dy*r) }
	switch sh {
	case ring:
		s.leaf("", "circle", "class", class+" c-hollow", "cx", num(x), "cy", num(y), "r", num(r-0.75))
	case square:
		s.rect(class, x-0.85*r, y-0.85*r, 1.7*r, 1.7*r, "")
	case hollowSquare:
		s.rect(class+" c-hollow", x-0.75*r, y-0.75*r, 1.5*r, 1.5*r, "")
	case diamond:
		points(0, -1.1, 1.1, 0, 0, 1.1, -1.1, 0)
	case up:
		points(0, -1, 1.05, 0.9, -1.05, 0.9)
	case down:
		points(0, 1, 1.05, -0.9, -1.05, -0.9)
	case into:
		points(-0.7, -1, 1, 0, -0.7, 1)
	case outof:
		points(0.7, -1, -1, 0, 0.7, 1)
	case check:
		stroke(to("M", -0.9, 0.1), to("L", -0.2, 0.8), to("L", 1, -0.8))
	case cross:
		stroke(to("M", -0.8, -0.8), to("L", 0.8, 0.8), to("M", 0.8, -0.8), to("L", -0.8, 0.8))
	case pause:
		stroke(to("M", -0.5, -0.9), to("L", -0.5, 0.9), to("M", 0.5, -0.9), to("L", 0.5, 0.9))
	case star:
		stroke(to("M", 0, -1), to("L", 0, 1), to("M", -0.9, -0.5), to("L", 0.9, 0.5), to("M", 0.9, -0.5), to("L", -0.9, 0.5))
	default:
		s.leaf("", "circle", "class", class, "cx", num(x), "cy", num(y), "r", num(r))
	}
}
