// Package ui renders pages for people. It is given everything it shows, knows no
// HTTP and changes nothing; html/template keeps every value, however hostile,
// text.
package ui

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

//go:embed status.html
var statusPage string

//go:embed style.css
var style string

// Status is what the status page shows.
type Status struct {
	// Now is the server's clock; the page counts from it.
	Now     time.Time
	Version string
	// NotReady says what is missing; empty means ready.
	NotReady string
	Paused   *Pause
	// Blind is set while nobody would tell that a target is red, Unwatched where
	// nothing would show that.
	Blind     *Blind
	Unwatched bool
	// Changes are the live ones, and those whose window is being opened; MoreChanges
	// how many more there are.
	Changes     []backout.Change
	MoreChanges int
	// Rollbacks are the active ones, in any order.
	Rollbacks []backout.Rollback
	// Holds are what keeps patches from coming back; MoreHolds how many more there
	// are. HoldsUnknown says why they are not known.
	Holds        []backout.Hold
	MoreHolds    int
	HoldsUnknown string
	// Verdicts are what rules said lately, in any order.
	Verdicts []backout.Verdict
}

// Pause is the pause switch when it is on.
type Pause struct {
	By     string
	Reason string
	At     time.Time
}

// Blind is since when monitoring is blind, and when it was last known to see; zero
// when it never was.
type Blind struct {
	Since    time.Time
	LastSeen time.Time
}

// Policy is the Content-Security-Policy of the pages: nothing but their own
// style, no script at all.
func Policy() string { return policy("'none'") }

func policy(forms string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action " + forms + "; frame-ancestors 'none'"
}

// Page writes the status page: rollbacks by what is due first, then changes and
// verdicts, newest first. Nothing is written if it cannot be rendered.
func Page(w io.Writer, s Status) error {
	s.Rollbacks, s.Changes, s.Verdicts = slices.Clone(s.Rollbacks), slices.Clone(s.Changes), slices.Clone(s.Verdicts)
	slices.SortStableFunc(s.Rollbacks, func(a, b backout.Rollback) int { return compareDue(due(&a), due(&b)) })
	slices.SortStableFunc(s.Changes, func(a, b backout.Change) int { return b.OpenedAt.Compare(a.OpenedAt) })
	slices.SortStableFunc(s.Verdicts, func(a, b backout.Verdict) int { return b.At.Compare(a.At) })
	return write(w, "status", statusPage, s.Now, s)
}

// write writes one page, whole or not at all.
func write(w io.Writer, name, text string, now time.Time, data any) error {
	page, err := template.New(name).Funcs(functions(now)).Parse(frame)
	if err == nil {
		page, err = page.Parse(text)
	}
	if err != nil {
		return fmt.Errorf("parse %s page: %w", name, err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		return fmt.Errorf("render %s page: %w", name, err)
	}
	_, err = w.Write(bytes.Map(shown, out.Bytes()))
	return err
}

// shown replaces control characters, which no page of HTML may have, and which move
// the cursor of whoever looks at it in a terminal.
func shown(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
		return utf8.RuneError
	}
	return r
}

func functions(now time.Time) template.FuncMap {
	return template.FuncMap{
		"style":   func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
		"at":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"rel":     func(t time.Time) string { return relative(now, t) },
		"due":     func(r backout.Rollback) time.Time { return due(&r) },
		"level":   func(r backout.Rollback) string { return levelName(&r) },
		"words":   func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
		"back":    func(r backout.Rollback) string { return recovered(&r) },
		"join":    func(list []string) string { return shortList(list) },
		"names":   func(r backout.Rollback) string { return targetNames(&r) },
		"unready": func(c backout.Change) []string { return unready(c.NotReady) },
		"why":     func(r backout.Rollback) string { return why(&r) },
	}
}

// due is when the rollback does something by itself; zero when only people move
// it.
func due(r *backout.Rollback) time.Time {
	var first time.Time
	if r.Status == backout.RollbackHeld || !r.PausedAt.IsZero() {
		return first
	}
	consider := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	consider(r.LevelDeadline)
	if r.Status == backout.RollbackPending {
		consider(r.StartAfter)
	}
	if r.Ask != nil {
		consider(r.Ask.Deadline)
	}
	return first
}

// compareDue puts what needs a person (no deadline) before what is due first.
func compareDue(a, b time.Time) int { return a.Compare(b) }

func levelName(r *backout.Rollback) string {
	of := len(r.Frozen.Plan.Levels)
	if l := r.CurrentLevel(); l != nil {
		return fmt.Sprintf("%s of %d", l.Name, of)
	}
	if l := r.NextLevel(); l != nil {
		return fmt.Sprintf("before %s of %d", l.Name, of)
	}
	return ""
}

func recovered(r *backout.Rollback) string {
	n, drifted := 0, 0
	for _, t := range r.Targets {
		if t.Phase != backout.TargetRecovered {
			continue
		}
		n++
		if t.Drift != nil && t.Drift.Verdict != backout.DriftNone {
			drifted++
		}
	}
	out := fmt.Sprintf("%d of %d", n, len(r.Targets))
	if drifted > 0 {
		out += fmt.Sprintf(", %d drifted", drifted)
	}
	return out
}

// unready says the first few reasons why the way back would not work.
func unready(vs []backout.Violation) []string {
	const most = 5
	var out []string
	for i, v := range vs {
		if i == most {
			return append(out, fmt.Sprintf("and %d more", len(vs)-most))
		}
		out = append(out, strings.Join(strings.Fields(v.Target+" "+v.Level+" "+v.Check), " ")+": "+v.Reason)
	}
	return out
}

func targetNames(r *backout.Rollback) string {
	names := make([]string, len(r.Targets))
	for i, t := range r.Targets {
		names[i] = t.Name
	}
	return shortList(names)
}

func why(r *backout.Rollback) string {
	if r.HeldReason != "" && r.Status == backout.RollbackHeld {
		return r.HeldReason
	}
	return r.Reason
}

// shortList names the first few.
func shortList(list []string) string {
	const most = 8
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

// relative says "in 4m10s" or "12s ago".
func relative(now, t time.Time) string {
	d := t.Sub(now).Round(time.Second)
	switch {
	case d > 0:
		return "in " + backout.Duration(d).String()
	case d < 0:
		return backout.Duration(-d).String() + " ago"
	}
	return "now"
}
