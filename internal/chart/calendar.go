package chart

import (
	"html/template"
	"time"
)

// Calendar shows when changes may be made: the window of each as a bar, the watch
// behind it hatched, and freezes as ground. Up to 300 bars are drawn. Few changes have
// a row each; many are packed into as few lanes as their names allow.
//
// Changes on the same target whose windows or watches overlap are marked, since a red
// target must tell which patch it is about.
type Calendar struct {
	// ID is unique on the page, of ASCII letters, digits, - and _. Title says what the
	// picture is of.
	ID, Title string
	// Width is how wide the picture is before it is scaled, 480 to 2400; 0 is 800.
	Width int
	// From and Until bound the picture: two weeks when only one of them is given, and
	// from the day before Now when neither is.
	From, Until time.Time
	// Now is marked where it lies within the picture.
	Now time.Time
	// Bars are the changes, in any order.
	Bars    []Bar
	Freezes []Freeze
}

// Bar is one change.
type Bar struct {
	// Name is the change's id. Href, if it is set, is the address of its page on this
	// server: a path such as ../changes/CHG0030001, no other host's.
	Name, Href string
	// Title is the change's own title.
	Title string
	// Opens and Closes are the window. Watch is until when alerts count; zero when
	// there is no watch.
	Opens, Closes, Watch time.Time
	// State is a word for where the change stands, and Tone what that means.
	State string
	Tone  Tone
	// Targets are those of the change, by which overlaps are found.
	Targets []string
}

// Freeze is a time in which no window may open.
type Freeze struct {
	Name        string
	From, Until time.Time
}

// Tone says what a state means to whoever looks; it chooses sign and colour.
type Tone int

// The values of [Tone].
const (
	// ToneNone is a state that asks for nothing.
	ToneNone Tone = iota
	// ToneGood is as it should be, ToneWait needs somebody, ToneBad is broken.
	ToneGood
	ToneWait
	ToneBad
)

// sign is how a tone is drawn.
func (t Tone) sign() (shape, string) {
	switch t {
	case ToneGood:
		return check, "c-good"
	case ToneWait:
		return ring, "c-wait"
	case ToneBad:
		return cross, "c-bad"
	case ToneNone:
	}
	return dot, "c-quiet"
}

// SVG draws the picture.
func (p Calendar) SVG() template.HTML {
	v, ok := p.look()
	if !ok {
		return nothing(p.ID, p.Width, nameOr(p.Title, calendarTitle), p.Words()[0])
	}
	return drawCalendar(v)
}

const calendarTitle = "Windows of changes"
