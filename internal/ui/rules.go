package ui

import (
	_ "embed" // for the pages
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

//go:embed frame.html
var frame string

//go:embed rules.html
var rulesPage string

//go:embed explain.html
var explainPage string

// Rules is what the page of rules shows.
type Rules struct {
	Now     time.Time
	Version string
	Rules   []Rule
	// More is how many more there are. Unknown says why they are not known.
	More    int
	Unknown string
}

// Rule is one rule: what it may do, and how it has done.
type Rule struct {
	Name, Group string
	// Place is its file and line.
	Place string
	Match []string
	When  string
	// Mode is what it may do, FileMode what its file says; Why says why that is less.
	Mode, FileMode backout.Mode
	Why            string
	// Promoted says who let it act.
	Promoted string
	// Score says how often it was right.
	Score       string
	LastVerdict time.Time
}

// Explain is what the page shows that says why a rule did, or did not, fire.
type Explain struct {
	Now     time.Time
	Version string
	// Given is what was put into the form, Problem what is wrong with it.
	Given   Given
	Problem string
	Answers []Answer
	// Red are alerts that fire now, in their order; MoreRed how many more there are.
	// RedUnknown says why they are not known.
	Red        []Red
	MoreRed    int
	RedUnknown string
}

// Given is what was put into the form.
type Given struct{ Alert, Change, Rule, At string }

// Red is an alert that fires now.
type Red struct {
	Alert     backout.Alert
	Target    string
	ChangeIDs []string
}

// Answer is what every rule makes of one alert.
type Answer struct {
	Alert backout.Alert
	At    time.Time
	Notes []string
	// Full are shown with every condition, Others with one line; More is how many
	// more there are.
	Full, Others []ExplainedRule
	More         int
	Said         []string
}

// Labels are the alert's labels, one each, in the order of their names.
func (a Answer) Labels() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(a.Alert.Labels)) {
		list = append(list, fmt.Sprintf("%s=%q", name, a.Alert.Labels[name]))
	}
	return list
}

// ExplainedRule is what one rule makes of the alert and one change.
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

// Part is one condition.
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
		return "✔ acts", "good"
	case r.Follows == "record":
		return "○ only recorded", "quiet"
	case r.Follows == "evidence":
		return "● further evidence", "wait"
	case r.Matched:
		return "■ stopped", "wait"
	case r.Waiting:
		return "… waits", "wait"
	case r.Failed:
		return "✖ failed", "bad"
	}
	return "✖ does not match", "bad"
}

// RulesPage writes the page of rules. Nothing is written if it cannot be rendered.
func RulesPage(w io.Writer, r Rules) error { return write(w, "rules", rulesPage, r.Now, r) }

// ExplainPage writes the page that says why a rule did, or did not, fire. Nothing is
// written if it cannot be rendered.
func ExplainPage(w io.Writer, e Explain) error { return write(w, "explain", explainPage, e.Now, e) }

// FormPolicy is [Policy] for a page whose form goes to this server.
func FormPolicy() string { return policy("'self'") }
