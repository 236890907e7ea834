package ui

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/told"
)

// Rollback is one rollback: where a link in a notice leads.
type Rollback struct {
	Card Card
	// Address leads to this page from anywhere; empty where nobody knows it.
	Address string
	Grid    Grid
	// Output is what the chosen attempt has printed; nil while none is chosen.
	Output *Output
	// Explained is what its rule made of the alert when it opened the rollback;
	// NotExplained says why that is not known. Both are empty for one that a person
	// started.
	Explained    *ExplainedRule
	NotExplained string
	// Alerts are what speaks for it, oldest first; MoreAlerts how many more there are.
	Alerts     []backout.AlertRef
	MoreAlerts int
	// Notices are about it, the newest first; NoNotices says why they are not known.
	Notices     []Notice
	MoreNotices int
	NoNotices   string
	Log         Log
}

// Output is the end of what an attempt has printed.
type Output struct {
	Attempt string
	// Step says what it is a try of, State how that stands: a word of the looks.
	Target, Step, State string
	Text                string
	// Cut is how many bytes stand before Text.
	Cut int
	// Unknown says why there is nothing to show.
	Unknown string
}

// Notice is one notice and how far it came.
type Notice struct {
	Moment   backout.Moment
	Audience string
	Channel  string
	At       time.Time
	// State is a word of the looks: delivered, sending or given_up. Since is when it
	// was delivered, or tried last.
	State string
	Since time.Time
	Tries int
	Error string
}

// Log is what happened, the newest first.
type Log struct {
	// Records is the path, below the base, of the records, before their sequences: the
	// page may stand at the address of a form.
	Records string
	Lines   []LogLine
	// More is how many older lines there are; All tells that nothing was to be left out.
	More int
	All  bool
	// Unknown says why the log is not known.
	Unknown string
}

// LogLine is one line of a log.
type LogLine struct {
	At time.Time
	// Seq is the sequence of its record.
	Seq  uint64
	Kind string
	Said told.Sentence
}

// Page implements [Content].
func (Rollback) Page() string { return "rollback" }

// Title implements [Content].
func (r Rollback) Title() string {
	return r.Card.Rollback.ID + ": " + lookOf(r.Card.Rollback.Status).word
}

// Tone is how bad things are, for the browser's tab.
func (r Rollback) Tone() string {
	if r.Card.Rollback.Status.Final() && lookOf(r.Card.Rollback.Status).tone == good {
		return quiet
	}
	if r.Card.Rollback.Status.Final() {
		return wait
	}
	return bad
}

// Status says how it stands in a few lines, to be sent to those who wait for it. Its
// times are as everybody reads them.
func (r Rollback) Status() string {
	c, of := r.Card, r.Card.Rollback
	lines := []string{fmt.Sprintf("%s (%s): %s", of.ID, strings.TrimSpace(of.ChangeID+" "+of.ChangeTitle), c.Headline())}
	how := lookOf(of.Status).word
	if !of.PausedAt.IsZero() {
		how += ", paused"
	}
	if l := cmp.Or(c.Asked(), of.CurrentLevel()); l != nil {
		how = called(l) + ": " + how
	}
	lines = append(lines, fmt.Sprintf("%s; %d of %s back", how, c.Back(), plural(len(of.Targets), "target")))
	if why := c.Why(); why != "" {
		lines = append(lines, why)
	}
	if next := c.Next(); next != "" && c.Due().IsZero() {
		lines = append(lines, "Next: "+next)
	} else if next != "" {
		lines = append(lines, "Next: at "+absolute(c.Due())+": "+next)
	}
	if r.Address != "" {
		lines = append(lines, r.Address)
	}
	return strings.Join(lines, "\n")
}

// Commands are what may be typed in place of what the page offers.
func (r Rollback) Commands() []string {
	id := r.Card.Rollback.ID
	out := []string{"backout rollback watch " + id}
	if r.Card.Rollback.Status.Final() {
		return []string{"backout rollback show " + id, "backout report " + r.Card.Rollback.ChangeID}
	}
	if l := r.Card.Asked(); l != nil {
		out = append(out, "backout rollback approve "+id+" --level "+l.Name, "backout rollback deny "+id+" --level "+l.Name+` --reason "…"`)
	}
	return append(out, "backout rollback hold "+id+` --reason "…"`)
}

// Ends is what became of it, for one that is over.
func (r Rollback) Took() string { return took(r.Card.Rollback.OpenedAt, r.Card.Rollback.EndedAt) }

// Mark is the look of what a line of a log tells: its sign and its tone; nil when it is
// just one more thing that happened.
func (l LogLine) Mark() *LineMark {
	if m, ok := marks[l.Kind]; ok {
		return &m
	}
	return nil
}

// LineMark is a sign with its tone.
type LineMark struct{ Sign, Tone string }

// marks are the signs of what is not just one more thing that happened.
var marks = map[string]LineMark{
	backout.StepDone{}.Kind():       {"✔", good},
	backout.TargetGreen{}.Kind():    {"✔", good},
	backout.TargetBack{}.Kind():     {"✔", good},
	backout.Released{}.Kind():       {"▶", wait},
	backout.Resumed{}.Kind():        {"▶", wait},
	backout.LevelEntered{}.Kind():   {"▶", wait},
	backout.VerifyStarted{}.Kind():  {"◉", wait},
	backout.Asked{}.Kind():          {"?", bad},
	backout.StepFailed{}.Kind():     {"✖", bad},
	backout.TargetRed{}.Kind():      {"✖", bad},
	backout.LevelFailed{}.Kind():    {"✖", bad},
	backout.StepInDoubt{}.Kind():    {"?", bad},
	backout.HeldBack{}.Kind():       {lookOf(backout.RollbackHeld).sign, bad},
	backout.Paused{}.Kind():         {lookOf("paused").sign, wait},
	backout.LevelOverdue{}.Kind():   {"!", bad},
	backout.LastCall{}.Kind():       {"!", bad},
	backout.ChannelsDown{}.Kind():   {"!", bad},
	backout.GlassBroken{}.Kind():    {"!", bad},
	backout.AbortRequested{}.Kind(): {"■", wait},
	backout.Ended{}.Kind():          {"■", wait},
	backout.GateRefused{}.Kind():    {"✖", bad},
	backout.GatePassed{}.Kind():     {"✔", good},
	backout.ChangeEnded{}.Kind():    {"■", wait},
}
