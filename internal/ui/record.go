package ui

import (
	"time"

	"github.com/backout-io/backout/internal/told"
)

// Record is one record of a log as it is stored: what everything else is told from.
type Record struct {
	// Of is whose log it is, rollbacks or changes, and ID its name.
	Of, ID string
	Seq    uint64
	At     time.Time
	// Server wrote it, and People are who is named in it as having acted.
	Server string
	People []string
	Said   []told.Sentence
	// JSON is the record, indented; Cut tells that its end is left out.
	JSON string
	Cut  bool
	// Before and After are the records beside it in the log; 0 where there is none.
	Before, After uint64
	// Place is which record of how many it is.
	Place, Records int
}

// Page implements [Content].
func (Record) Page() string { return "record" }

// Title implements [Content].
func (r Record) Title() string { return "record of " + r.ID }

// Whole is the address of the whole log, below the base.
func (r Record) Whole() string { return "api/v1/" + r.Of + "/" + r.ID + "/log" }
