package backout

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Sentinels. Callers match them with [errors.Is]; the HTTP status and the exit
// code of each are kept in one table in handlers and in internal/cli.
var (
	// ErrNotFound says that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else moved the thing first; read it again.
	ErrConflict = errors.New("conflict: it changed meanwhile")
	// ErrExists says that a thing of this name exists already.
	ErrExists = errors.New("exists already")
	// ErrRefused says that the state, the gate or the policy does not allow it.
	ErrRefused = errors.New("refused")
	// ErrForbidden says that who asks may not, whatever the state.
	ErrForbidden = errors.New("forbidden")
	// ErrFinal says that the thing has ended and nothing moves it.
	ErrFinal = errors.New("it has ended")
	// ErrStale says that the message belongs to an older attempt or question.
	ErrStale = errors.New("stale: it belongs to something older")
	// ErrPaused says that the pause switch is on.
	ErrPaused = errors.New("paused: no new effects until resumed")
	// ErrUnavailable says that the store does not take writes now.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrInvalid says that the input is wrong; the text says where.
	ErrInvalid = errors.New("invalid")
)

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that trying again cannot cure. Everything else may
// be retried.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent tells whether the error was marked by [Permanent].
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// Problem is one mistake in a file a person wrote.
type Problem struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 means the whole file.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// What says what is wrong, Fix what to do about it.
	What string `json:"what"`
	Fix  string `json:"fix,omitempty"`
	// Warning is set for what works but is likely a mistake.
	Warning bool `json:"warning,omitempty"`
}

// String writes "file:line:column: what (fix)".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.What)
	if p.Fix != "" {
		b.WriteString(": ")
		b.WriteString(p.Fix)
	}
	return b.String()
}

// Problems are all mistakes found in one run over all files.
type Problems []Problem

// Error writes one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sort orders by file, line and column.
func (ps Problems) Sort() {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

// Fatal returns the problems that are not warnings, or nil: the error to stop
// at.
func (ps Problems) Fatal() error {
	var fatal Problems
	for _, p := range ps {
		if !p.Warning {
			fatal = append(fatal, p)
		}
	}
	if len(fatal) == 0 {
		return nil
	}
	return fatal
}

// RefusedError is a gate's no: it wraps [ErrRefused] and carries every reason.
type RefusedError struct{ Violations []Violation }

// Error lists the reasons, one a line.
func (e *RefusedError) Error() string {
	lines := make([]string, 0, len(e.Violations))
	for _, v := range e.Violations {
		line := strings.TrimSpace(strings.Join([]string{v.Target, v.Level, v.Check}, " ")) + ": " + v.Reason
		if v.Fix != "" {
			line += ": " + v.Fix
		}
		lines = append(lines, line)
	}
	return "refused: " + strings.Join(lines, "\n")
}

// Unwrap makes errors.Is(err, ErrRefused) true.
func (e *RefusedError) Unwrap() error { return ErrRefused }
