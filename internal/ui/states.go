package ui

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/backout-io/backout"
)

// look is how a state is shown: always a sign, a word and a tone, so that none of them
// has to be seen to understand it.
type look struct{ sign, word, tone string }

// The tones: bad needs somebody, wait goes on by itself, good is over and well, quiet is
// of no concern now.
const (
	bad   = "bad"
	wait  = "wait"
	good  = "good"
	quiet = "quiet"
)

// looks are how the states are shown, by the words that the log has for them.
var looks = map[string]look{
	string(backout.RollbackPending):   {"◔", "about to start", wait},
	string(backout.RollbackRunning):   {"▶", "rolling back", wait},
	string(backout.RollbackVerifying): {"◉", "watching the checks", wait},
	string(backout.RollbackAwaiting):  {"?", "waits for a decision", bad},
	string(backout.RollbackHeld):      {"✋", "held", bad},
	string(backout.RollbackAborting):  {"■", "ending", wait},
	string(backout.RollbackRecovered): {"✔", "recovered", good},
	string(backout.RollbackExhausted): {"✖", "exhausted", bad},
	string(backout.RollbackAborted):   {"■", "aborted", quiet},
	string(backout.RollbackCancelled): {"✔", "cancelled", good},

	string(backout.TargetWaiting): {"·", "waiting", quiet},
	string(backout.TargetInDoubt): {"?", "in doubt", bad},
	string(backout.TargetDone):    {"◉", "steps done", wait},
	string(backout.TargetFailed):  {"✖", "failed", bad},

	string(backout.ChangePlanned):       {"·", "planned", quiet},
	string(backout.ChangeReady):         {"✔", "ready", good},
	string(backout.ChangeOpen):          {"▶", "window open", wait},
	string(backout.ChangeWatching):      {"◉", "watching", wait},
	string(backout.ChangeBackingOut):    {"↶", "backing out", bad},
	string(backout.ChangeBackedOut):     {"↶", "backed out", good},
	string(backout.ChangeBackoutFailed): {"✖", "backout failed", bad},
	string(backout.ChangeClosed):        {"✔", "closed", quiet},

	string(backout.DriftNone):    {"✔", "back to baseline", good},
	string(backout.DriftSome):    {"≈", "healthy but drifted", wait},
	string(backout.DriftNotBack): {"✖", "not back", bad},

	string(backout.ModeShadow): {"○", "shadow", quiet},
	string(backout.ModeAsk):    {"?", "ask", wait},
	string(backout.ModeAuto):   {"▶", "auto", good},

	"well": {"✔", "well", good}, "doubtful": {"!", "doubtful", wait}, "broken": {"✖", "broken", bad},
	"delivered": {"✔", "delivered", good}, "given_up": {"✖", "given up", bad}, "sending": {"◔", "waiting", wait},
	"red": {"✖", "red", bad}, "green": {"✔", "green", good}, "paused": {"⏸", "paused", wait},
	"yes": {"✔", "yes", good}, "no": {"✖", "no", bad},
	"right": {"✔", "right", good}, "wrong": {"✖", "wrong", bad},
	"gate_passed": {"✔", "passed", good}, "gate_refused": {"✖", "refused", bad}, "gate_stale": {"!", "stale", wait}, "gate_never": {"?", "never asked", quiet},
	"gate_broken": {"✖", "the way back would not work", bad}, "gate_holds": {"✔", "the way back would work", good}, "gate_used": {"↶", "the way back is in use", wait}, "gate_asking": {"◔", "being asked", wait},
	"step_next": {"·", "not yet", quiet}, "step_asked": {"◔", "waits for a runner", wait}, "step_running": {"▶", "running", wait}, "step_stopping": {"■", "stopping", wait},
	"step_done": {"✔", "done", good}, "step_failed": {"✖", "failed", bad}, "step_in_doubt": {"?", "in doubt", bad}, "step_none": {"·", "not run", quiet},
	"resolved": {"✔", "resolved", good}, "missed": {"!", "missed", wait}, "same": {"=", "no difference", good},
	"outcome_agreed": {"✔", "agreed", good}, "outcome_disagreed": {"✖", "disagreed", bad}, "outcome_open": {"·", "nobody can tell yet", quiet},
	"outcome_moot": {"·", "does not count", quiet},
	"level_next":   {"·", "not reached", quiet}, "level_asked": {"?", "asked for", bad}, "level_failed": {"✖", "did not help", bad},
	"level_skipped": {"·", "left out", quiet}, "level_helped": {"✔", "recovered", good},
	"active": {"✔", "active", good}, "expired": {"·", "expired", quiet}, "revoked": {"■", "revoked", quiet}, "ended": {"·", "ended", quiet},
	"added": {"+", "added", wait}, "removed": {"−", "removed", bad}, "changed": {"≠", "changed", wait},
}

func lookOf(state any) look {
	key := fmt.Sprint(state)
	if l, ok := looks[key]; ok {
		return l
	}
	return look{"·", strings.ReplaceAll(key, "_", " "), quiet}
}

// State shows a state: sign, word and tone.
func (v *view) State(state any) template.HTML { return lookOf(state).html() }

// Muted shows a state that is of no concern.
func (v *view) Muted(state any) template.HTML {
	l := lookOf(state)
	l.tone = quiet
	return l.html()
}

func (l look) html() template.HTML {
	return template.HTML(`<span class="state ` + l.tone + `"><span class="sign" aria-hidden="true">` + l.sign + `</span> ` + template.HTMLEscapeString(l.word) + `</span>`) //nolint:gosec // our own words, or escaped
}

// Tone is the tone of a state, for the edge of what is in it.
func (v *view) Tone(state any) string { return lookOf(state).tone }

// Look is how a state is shown, for what writes it itself: a table of many.
type Look struct{ Sign, Word, Tone string }

// Look returns how a state is shown.
func (v *view) Look(state any) Look {
	l := lookOf(state)
	return Look{l.sign, l.word, l.tone}
}

// Word is what a state is called, and ToneOf its tone: bad, wait, good or quiet.
func Word(state any) string { return lookOf(state).word }

// ToneOf is the tone of a state.
func ToneOf(state any) string { return lookOf(state).tone }
