package ui

import (
	"fmt"
	"html/template"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/chart"
)

// Replay is a form that asks what rules would have done in the past, and the answer.
type Replay struct {
	// Given is what was put into the form.
	Given ReplayGiven
	// Rules are names of rules to choose from.
	Rules []string
	// MostDays is the longest past that is replayed.
	MostDays int
	// Problems are the mistakes in the pasted rules; MoreProblems how many more there are.
	Problems     []FileProblem
	MoreProblems int
	// Result is the answer; nil while nothing was asked.
	Result *Replayed
}

// ReplayGiven is what was put into the form.
type ReplayGiven struct {
	Since, Until, Rule, File string
	// Compare asks what pasted rules do otherwise than the server's.
	Compare bool
}

// Preset is a past that is often asked for.
type Preset struct{ Since, Word string }

// Presets are offered beside the form.
func (Replay) Presets() []Preset {
	return []Preset{{"24h", "24 hours"}, {"7d", "7 days"}, {"30d", "30 days"}, {"90d", "90 days"}}
}

// Page implements [Content].
func (Replay) Page() string { return "replay" }

// Title implements [Content].
func (r Replay) Title() string {
	if r.Result != nil {
		return fmt.Sprintf("replay: %d would have been opened", r.Result.Opened())
	}
	return "replay the past"
}

// FileProblem is a mistake in pasted rules, beside the line that it is in.
type FileProblem struct {
	// Line and Column count from 1; 0 means the whole file.
	Line, Column int
	What, Fix    string
	Warning      bool
	// Text is the line. Marked tells that the column is marked below it, Before the blank
	// that leads there.
	Text   string
	Marked bool
	Before string
}

// Replayed is what rules would have done.
type Replayed struct {
	Since, Until time.Time
	// Rule is the only one that is reported on; empty means all. Pasted tells that the
	// rules are not the server's.
	Rule   string
	Pasted bool
	// Alerts and Changes are how many were looked at; Verdicts what rules said of them.
	Alerts, Changes, Verdicts int
	// Agreed and Disagreed count the rollbacks that would have been opened by what
	// people did; Undecided are those nobody can tell of.
	Agreed, Disagreed, Undecided int
	// Rows are those that would have been opened, Recorded what would only have been
	// recorded; MoreRows and MoreRecorded how many more there are.
	Rows, Recorded         []ReplayRow
	MoreRows, MoreRecorded int
	// Missed are real rollbacks that no rule would have opened; MoreMissed how many more
	// there are.
	Missed     []Did
	MoreMissed int
	Failed     []RuleFailed
	Notes      []string
	Picture    chart.Replay
	// Compared is nil when nothing was compared.
	Compared *Compared
}

// Opened is how many rollbacks would have been opened.
func (r *Replayed) Opened() int { return r.Agreed + r.Disagreed + r.Undecided }

// AllMissed is how many real rollbacks no rule would have opened.
func (r *Replayed) AllMissed() int { return len(r.Missed) + r.MoreMissed }

// Score is how the rollbacks that would have been opened did.
func (r *Replayed) Score() Score {
	return Score{Agreed: r.Agreed, Disagreed: r.Disagreed, Open: r.Undecided}
}

// Drawn is the picture of all of it.
func (r *Replayed) Drawn() template.HTML { return r.Picture.SVG() }

// ReplayRow is a rollback that would have been opened, or what a rule would only have
// recorded.
type ReplayRow struct {
	At             time.Time
	ChangeID, Rule string
	Mode           backout.Mode
	Targets        []string
	// Level is where it would have begun. Alert and Target are those of its first
	// verdict; Verdicts counts all.
	Level         string
	Alert, Target string
	Verdicts      int
	// AskFirst is what an approval would have been asked for; StartAfter when it would
	// have begun; CancelledAt when the alerts had resolved before. Stopped says what kept
	// the rule from acting.
	AskFirst                string
	StartAfter, CancelledAt time.Time
	Stopped                 string
	// Did is what really was done to the targets, Ended how the change ended, if it has.
	Did   []Did
	Ended backout.ChangeState
	// Outcome is agreed, disagreed, open or moot.
	Outcome string
}

// Look is the key of the outcome's look.
func (r ReplayRow) Look() string { return "outcome_" + r.Outcome }

// Did is a rollback that really was.
type Did struct {
	ChangeID, RollbackID string
	Targets              []string
	At                   time.Time
	// Who asked for it: a person, or a rule.
	Who              string
	Approved, Denied []string
	Status           backout.RollbackStatus
}

// RuleFailed is a rule that failed.
type RuleFailed struct {
	Rule, Error string
	Times       int
}

// Compared is what the pasted rules would have done otherwise than the server's.
type Compared struct {
	// Differences are in the order of their times; More is how many more there are.
	Differences []Difference
	More        int
	// Unknown says why nothing could be compared.
	Unknown string
}

// Difference is what two sets of rules would have done otherwise to targets of a change.
type Difference struct {
	ChangeID string
	Targets  []string
	// Says is the difference, as the pasted rules have it.
	Says string
	// Server and Pasted are what each of them would have done; nil for nothing.
	Server, Pasted *ReplayRow
}
