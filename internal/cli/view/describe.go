package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/told"
)

// Line is one event in one line, for pipes and logs: time, whose, what, and the
// words. It never holds a line break.
func Line(entry handlers.LogEntry, i int) string {
	e := entry.Record.Events[i]
	return fmt.Sprintf("%s  %s  %-17s %s\n", entry.Record.At.UTC().Format(time.RFC3339), text(entry.ID), e.Kind(), Describe(e))
}

// Lines are the lines of every event of the entries.
func Lines(entries []handlers.LogEntry) string {
	var b strings.Builder
	for _, entry := range entries {
		for i := range entry.Record.Events {
			b.WriteString(Line(entry, i))
		}
	}
	return b.String()
}

// Describe says in one line what happened.
func Describe(e backout.Event) string { return Clean(told.Event(e, nil).String(stamp)) }

// LevelName is what people call the level of an index.
func LevelName(level int) string { return told.LevelName(level) }

func holds(packages []string) string {
	if len(packages) == 0 {
		return ""
	}
	return ", holds " + names(packages, 8)
}

// Wanted says in words what an approval policy asks of people.
func Wanted(p backout.Approval) string { return Clean(told.Wanted(p)) }

func trigger(t backout.Trigger) string {
	switch {
	case t.Verdict != nil:
		out := "rule " + t.Verdict.Rule + " on " + t.Verdict.AlertName
		if t.Verdict.Promoted != "" {
			out += ", " + t.Verdict.Promoted
		}
		return out
	case t.By != "":
		return "started by " + t.By + because(t.Reason)
	}
	return t.Reason
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + text(reason)
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + text(who)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shortHash is enough of a plan's hash to tell two apart by eye.
func shortHash(hash string) string {
	h := strings.TrimPrefix(Clean(hash), "sha256:")
	if len(h) > 12 {
		h = h[:12]
	}
	return orDash(h)
}
