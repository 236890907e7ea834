package chart

import (
	"html/template"
	"time"
)

// Replay shows what rules would have done over a time, beside what people really did:
// a lane for each rule, and one for people. What stands too close together to be told
// apart becomes one sign with its number. Up to 100 rules are drawn.
type Replay struct {
	// ID is unique on the page, of ASCII letters, digits, - and _. Title says what the
	// picture is of.
	ID, Title string
	// Width is how wide the picture is before it is scaled, 480 to 2400; 0 is 800.
	Width int
	// From and Until bound the picture. Without them it shows all that it holds.
	From, Until time.Time
	// Rules are drawn in the order given.
	Rules []RuleLane
	// Did are the rollbacks that really were, in any order.
	Did []Did
}

// RuleLane is what one rule would have done.
type RuleLane struct {
	Name string
	// Would are in any order.
	Would []Would
}

// Would is one thing that a rule would have done.
type Would struct {
	At   time.Time
	Kind WouldKind
	// Judged is whether people agreed, by what they did.
	Judged Judged
	// Text says what it is about, such as "CHG0030001 on web-1: HTTPDown". Href, if it
	// is set, is the address of a page on this server.
	Text, Href string
}

// WouldKind is what a rule would have done; it chooses the sign.
type WouldKind string

// The values of [WouldKind].
const (
	// WouldOpen opens a rollback.
	WouldOpen WouldKind = "would open a rollback"
	// WouldRecord only records that the rule matched.
	WouldRecord WouldKind = "would only be recorded"
	// WouldStop is a match that something kept from acting, such as a limit.
	WouldStop WouldKind = "would be stopped"
)

// Judged is whether people agreed with a rule.
type Judged string

// The values of [Judged].
const (
	// Undecided is what nobody can tell.
	Undecided Judged = ""
	// Agreed is that people took the target back too, Disagreed that they did not.
	Agreed    Judged = "people agreed"
	Disagreed Judged = "people did not agree"
)

// Did is a rollback that really was.
type Did struct {
	// At is when it was requested, Until when it ended; zero when it has not.
	At, Until time.Time
	// Missed tells that no rule would have opened it.
	Missed bool
	// Text says what it is about. Href, if it is set, is the address of its page on
	// this server.
	Text, Href string
}

// SVG draws the picture.
func (p Replay) SVG() template.HTML {
	v, ok := p.look()
	if !ok {
		return nothing(p.ID, p.Width, nameOr(p.Title, replayTitle), p.Words()[0])
	}
	return drawReplay(v)
}

const replayTitle = "What rules would have done"

// sign is how a kind is drawn.
func (k WouldKind) sign() (shape, string) {
	switch k {
	case WouldOpen:
		return up, "c-bad"
	case WouldStop:
		return pause, "c-wait"
	case WouldRecord:
	}
	return ring, "c-quiet"
}

// weight orders kinds by how much they matter.
func (k WouldKind) weight() int {
	switch k {
	case WouldOpen:
		return 2
	case WouldStop:
		return 1
	case WouldRecord:
	}
	return 0
}
