package chart

import (
	"html/template"
	"time"
)

// Bands is the alert timeline of a change: a row for each target, quiet or red, and
// across all rows what was done meanwhile. Up to 200 rows are drawn, in the order
// given; the rest is counted in words.
type Bands struct {
	// ID is unique on the page, of ASCII letters, digits, - and _. Title says what the
	// picture is of, such as "Alerts of CHG0030001".
	ID, Title string
	// Width is how wide the picture is before it is scaled, 480 to 2400; 0 is 800.
	Width int
	// From and Until bound the picture. Without them it shows all that it holds.
	From, Until time.Time
	// Now ends what still lasts, and is marked where it lies within the picture; what
	// comes after it is drawn as not yet known. Zero in a picture of the past.
	Now time.Time
	// Window and Watch are shaded: when the change may be made, and how long alerts
	// still count.
	Window, Watch Stretch
	// Blind are the times in which nobody would have told that a target is red. They
	// are drawn as not known, never as quiet.
	Blind []Stretch
	// Marks are the moments marked across all rows, in any order; up to 60 are drawn.
	Marks []Mark
	Rows  []Row
}

// Row is one target.
type Row struct {
	Name string
	// Red are the times in which it was red, in any order; they may overlap.
	Red []Red
}

// Red is a time in which alerts were firing.
type Red struct {
	// From is when they began, zero when that was before the picture; Until when they
	// resolved, zero while they are still firing.
	From, Until time.Time
	Alerts      []string
}

// Mark is a moment across all rows.
type Mark struct {
	Kind MarkKind
	At   time.Time
	// Text replaces the kind's own words, such as "L1 started" for a level; it should
	// be short.
	Text string
}

// MarkKind is what a moment is; it chooses sign, colour and words.
type MarkKind string

// The values of [MarkKind].
const (
	MarkOpened       MarkKind = "window opened"
	MarkClosed       MarkKind = "window closed"
	MarkPatchStarted MarkKind = "patch started"
	MarkPatched      MarkKind = "patched"
	MarkLevel        MarkKind = "level started"
	MarkAsked        MarkKind = "approval asked"
	MarkHeld         MarkKind = "held"
	MarkRecovered    MarkKind = "recovered"
	MarkExhausted    MarkKind = "exhausted"
	MarkAborted      MarkKind = "aborted"
	MarkWatchEnds    MarkKind = "watch until"
	// MarkOther is anything else; its Text says what.
	MarkOther MarkKind = "note"
)

// sign is how a kind of mark is drawn: its shape, its class and that of its line.
func (k MarkKind) sign() (shape, string, string) {
	switch k {
	case MarkOpened:
		return into, "c-ink", "c-mark"
	case MarkClosed:
		return outof, "c-ink", "c-mark"
	case MarkPatchStarted:
		return hollowSquare, "c-ink", "c-mark"
	case MarkPatched:
		return square, "c-ink", "c-mark"
	case MarkLevel:
		return diamond, "c-wait", "c-mark c-markwait"
	case MarkAsked:
		return ring, "c-wait", "c-mark c-markwait"
	case MarkHeld:
		return pause, "c-wait", "c-mark c-markwait"
	case MarkRecovered:
		return check, "c-good", "c-mark c-markgood"
	case MarkExhausted:
		return cross, "c-bad", "c-mark c-markbad"
	case MarkAborted:
		return cross, "c-ink", "c-mark"
	case MarkWatchEnds:
		return ring, "c-ink", "c-mark"
	case MarkOther:
	}
	return dot, "c-quiet", "c-mark"
}

// grave tells the kinds that are drawn before others where there are too many: how it
// ended, and by which level.
func (k MarkKind) grave() bool {
	switch k {
	case MarkLevel, MarkRecovered, MarkExhausted, MarkAborted:
		return true
	case MarkOpened, MarkClosed, MarkPatchStarted, MarkPatched, MarkAsked, MarkHeld, MarkWatchEnds, MarkOther:
	}
	return false
}

// SVG draws the picture.
func (p Bands) SVG() template.HTML {
	v, ok := p.look()
	if !ok {
		return nothing(p.ID, p.Width, nameOr(p.Title, bandsTitle), p.Words()[0])
	}
	return drawBands(v)
}

const bandsTitle = "Alerts by target"
