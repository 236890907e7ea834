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

// Changes are the windows of a time, and the changes in it.
type Changes struct {
	// Sought is what was asked for.
	Sought ChangesSought
	// Live, Coming and Over count the changes of this time that are open or watched,
	// not opened yet, and ended.
	Live, Coming, Over int
	// Windows is the picture of them, nil when there is nothing to draw; Undrawn is how
	// many have no place in it.
	Windows Picture
	Undrawn int
	// Overlaps are changes that share targets at the same time, MoreOverlaps that there
	// are others; Overlapping is how many changes that concerns.
	Overlaps     []Overlap
	MoreOverlaps bool
	Overlapping  int
	// Rows are one page of the changes, Found how many there are, on so many Pages.
	Rows  []ChangeRow
	Found int
	Pages int
	// Elsewhere is how many others are like what was sought, before or after this time;
	// Nearest is when the nearest of them begins.
	Elsewhere int
	Nearest   time.Time
	// Holds are what keeps patches from coming back; MoreHolds is how many more there
	// are, HoldsUnknown why they are not known.
	Holds        []backout.Hold
	MoreHolds    int
	HoldsUnknown string
}

// ChangesSought says which changes are looked for. Days are in UTC.
type ChangesSought struct {
	// From and To are the first day and the last one.
	From, To time.Time
	// State, Target and Text choose among them; empty means any.
	State  backout.ChangeState
	Target string
	Text   string
	// Page counts from 1.
	Page int
}

// ChangeRow is one change of the list.
type ChangeRow struct {
	Change backout.Change
	// Overlaps are others that share targets with it at the same time; MoreOverlaps is
	// how many more there are.
	Overlaps     []Overlap
	MoreOverlaps int
}

// Overlap is a time in which two changes are about the same targets.
type Overlap struct {
	ID, With string
	// Targets are the first few of those that they share, MoreTargets how many more.
	Targets     []string
	MoreTargets int
	From, Until time.Time
}

// Page implements [Content].
func (Changes) Page() string { return "changes" }

// Title implements [Content].
func (Changes) Title() string { return "changes" }

// Tone is how bad things are, for the browser's tab.
func (c Changes) Tone() string {
	if c.Overlapping > 0 {
		return wait
	}
	return quiet
}

// Says counts what there is.
func (c Changes) Says() string {
	return fmt.Sprintf("%s open or watched, %d not opened yet, %d ended", plural(c.Live, "window"), c.Coming, c.Over)
}

// First and Last are the places of the rows among all that were found.
func (c Changes) First() int { return (c.Sought.Page-1)*ChangesPage + 1 }

// Last is the place of the last row.
func (c Changes) Last() int { return c.First() + len(c.Rows) - 1 }

// ChangesPage is how many changes stand on one page.
const ChangesPage = 50

// PageSize is [ChangesPage].
func (Changes) PageSize() int { return ChangesPage }

// Standing is what the gate's last word is worth.
func (r ChangeRow) Standing() Standing { return StandingOf(&r.Change) }

// Begins and Ends bound the time in which alerts count.
func (r ChangeRow) Begins() time.Time { return BeginOf(&r.Change) }

// Targets names the first two.
func (r ChangeRow) Targets() string {
	const most = 2
	text := strings.Join(r.Change.Targets[:min(len(r.Change.Targets), most)], ", ")
	if more := len(r.Change.Targets) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Ends is when alerts stop counting.
func (r ChangeRow) Ends() time.Time { return EndOf(&r.Change) }

// On names the shared targets.
func (o Overlap) On() string {
	text := shortList(o.Targets)
	if o.MoreTargets > 0 {
		text += " and " + plural(o.MoreTargets, "more target")
	}
	return text
}

// InShort names the first of the shared targets.
func (o Overlap) InShort() string {
	if more := len(o.Targets) + o.MoreTargets - 1; more > 0 {
		return o.Targets[0] + " and " + plural(more, "more target")
	}
	return o.On()
}

// Chosen tells whether anything but the time chooses.
func (s ChangesSought) Chosen() bool { return s.State != "" || s.Target != "" || s.Text != "" }

// FromDay and ToDay are the days as a form has them.
func (s ChangesSought) FromDay() string { return s.From.Format(time.DateOnly) }

// ToDay is the last day as a form has it.
func (s ChangesSought) ToDay() string { return s.To.Format(time.DateOnly) }

// Earlier and Later lead to as many days before and after.
func (s ChangesSought) Earlier() template.URL { return s.moved(-1) }

// Later leads to as many days after.
func (s ChangesSought) Later() template.URL { return s.moved(1) }

func (s ChangesSought) moved(times int) template.URL {
	days := times * (int(s.To.Sub(s.From)/(24*time.Hour)) + 1)
	s.From, s.To, s.Page = s.From.AddDate(0, 0, days), s.To.AddDate(0, 0, days), 1
	return s.query()
}

// Around leads to as many days around a time.
func (s ChangesSought) Around(t time.Time) template.URL {
	length := s.To.Sub(s.From)
	s.From = t.UTC().Truncate(24 * time.Hour).Add(-length / 3).Truncate(24 * time.Hour)
	s.To, s.Page = s.From.Add(length), 1
	return s.query()
}

// At leads to another page of the same.
func (s ChangesSought) At(page int) template.URL {
	s.Page = page
	return s.query()
}

// Next and Previous are the numbers of the pages beside this one.
func (s ChangesSought) Next() int { return s.Page + 1 }

// Previous is the number of the page before.
func (s ChangesSought) Previous() int { return s.Page - 1 }

// States are what a change can be, in the order of its life.
func (ChangesSought) States() []backout.ChangeState {
	return []backout.ChangeState{
		backout.ChangePlanned, backout.ChangeReady, backout.ChangeOpen, backout.ChangeWatching, backout.ChangeBackingOut,
		backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeClosed, backout.ChangeCancelled,
	}
}

// query is the question of an address, made of escaped parts.
func (s ChangesSought) query() template.URL {
	v := url.Values{"from": {s.FromDay()}, "to": {s.ToDay()}}
	for name, value := range map[string]string{"state": string(s.State), "target": s.Target, "text": s.Text} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if s.Page > 1 {
		v.Set("page", strconv.Itoa(s.Page))
	}
	return template.URL(v.Encode()) //nolint:gosec // escaped part by part
}
