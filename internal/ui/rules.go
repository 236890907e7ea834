package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Rules is the list of the rules: what each of them may do, and how it has done.
type Rules struct {
	// Rules are those of this page, of Found that the filter lets through and All that
	// there are.
	Rules      []Rule
	Found, All int
	// Modes counts all of them by what they may do, Less those that may do less than
	// their file says.
	Modes  []ModeCount
	Less   int
	Filter RuleFilter
	// Groups are those that the filter offers, sorted; MoreGroups how many more there are.
	Groups     []string
	MoreGroups int
	// Number is this page's, of Pages.
	Number, Pages int
	// MayReplay tells that a replay is offered.
	MayReplay bool
}

// ModeCount is how many rules may do this much.
type ModeCount struct {
	Mode  backout.Mode
	Count int
}

// RuleFilter says which rules are shown: those that hold the text, may do this much and
// are of the group. Mode is one of the modes, or less for those that may do less than
// their file says; what is empty lets all through.
type RuleFilter struct{ Text, Mode, Group string }

// Any tells that it leaves anything out.
func (f RuleFilter) Any() bool { return f != RuleFilter{} }

// Page implements [Content].
func (Rules) Page() string { return "rules" }

// Title implements [Content].
func (Rules) Title() string { return "rules" }

// First and Last are the places of the page's rules among those that were found.
func (r Rules) First() int { return r.Last() - len(r.Rules) + 1 }

// Last is documented with First.
func (r Rules) Last() int { return min(r.Found, (r.Number-1)*RulesPerPage+len(r.Rules)) }

// Before and After are the numbers of the pages beside this one; 0 when there is none.
func (r Rules) Before() int { return r.Number - 1 }

// After is documented with Before.
func (r Rules) After() int {
	if r.Number >= r.Pages {
		return 0
	}
	return r.Number + 1
}

// RulesPerPage is how many rules a page of the list shows.
const RulesPerPage = 100

// Rule is one rule: what it says, what it may do, and how it has done.
type Rule struct {
	Name, Group string
	// Place is its file and line.
	Place    string
	Match    []string
	When     string
	Throttle backout.Throttle
	// Mode is what it may do, FileMode what its file says; Why says why that is less.
	Mode, FileMode backout.Mode
	Why            string
	// Promoted is the last word on what it may do; nil when nobody has said any.
	Promoted *Promoted
	Score    Score
	// LastVerdict is when it matched last; zero when it never did.
	LastVerdict time.Time
}

// Promoted is who said what a rule may do, and how it had done by then.
type Promoted struct {
	Mode backout.Mode
	// Lowered tells that it takes something from the rule, Former that the rule said
	// something else then.
	Lowered, Former bool
	By, Reason      string
	At              time.Time
	Score           Score
}

// Says is what was done, such as "promoted to auto".
func (p Promoted) Says() string {
	if p.Lowered {
		return "held down to " + string(p.Mode)
	}
	return "promoted to " + string(p.Mode)
}

// whenShort is how much of an expression the list shows.
const whenShort = 160

// Short is the rule's expression, cut to what a list has room for.
func (r Rule) Short() string {
	text := []rune(strings.Join(strings.Fields(r.When), " "))
	if len(text) <= whenShort {
		return string(text)
	}
	return string(text[:whenShort]) + "…"
}

// Throttled says what keeps the rule from acting too soon and too often; empty when
// nothing does.
func (r Rule) Throttled() string {
	var says []string
	t := r.Throttle
	if t.AtLeast > 1 {
		says = append(says, fmt.Sprintf("acts once %d different alerts have matched within %s", t.AtLeast, t.Within))
	}
	if t.OnceWithin > 0 {
		says = append(says, fmt.Sprintf("opens at most one rollback in %s", t.OnceWithin))
	}
	if len(says) > 0 && t.Per == backout.PerRule {
		says = append(says, "both count for all changes together")
	}
	if t.Latch {
		says = append(says, "a level that a rollback of the change began with before waits for an approval")
	}
	return strings.Join(says, "; ")
}
