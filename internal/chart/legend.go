package chart

import (
	"html/template"
	"strings"
)

// keyItem is a sign and the word for it; draw draws the sign from x on, 18 wide,
// round the height y.
type keyItem struct {
	word string
	draw func(x, y float64)
}

const (
	signWidth = 18.0
	keyRoom   = 18.0
)

// legend explains the signs in as many lines as it takes, from the height y on, and
// returns where it ends.
func (s *sheet) legend(y float64, items []keyItem) float64 {
	if len(items) == 0 {
		return y
	}
	s.open("g", "aria-hidden", "true")
	x := 0.0
	for _, item := range items {
		w := signWidth + 6 + wide(item.word, smallSize)
		if x > 0 && x+w > s.width {
			x, y = 0, y+keyRoom
		}
		item.draw(x, y+keyRoom/2)
		s.text("c-s c-q", atStart, x+signWidth+6, y+keyRoom/2+4, item.word, "")
		x += w + 16
	}
	s.end("g")
	return y + keyRoom
}

// remarksAt writes sentences below the picture, and returns where they end.
func (s *sheet) remarksAt(y float64, lines []string) float64 {
	for _, line := range lines {
		y += remarkRoom
		s.text("c-s c-q", atStart, 0, y-4, clip(line, s.width, smallSize), line)
	}
	return y + 2
}

// few is the beginning of a picture's words, as its description.
func few(words []string) string {
	const sentences, characters = 8, 1000
	text := strings.Join(words[:min(len(words), sentences)], " ")
	if runes := []rune(text); len(runes) > characters {
		return string(runes[:characters]) + "…"
	}
	if len(words) > sentences {
		text += " …"
	}
	return text
}

// nothing is a picture that says why there is none.
func nothing(id string, width int, title, why string) template.HTML {
	s := newSheet(id, width)
	s.text("c-t c-q", atStart, 0, 24, clip(why, s.width, textSize), "")
	return s.picture(36, title, why)
}
