package ruletest

import (
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/replay"
)

// Report is what came of test files.
type Report struct {
	Files []FileResult `json:"files"`
	// Tests counts those that ran, Failed those of them that failed.
	Tests  int `json:"tests"`
	Failed int `json:"failed"`
	// Coverage is that of all files together.
	Coverage Coverage `json:"coverage"`
}

// OK tells whether every file could be read, a test ran and all of them passed.
func (r *Report) OK() bool { return r.Readable() && r.Tests > 0 && r.Failed == 0 }

// Readable tells whether no file has a problem that kept its tests from running.
func (r *Report) Readable() bool {
	return !slices.ContainsFunc(r.Files, func(f FileResult) bool { return f.Problems.Fatal() != nil })
}

// FileResult is what came of one test file.
type FileResult struct {
	File string `json:"file"`
	// Problems are those of the file and of the rule files that it names. No test of
	// the file ran when one is more than a warning.
	Problems backout.Problems `json:"problems,omitempty"`
	Tests    []TestResult     `json:"tests"`
	// Percent is how much of its rules the file's tests cover, 0 to 100.
	Percent float64 `json:"percent"`
}

// TestResult is what came of one test. It passed when it has no failures.
type TestResult struct {
	Name     string    `json:"name"`
	Line     int       `json:"line"`
	Failures []Failure `json:"failures,omitempty"`
	// Events are what happened, in order.
	Events []Event `json:"events"`
}

// Event is one thing that happened in a test.
type Event struct {
	// After is how long after the start it happened.
	After backout.Duration `json:"after"`
	replay.Event
}

// Failure is an expectation that did not come true, or a rule that failed.
type Failure struct {
	// File, Line and Column are where the expectation stands.
	File   string           `json:"file"`
	Line   int              `json:"line"`
	Column int              `json:"column"`
	At     backout.Duration `json:"at"`
	// What is verdicts, rollbacks, stopped, or error for what could not run.
	What string `json:"what"`
	// Error says what went wrong, for error.
	Error string `json:"error,omitempty"`
	// Diff holds what was expected against what there was.
	Diff []Difference `json:"diff,omitempty"`
	// Why says what kept away what is missing, and what brought what is too much.
	Why []Reason `json:"why,omitempty"`
}

// Difference is one line of a comparison.
type Difference struct {
	// Sign is "-" for what was expected and is missing, "+" for what was not
	// expected, and " " for what is as expected.
	Sign string `json:"sign"`
	Text string `json:"text"`
}

// Reason says why something is as it is.
type Reason struct {
	About string   `json:"about"`
	Lines []string `json:"lines"`
}
