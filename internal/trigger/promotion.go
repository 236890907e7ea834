package trigger

import (
	"fmt"

	"github.com/backout-io/backout"
)

// Policy says what a rule needs before it may act.
type Policy struct {
	// Required says that a rule may only record until somebody promotes it. Without
	// it the rule's file says what it may do.
	Required bool
	// Agreed is how many changes must have agreed with a rule, at this Precision (0
	// to 1), before it may be let act by itself.
	Agreed    int
	Precision float64
}

// Grant is what a person lets a rule do.
type Grant struct {
	Mode backout.Mode
	// Hash is that of the rule's content it was given for.
	Hash string
	// Lowered says that it takes something away: it counts whatever the policy is.
	Lowered bool
	// By gave it.
	By string
}

// Earned says what a rule may do, and when that is less than its file says why.
// file is its mode there, hash that of its content, g the grant that stands; nil
// when there is none.
func Earned(file backout.Mode, hash string, g *Grant, p Policy) (mode backout.Mode, why string) {
	switch {
	case rank(file) == 0:
		return backout.ModeShadow, ""
	case g != nil && g.Lowered && (g.Hash == hash || !p.Required):
		return lower(file, g.Mode, g.By+" lets it do no more than "+string(g.Mode))
	case !p.Required:
		return file, ""
	case g == nil:
		return backout.ModeShadow, "nobody has promoted it: it only records"
	case g.Hash != hash:
		return backout.ModeShadow, "what it says has changed since " + g.By + " let it " + string(g.Mode) + ": it only records until it is promoted again"
	}
	return lower(file, g.Mode, "it was promoted to "+string(g.Mode)+" by "+g.By+", no further")
}

func lower(file, granted backout.Mode, why string) (backout.Mode, string) {
	switch {
	case rank(granted) >= rank(file):
		return file, ""
	case granted == backout.ModeAsk:
		return granted, why
	}
	return backout.ModeShadow, why // also for what this release does not know
}

// rank orders the modes by how much they allow.
func rank(m backout.Mode) int {
	switch m {
	case backout.ModeAuto:
		return 2
	case backout.ModeAsk:
		return 1
	case backout.ModeShadow:
	}
	return 0
}

// Lowers tells whether mode to allows no more than from.
func Lowers(to, from backout.Mode) bool { return rank(to) <= rank(from) }

// Standing is where a rule stands before it is promoted.
type Standing struct {
	// File is the most it may ever do, Now what it may do at present.
	File, Now backout.Mode
	// Agreed and Disagreed count the changes that did with the content it has now.
	Agreed, Disagreed int
}

// Refusal says why a rule may not be let do as much, or "". Less is always allowed.
func Refusal(to backout.Mode, s Standing, p Policy) string {
	switch {
	case Lowers(to, s.Now):
		return ""
	case rank(to) > rank(s.File):
		return fmt.Sprintf("its file says mode: %s, and that is the most it may do: set mode: %s there first", s.File, to)
	case !p.Required || to != backout.ModeAuto:
		return ""
	case s.Now == backout.ModeShadow:
		return "it is in mode shadow: promote it to ask first"
	case s.Agreed < p.Agreed:
		return fmt.Sprintf("%d changes agreed with it, the policy wants %d: judge what it said, or let it gather more", s.Agreed, p.Agreed)
	}
	if known := s.Agreed + s.Disagreed; known > 0 && float64(s.Agreed)+1e-9 < p.Precision*float64(known) {
		return fmt.Sprintf("%d of %d changes agreed with it, a precision of %.2f, and the policy wants %.2f", s.Agreed, known, float64(s.Agreed)/float64(known), p.Precision)
	}
	return ""
}
