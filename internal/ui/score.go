package ui

import (
	"fmt"
	"html/template"
	"strings"
)

// Score is how a rule has done, counted in changes that it spoke of.
type Score struct {
	// Agreed and Disagreed are what people said of them or, where they said nothing,
	// what became of the change; Open are those nobody can tell of yet.
	Agreed, Disagreed, Open int
	// ByPeople of the agreed and disagreed are judged by a person.
	ByPeople int
}

// Decided is how many changes say whether the rule is right.
func (s Score) Decided() int { return s.Agreed + s.Disagreed }

// All is how many changes it spoke of.
func (s Score) All() int { return s.Decided() + s.Open }

// Percent is the share of changes that agreed, rounded down: 100% means all.
func (s Score) Percent() int { return 100 * s.Agreed / max(1, s.Decided()) }

// Words say how many changes agreed, and who said so.
func (s Score) Words() string {
	var says []string
	switch {
	case s.All() == 0:
		return "it has spoken of no change yet"
	case s.Decided() > 0:
		says = append(says, fmt.Sprintf("%d of %s agreed", s.Agreed, plural(s.Decided(), "change")))
	}
	if s.Open > 0 {
		says = append(says, fmt.Sprintf("%d open", s.Open))
	}
	if s.ByPeople > 0 {
		says = append(says, fmt.Sprintf("%d judged by people", s.ByPeople))
	}
	return strings.Join(says, ", ")
}

// The bar is as wide as all changes together. What is there is seen, however few.
const (
	barWidth = 120
	barLeast = 3
)

// Bar is the same as [Score.Words] as a picture: what agreed is high, what disagreed
// half as high, what is open hollow.
func (s Score) Bar() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="score-bar" viewBox="0 0 %d 12" width="%d" height="12" aria-hidden="true" focusable="false">`, barWidth, barWidth)
	left := 0
	counts := []int{s.Agreed, s.Disagreed, s.Open}
	shapes := []struct {
		class  string
		top, h int
	}{{"agreed", 0, 12}, {"disagreed", 6, 6}, {"open", 1, 10}}
	for i, width := range shares(counts, barWidth) {
		if width > 1 {
			fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d"/>`, shapes[i].class, left, shapes[i].top, width-1, shapes[i].h)
		}
		left += width
	}
	if s.All() == 0 {
		fmt.Fprintf(&b, `<rect class="none" x="0" y="5" width="%d" height="2"/>`, barWidth)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // made of numbers
}

// shares divides a width by the counts; what is more than nothing has some of it.
func shares(counts []int, width int) []int {
	all, widest := 0, 0
	for i, n := range counts {
		all += n
		if n > counts[widest] {
			widest = i
		}
	}
	out := make([]int, len(counts))
	if all == 0 {
		return out
	}
	left := width
	for i, n := range counts {
		if n > 0 {
			out[i] = max(barLeast, width*n/all)
		}
		left -= out[i]
	}
	out[widest] += left
	return out
}
