package view

import (
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Style is what the reader's end can show. The zero value is a pipe: no colour,
// no width, plain ASCII signs.
type Style struct {
	// Width and Height are the terminal's columns and rows; 0 means no end.
	Width  int
	Height int
	// Colour allows ANSI colours, Unicode signs beyond ASCII.
	Colour  bool
	Unicode bool
	// Zone is the time zone of absolute times; nil means UTC.
	Zone *time.Location
}

// tone is a meaning that has a colour.
type tone string

const (
	toneNone tone = ""
	toneGood tone = "32"
	toneBad  tone = "31"
	toneWarn tone = "33"
	toneBusy tone = "36"
	toneDim  tone = "2"
	toneBold tone = "1"
)

func (s Style) paint(t tone, str string) string {
	if !s.Colour || t == toneNone || str == "" {
		return str
	}
	return "\x1b[" + string(t) + "m" + str + "\x1b[0m"
}

// sign is how a state looks: always a word and an icon, in colour where there is
// colour.
type sign struct {
	icon, ascii, word string
	tone              tone
}

// cut is [Cut] with a mark the terminal can show.
func (s Style) cut(value string, limit int) string {
	if s.Unicode {
		return Cut(value, limit)
	}
	return cut(value, limit, "~")
}

// show is icon and word.
func (s Style) show(g sign) string {
	icon := g.ascii
	if s.Unicode {
		icon = g.icon
	}
	return s.paint(g.tone, icon+" "+g.word)
}

func rollbackSign(status backout.RollbackStatus) sign {
	switch status {
	case backout.RollbackPending:
		return sign{"○", "o", "pending", toneDim}
	case backout.RollbackRunning:
		return sign{"▶", ">", "running", toneBusy}
	case backout.RollbackVerifying:
		return sign{"◎", "?", "verifying", toneBusy}
	case backout.RollbackAwaiting:
		return sign{"✋", "!", "awaiting approval", toneWarn}
	case backout.RollbackHeld:
		return sign{"■", "#", "held", toneWarn}
	case backout.RollbackAborting:
		return sign{"■", "#", "aborting", toneWarn}
	case backout.RollbackRecovered:
		return sign{"✓", "+", "recovered", toneGood}
	case backout.RollbackExhausted:
		return sign{"✗", "x", "exhausted", toneBad}
	case backout.RollbackAborted:
		return sign{"✗", "x", "aborted", toneBad}
	case backout.RollbackCancelled:
		return sign{"-", "-", "cancelled", toneDim}
	}
	return sign{"?", "?", text(string(status)), toneWarn}
}

func changeSign(state backout.ChangeState) sign {
	switch state {
	case backout.ChangePlanned:
		return sign{"○", "o", "planned", toneDim}
	case backout.ChangeReady:
		return sign{"●", "*", "ready", toneNone}
	case backout.ChangeOpen:
		return sign{"▶", ">", "open", toneBusy}
	case backout.ChangeWatching:
		return sign{"◎", "?", "watching", toneBusy}
	case backout.ChangeBackingOut:
		return sign{"◀", "<", "backing out", toneWarn}
	case backout.ChangeBackedOut:
		return sign{"✓", "+", "backed out", toneGood}
	case backout.ChangeBackoutFailed:
		return sign{"✗", "x", "backout failed", toneBad}
	case backout.ChangeClosed:
		return sign{"✓", "+", "closed", toneGood}
	case backout.ChangeCancelled:
		return sign{"-", "-", "cancelled", toneDim}
	}
	return sign{"?", "?", text(string(state)), toneWarn}
}

func phaseSign(phase backout.TargetPhase) sign {
	switch phase {
	case backout.TargetWaiting:
		return sign{"·", ".", "waiting", toneDim}
	case backout.TargetRunning:
		return sign{"▶", ">", "running", toneBusy}
	case backout.TargetInDoubt:
		return sign{"?", "?", "in doubt", toneWarn}
	case backout.TargetDone:
		return sign{"◎", "?", "verifying", toneBusy}
	case backout.TargetFailed:
		return sign{"✗", "x", "failed", toneBad}
	case backout.TargetRecovered:
		return sign{"✓", "+", "recovered", toneGood}
	}
	return sign{"?", "?", text(string(phase)), toneWarn}
}

// clock writes a length of time as a clock shows it: 04:12, 1:02:03, 2d 01:00:00.
func clock(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	total := int(d.Round(time.Second) / time.Second)
	days, rest := total/86400, total%86400
	h, m, sec := rest/3600, rest/60%60, rest%60
	two := func(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }
	switch {
	case days > 0:
		return strconv.Itoa(days) + "d " + two(h) + ":" + two(m) + ":" + two(sec)
	case h > 0:
		return strconv.Itoa(h) + ":" + two(m) + ":" + two(sec)
	default:
		return two(m) + ":" + two(sec)
	}
}

// left is the time until a deadline, in words that fit a sentence.
func left(deadline, now time.Time) string {
	if !deadline.After(now) {
		return "now"
	}
	return "in " + clock(deadline.Sub(now))
}

// relative says when something was or will be, roughly.
func relative(at, now time.Time) string {
	d := at.Sub(now)
	past := d < 0
	d = d.Abs()
	var rough string
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		rough = strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		rough = strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		rough = strconv.Itoa(int(d/time.Hour)) + "h"
	default:
		rough = strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	if past {
		return rough + " ago"
	}
	return "in " + rough
}

// at writes an absolute time with its zone.
func (s Style) at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// when is the absolute and the relative time.
func (s Style) when(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return s.at(t) + " (" + relative(t, now) + ")"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// orDash keeps empty cells visible.
func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}
