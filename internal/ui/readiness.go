package ui

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Readiness is whether the rollbacks of the next windows would work.
type Readiness struct {
	// Days is how far it looks ahead; Change is set when it is about one change alone.
	Days   int
	Change string
	// Sections are the changes that are shown whole; those whose way back broke first,
	// then the next to open.
	Sections []ReadySection
	// Rest are further ones in short, More how many more there are.
	Rest []ReadyRow
	More int
	// Later is how many windows open after that time.
	Later int
}

// ReadyRow is a change in short.
type ReadyRow struct {
	Change backout.Change
	// Asking tells that the gate is being asked now.
	Asking bool
}

// ReadySection is the gate's word on one change.
type ReadySection struct {
	ReadyRow
	// Asked tells that there is an answer, At when it was given. Unknown says why nobody
	// can tell.
	Asked   bool
	At      time.Time
	Unknown string
	Table   GateTable
	No      Reasons
	Warns   Reasons
	Losses  []Loss
	// MoreLosses is how many different ones are left out.
	MoreLosses int
	// MayAsk tells that whoever looks may ask the gate.
	MayAsk bool
}

// GateTable is the gate's answer, a target a row and a check a column.
type GateTable struct {
	// Levels stand above the columns, in the order of the plan.
	Levels []GateLevel
	// Rows are targets of which something says no, the worst first; MoreRows is how many
	// more there are.
	Rows     []GateRow
	MoreRows int
	// Yes names targets of which everything says yes; MoreYes is how many more there are.
	Yes     []string
	MoreYes int
	// Targets and Cells count what was looked at, BadTargets and BadCells what says no.
	Targets, BadTargets int
	Cells, BadCells     int
}

// GateLevel is a level with its checks.
type GateLevel struct {
	// Name is empty for what belongs to no level.
	Name   string
	Checks []GateCheck
}

// GateCheck counts the answers of one check at one level.
type GateCheck struct {
	Name    string
	Yes, No int
}

// GateRow is one target.
type GateRow struct {
	Target string
	Cells  []GateCell
}

// GateCell is one answer.
type GateCell int

// The values of [GateCell].
const (
	// GateNone is where nobody was asked.
	GateNone GateCell = iota
	GateYes
	GateNo
)

// Yes and No tell which it is.
func (c GateCell) Yes() bool { return c == GateYes }

// No tells that it is a no.
func (c GateCell) No() bool { return c == GateNo }

// Loss is what a level would lose on some targets.
type Loss struct {
	Level, Loses string
	Targets      []string
}

// Page implements [Content].
func (Readiness) Page() string { return "readiness" }

// Title implements [Content].
func (r Readiness) Title() string {
	if n := r.broken(); n > 0 {
		return fmt.Sprintf("(%d) the way back broke", n)
	}
	return "readiness"
}

func (r Readiness) broken() (n int) {
	for i := range r.Sections {
		if len(r.Sections[i].Change.NotReady) > 0 {
			n++
		}
	}
	return n
}

// Tone is how bad things are, for the browser's tab.
func (r Readiness) Tone() string {
	if r.broken() > 0 {
		return bad
	}
	return quiet
}

// Choices are the times that can be looked ahead, in days.
func (Readiness) Choices() []int { return []int{7, 14, 30, 90} }

// Standing is what the gate's last word is worth.
func (r ReadyRow) Standing() Standing {
	if r.Asking {
		return Standing{State: "gate_asking"}
	}
	return StandingOf(&r.Change)
}

// Next is what happens to the change next.
func (r ReadySection) Next(now time.Time) Upcoming { return NextOf(&r.Change, now) }

// Tone is that of the section's edge.
func (r ReadySection) Tone() string { return ToneOf(r.Standing().State) }

// Counts says how much says no.
func (t GateTable) Counts() string {
	switch {
	case t.Cells == 0:
		return ""
	case t.BadCells == 0:
		return fmt.Sprintf("Every check says yes: %s on %s.", plural(t.Cells, "answer"), plural(t.Targets, "target"))
	}
	return fmt.Sprintf("%d of %s say no, on %d of %s.", t.BadCells, plural(t.Cells, "answer"), t.BadTargets, plural(t.Targets, "target"))
}

// Counts says how much says no. What is about the change, such as an overlap, or was found
// before a check was asked is no answer in the table: that all of these say yes is not the
// whole then.
func (r ReadySection) Counts() string {
	t := r.Table
	if len(r.No.List) > 0 && t.Cells > 0 && t.BadCells == 0 {
		return fmt.Sprintf("%s on %s, all yes; what says no stands below.", plural(t.Cells, "answer"), plural(t.Targets, "target"))
	}
	return t.Counts()
}

// AllYes says how many targets say yes to everything.
func (t GateTable) AllYes() string { return plural(len(t.Yes)+t.MoreYes, "target") }

// Where names the level and its targets.
func (l Loss) Where() string { return Reason{Level: l.Level, Targets: l.Targets}.Where() }

// Only is the question that shows one change alone.
func (r ReadyRow) Only() template.URL {
	return template.URL(url.Values{"change": {r.Change.ID}}.Encode() + "#" + url.PathEscape(r.Change.ID)) //nolint:gosec // escaped
}

// Tabulate makes the table of looks, which come in any order. most bounds the rows; four
// times as many targets with nothing but yes are named.
func Tabulate(looks []GateLook, most int) GateTable {
	m := gateMaker{at: map[string]map[string]int{}, rows: map[string]int{}}
	for _, l := range looks {
		m.column(l.Level, l.Check)
	}
	m.order()
	for i := range looks {
		m.add(&looks[i])
	}
	return m.table(most)
}

// GateLook is one answer: one check of one target, at one level or at none.
type GateLook struct {
	Target, Level, Check string
	OK                   bool
	Loses                string
}

// levelOrder is the place of a level: none, baseline, L1 to L9, then what else there is.
func levelOrder(name string) int {
	switch n, err := strconv.Atoi(strings.TrimPrefix(name, "L")); {
	case name == "":
		return 0
	case name == backout.LevelBaseline:
		return 1
	case err == nil && n > 0:
		return 1 + n
	case name == backout.LevelCleanup:
		return 1 << 20
	}
	return 1<<20 + 1
}
