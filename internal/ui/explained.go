package ui

import "github.com/backout-io/backout"

// ExplainedRule is what one rule makes of an alert and one change.
type ExplainedRule struct {
	Rule, Group, Target, ChangeID string
	Mode                          backout.Mode
	// Matched tells whether it matched; Follows is what follows: nothing, record,
	// evidence or open. Waiting tells that a query has no value yet, Failed that the
	// rule failed.
	Matched, Waiting, Failed bool
	Follows                  string
	Why                      string
	Parts                    []Part
	Misses                   int
}

// Part is one condition with what was found.
type Part struct {
	Text           string
	Held, Failed   bool
	Unknown, Error string
	Parts          []Part
}

// Sign says in a word what became of the rule, Tone how good that is.
func (r ExplainedRule) Sign() string { sign, _ := r.look(); return sign }

// Tone is the class of the sign: good, wait, bad or quiet.
func (r ExplainedRule) Tone() string { _, tone := r.look(); return tone }

func (r ExplainedRule) look() (sign, tone string) {
	switch {
	case r.Follows == "open":
		return "✔ acts", good
	case r.Follows == "record":
		return "○ only recorded", quiet
	case r.Follows == "evidence":
		return "● further evidence", wait
	case r.Matched:
		return "■ stopped", wait
	case r.Waiting:
		return "… waits", wait
	case r.Failed:
		return "✖ failed", bad
	}
	return "✖ does not match", bad
}
