package ui

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/told"
)

// Happened is one record of a log, as a timeline shows it.
type Happened struct {
	At time.Time
	// Of is changes or rollbacks, ID whose log it is, and Seq the record's place in it.
	Of, ID string
	Seq    uint64
	Lines  []Line
}

// Line is one event in words.
type Line struct {
	// State is a word of the looks, whose sign stands before it; empty for none.
	State string
	Words told.Sentence
}

// HappenedIn says the record of the log of that id; of is changes or rollbacks. plan is
// the rollback's; nil where it is not known.
func HappenedIn(of, id string, seq uint64, rec backout.Record, plan *backout.Plan) Happened {
	h := Happened{At: rec.At, Of: of, ID: id, Seq: seq, Lines: make([]Line, len(rec.Events))}
	for i, e := range rec.Events {
		h.Lines[i] = Line{State: stateOf(e), Words: told.Event(e, plan)}
	}
	return h
}

// stateOf is the state that an event stands for; empty for none.
func stateOf(e backout.Event) string {
	switch e := e.(type) {
	case backout.GateRefused, backout.BaselineFailed:
		return "gate_refused"
	case backout.GatePassed:
		return "gate_passed"
	case backout.ReadinessChanged:
		if len(e.Violations) > 0 {
			return "gate_broken"
		}
		return "gate_holds"
	case backout.WindowOpened:
		return string(backout.ChangeOpen)
	case backout.WatchStarted:
		return string(backout.ChangeWatching)
	case backout.PatchEnded:
		return badUnless(e.ExitCode == 0)
	case backout.TargetsPatched:
		return badUnless(e.ExitCode == 0)
	case backout.RollbackRequested, backout.Opened:
		return string(backout.ChangeBackingOut)
	case backout.RollbackEnded:
		return string(e.Status)
	case backout.ChangeEnded:
		return string(e.State)
	}
	return stateOfRollback(e)
}

func stateOfRollback(e backout.Event) string {
	switch e := e.(type) {
	case backout.LevelEntered:
		return string(backout.RollbackRunning)
	case backout.VerifyStarted:
		return string(backout.RollbackVerifying)
	case backout.StepFailed, backout.LevelFailed:
		return string(backout.TargetFailed)
	case backout.StepInDoubt:
		return string(backout.TargetInDoubt)
	case backout.TargetGreen, backout.TargetBack:
		return "green"
	case backout.TargetRed, backout.EvidenceAdded:
		return "red"
	case backout.Asked:
		return string(backout.RollbackAwaiting)
	case backout.HeldBack:
		return string(backout.RollbackHeld)
	case backout.Paused:
		return "paused"
	case backout.Ended:
		return string(e.Status)
	}
	return ""
}

func badUnless(well bool) string {
	if well {
		return ""
	}
	return "no"
}

// Sign shows only the sign of a state, in its tone, for what says it in words itself.
func (v *view) Sign(state string) template.HTML {
	l := look{"·", "", quiet}
	if state != "" {
		l = lookOf(state)
	}
	return template.HTML(`<span class="sign text-` + l.tone + `" aria-hidden="true">` + l.sign + `</span>`) //nolint:gosec // our own words
}

// Hash is a digest as people compare it.
func (v *view) Hash(digest string) string {
	const most = 12
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(len(digest), most)]
}

// Word is what a state is called, for what stands among other words.
func (v *view) Word(state any) string { return Word(state) }

// Few names the first three.
func (v *view) Few(list []string) string {
	const most = 3
	if len(list) > most {
		return strings.Join(list[:most], ", ") + " and " + strconv.Itoa(len(list)-most) + " more"
	}
	return strings.Join(list, ", ")
}
