package ui

import (
	"time"

	"github.com/backout-io/backout"
)

// RulePage is one rule: what it says, how it has done, what it said last, and who let it
// act.
type RulePage struct {
	Rule Rule
	// TargetLabel names the target of its alerts; Hash is that of what it says.
	TargetLabel string
	Hash        string
	// Said are its verdicts, the newest first; MoreSaid how many more changes it spoke
	// of. SaidUnknown says why they are not known.
	Said        []Said
	MoreSaid    int
	SaidUnknown string
	// History are the last words on what it may do, the newest first.
	History []Promoted
	// MayReplay and MayPromote tell what is offered.
	MayReplay, MayPromote bool
}

// Said is what a rule said of one change, and what became of it.
type Said struct {
	ChangeID, Title string
	State           backout.ChangeState
	// First and Last are the times of its verdicts; Verdicts counts them.
	First, Last time.Time
	Verdicts    int
	Mode        backout.Mode
	Targets     []string
	// Outcome is agreed, disagreed, open or moot. By says who judged it, and Reason why;
	// both are empty when nobody did.
	Outcome    string
	By, Reason string
	// Former tells that the rule said something else then.
	Former bool
}

// Look is the key of the outcome's look.
func (s Said) Look() string { return "outcome_" + s.Outcome }

// Page implements [Content].
func (RulePage) Page() string { return "rule" }

// Title implements [Content].
func (r RulePage) Title() string { return r.Rule.Name }

// Promote is the command that says what the rule may do.
func (r RulePage) Promote() string {
	to := "auto"
	switch r.Rule.Mode {
	case backout.ModeShadow:
		to = "ask"
	case backout.ModeAuto:
		to = "shadow"
	case backout.ModeAsk:
	}
	return "backout rules promote " + r.Rule.Name + " --to " + to + ` --reason "…"`
}

// Judge is the command that says whether the rule was right.
func (r RulePage) Judge() string {
	change := "CHANGE"
	if len(r.Said) > 0 {
		change = r.Said[0].ChangeID
	}
	return "backout rules judge " + change + " " + r.Rule.Name + ` --agree --reason "…"`
}
