package backout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time that is written as text ("90s", "30m", "2d") in
// files, in the API and in the log. Days are 24 hours.
type Duration time.Duration

// ParseDuration reads what [time.ParseDuration] reads, and a leading number of
// days ("2d", "1d12h"). Negative durations are refused: nothing here runs
// backwards.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	var days time.Duration
	if head, tail, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("duration %q: want a number and a unit, such as 90s, 30m, 12h or 2d", s)
		}
		days, text = time.Duration(n)*24*time.Hour, tail
		if text == "" {
			return Duration(days), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("duration %q: want a number and a unit, such as 90s, 30m, 12h or 2d", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("duration %q: must not be negative", s)
	}
	if days+d < 0 {
		return 0, fmt.Errorf("duration %q: longer than can be counted (292 years)", s)
	}
	return Duration(days + d), nil
}

// String writes the shortest form that [ParseDuration] reads back: "30m", not
// "30m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes [Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
