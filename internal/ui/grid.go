package ui

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/backout-io/backout"
)

// Grid is how the targets stand at each step of one level.
type Grid struct {
	// Level is the level that is shown; Levels are those that can be.
	Level  string
	Levels []GridLevel
	// Steps are what each column is.
	Steps []string
	Rows  []GridRow
	// Counts say how many targets are in each state, whatever is shown; All is their sum.
	Counts []GridCount
	All    int
	// Show and Search are what rows were chosen by; Found is how many there are of
	// these.
	Show, Search string
	Found        int
	// First is the place of the first row that is shown, from 1; Number is the page.
	First, Number, Pages int
	// Query are the parameters of the address that hold what was chosen.
	Query url.Values
}

// Param is a parameter of an address.
type Param struct{ Name, Value string }

// GridLevel is a level that can be shown.
type GridLevel struct {
	Name string
	Here bool
}

// GridCount is how many targets are in a state.
type GridCount struct {
	State string
	N     int
	Here  bool
}

// GridRow is one target.
type GridRow struct {
	Target string
	// State is its phase.
	State string
	// Says is why it failed, or what is not known of it.
	Says  string
	Cells []Cell
	// GreenSince is since when its checks are green, GreenUntil until when they must
	// stay so; Red says why they are not.
	GreenSince, GreenUntil time.Time
	Red                    string
	// BackAt is when it recovered, and by which level.
	BackAt    time.Time
	BackLevel string
	Drift     *backout.DriftFound
	Held      []string
}

// Cell is one step on one target.
type Cell struct {
	// State is a word of the looks.
	State string
	// Attempt is the try that is meant, without the rollback's name before it; Number
	// which one of the step it is.
	Attempt string
	Number  int
	// Took says how long it took, Since since when it runs.
	Took  string
	Since time.Time
	// Exit is what its command ended with, where that is not 0.
	Exit int
}

// Kept are the parameters that a search hands on.
func (g Grid) Kept() []Param {
	var out []Param
	for _, name := range slices.Sorted(maps.Keys(g.Query)) {
		if name != "q" && name != "page" {
			out = append(out, Param{name, g.Query.Get(name)})
		}
	}
	return out
}

// To is what follows the path of this page in an address with one parameter more, or
// another; an empty value takes it away.
func (g Grid) To(name, value string) string {
	q := url.Values{}
	for k, v := range g.Query {
		q[k] = v
	}
	// Another choice of rows begins at its first page; another level with all of them.
	switch name {
	case "show":
		q.Del("page")
	case "level":
		q = url.Values{}
	}
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	return "?" + q.Encode()
}

// Page is what follows the path in the address of another page of the rows.
func (g Grid) Page(n int) string {
	if n <= 1 {
		return g.To("page", "")
	}
	return g.To("page", strconv.Itoa(n))
}

// Before and After are the pages beside this one; 0 when there is none.
func (g Grid) Before() int { return max(g.Number-1, 0) }

// After is the next page; 0 when there is none.
func (g Grid) After() int {
	if g.Number >= g.Pages {
		return 0
	}
	return g.Number + 1
}

// Rest is how many rows follow those that are shown.
func (g Grid) Rest() int { return max(g.Found-(g.First-1)-len(g.Rows), 0) }

// Last is the place of the last row that is shown.
func (g Grid) Last() int { return g.First + len(g.Rows) - 1 }
