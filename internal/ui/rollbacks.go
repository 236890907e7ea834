package ui

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/backout-io/backout"
)

// Rollbacks are all rollbacks, those under way first, then the newest.
type Rollbacks struct {
	Rows []RollbackRow
	// Change, Status and Target are what rows were chosen by; Statuses are those that
	// can be. Found is how many there are of these, All how many there are.
	Change, Status, Target string
	Statuses               []StatusChoice
	Found, All             int
	// UnderWay is how many of those that were found have not ended, shown or not.
	UnderWay int
	// First is the place of the first row that is shown, from 1; Number is the page.
	First, Number, Pages int
	// Picture shows how long levels took against their limits; Words say the same.
	// Unread is how many of the rows are not in it because their logs were not read.
	Picture Picture
	Words   []string
	Unread  int
}

// StatusChoice is a status that rows can be chosen by.
type StatusChoice struct {
	Value, Word string
	Here        bool
}

// RollbackRow is one rollback.
type RollbackRow struct {
	Card Card
	// Due is when something happens by itself.
	Due time.Time
}

// Level is the level that it came to; empty before the first.
func (r RollbackRow) Level() string {
	if l := r.Card.Rollback.CurrentLevel(); l != nil {
		return l.Name
	}
	return ""
}

// Took says how long it took; empty while it is under way.
func (r RollbackRow) Took() string { return took(r.Card.Rollback.OpenedAt, r.Card.Rollback.EndedAt) }

// Page implements [Content].
func (Rollbacks) Page() string { return "rollbacks" }

// Title implements [Content].
func (r Rollbacks) Title() string {
	if r.UnderWay > 0 {
		return fmt.Sprintf("(%d) rollbacks", r.UnderWay)
	}
	return "rollbacks"
}

// Tone is how bad things are, for the browser's tab.
func (r Rollbacks) Tone() string {
	if r.UnderWay > 0 {
		return bad
	}
	return quiet
}

// NewStatusChoice names a status that rows can be chosen by.
func NewStatusChoice(value backout.RollbackStatus, chosen string) StatusChoice {
	return StatusChoice{string(value), lookOf(value).word, string(value) == chosen}
}

// Chosen tells that not all are shown.
func (r Rollbacks) Chosen() bool { return r.Change != "" || r.Status != "" || r.Target != "" }

// PageAt is the address of another page of the rows.
func (r Rollbacks) PageAt(n int) string {
	q := url.Values{}
	for name, value := range map[string]string{"change": r.Change, "status": r.Status, "target": r.Target} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if n > 1 {
		q.Set("page", strconv.Itoa(n))
	}
	return "?" + q.Encode()
}

// Before is the page before this one; 0 when there is none.
func (r Rollbacks) Before() int { return max(r.Number-1, 0) }

// After is the next page; 0 when there is none.
func (r Rollbacks) After() int {
	if r.Number >= r.Pages {
		return 0
	}
	return r.Number + 1
}

// Last is the place of the last row that is shown.
func (r Rollbacks) Last() int { return r.First + len(r.Rows) - 1 }

// Rest is how many rows follow.
func (r Rollbacks) Rest() int { return max(r.Found-r.Last(), 0) }
