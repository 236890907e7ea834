package ui

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Explain is a form to put an alert into, and what every rule makes of what was given.
type Explain struct {
	// Given is what was put into the form.
	Given   ExplainGiven
	Answers []Answer
	// Red are alerts that fire now, in their order; MoreRed how many more there are.
	// RedUnknown says why they are not known.
	Red        []RedAlert
	MoreRed    int
	RedUnknown string
	// Everywhere tells that whoever looks may ask about any alert that came in, and
	// about all changes; others give an alert and name changes.
	Everywhere bool
	// Most is how many pasted alerts are explained at once.
	Most int
}

// ExplainGiven is what was put into the form.
type ExplainGiven struct{ Alert, Change, Rule, At string }

// RedAlert is an alert that fires now.
type RedAlert struct {
	Alert     backout.Alert
	Target    string
	ChangeIDs []string
}

// Page implements [Content].
func (Explain) Page() string { return "explain" }

// Title implements [Content].
func (e Explain) Title() string {
	if len(e.Answers) > 0 {
		return "why: " + e.Answers[0].Alert.Name()
	}
	return "why did a rule (not) fire?"
}

// Answer is what every rule makes of one alert.
type Answer struct {
	Alert backout.Alert
	At    time.Time
	Notes []string
	// Matches is how many rules match, Acts how many of them would open a rollback.
	Matches, Acts int
	// Full are shown with every condition, Others with one line; More is how many more
	// there are.
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

// Matched are those that match, in full; Nearest those among the others that are shown
// in full.
func (a Answer) Matched() []ExplainedRule { return a.Full[:a.matched()] }

// Nearest is documented with Matched.
func (a Answer) Nearest() []ExplainedRule { return a.Full[a.matched():] }

func (a Answer) matched() int {
	n := slices.IndexFunc(a.Full, func(r ExplainedRule) bool { return !r.Matched })
	if n < 0 {
		return len(a.Full)
	}
	return n
}

// Short says in a line what comes of the alert.
func (a Answer) Short() string {
	switch {
	case len(a.Full) == 0:
		return "There is no rule to ask."
	case a.Matches == 0:
		return "No rule matches it: nothing follows."
	case a.Acts > 0:
		return fmt.Sprintf("%s it, and %s: a rollback opens.", matching(a.Matches), acting(a.Acts, a.Matches))
	}
	return matching(a.Matches) + " it, and no rollback opens."
}

func matching(n int) string {
	if n == 1 {
		return "One rule matches"
	}
	return fmt.Sprintf("%d rules match", n)
}

func acting(n, of int) string {
	switch {
	case n == of && n == 1:
		return "acts"
	case n == of:
		return "all of them act"
	case n == 1:
		return "one of them acts"
	}
	return fmt.Sprintf("%d of them act", n)
}

// Tone is how the answer is shown.
func (a Answer) Tone() string {
	if len(a.Matched()) == 0 {
		return quiet
	}
	return a.Full[0].Tone()
}
