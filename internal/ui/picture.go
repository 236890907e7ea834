package ui

import "html/template"

// Picture is one of package chart: what it shows, and the same in sentences. What is
// text in it stays text by itself.
type Picture interface {
	SVG() template.HTML
	Words() []string
}

// InShort is the picture with so many sentences; Rest follows them where there are more.
type InShort struct {
	Picture
	Sentences int
	Rest      string
}

// Words implements [Picture].
func (p InShort) Words() []string {
	words := p.Picture.Words()
	if len(words) > p.Sentences {
		words = append(words[:p.Sentences:p.Sentences], p.Rest)
	}
	return words
}
