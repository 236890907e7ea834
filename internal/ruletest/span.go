package ruletest

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// longest is how long a test may take in its own time.
const longest = 366 * 24 * time.Hour

// span is a stretch of time since the start: from on, to excluded. One that is
// open has no end.
type span struct {
	from, to time.Duration
	open     bool
}

// UnmarshalText reads "10m-40m", and "50m-" for a span that is open.
func (s *span) UnmarshalText(raw []byte) error {
	head, tail, ok := strings.Cut(string(raw), "-")
	if !ok {
		return fmt.Errorf("%.60q is no stretch of time: write 10m-40m, or 10m- when it does not end", raw)
	}
	from, err := backout.ParseDuration(head)
	if err != nil {
		return err
	}
	s.from = time.Duration(from)
	if s.open = strings.TrimSpace(tail) == ""; s.open {
		return nil
	}
	to, err := backout.ParseDuration(tail)
	if err != nil {
		return err
	}
	if s.to = time.Duration(to); s.to <= s.from {
		return fmt.Errorf("%.60q goes backwards: the end must be after the beginning", raw)
	}
	return nil
}

func (s span) holds(at time.Duration) bool { return at >= s.from && (s.open || at < s.to) }

// last is the last moment that the span names.
func (s span) last() time.Duration { return max(s.from, s.to) }
