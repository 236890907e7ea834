package told

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Sentence says what happened, in its order.
type Sentence []Part

// Part is either words or a moment.
type Part struct {
	Text string
	// At is zero for words.
	At time.Time
}

// String is the sentence with its moments as stamp writes them.
func (s Sentence) String(stamp func(time.Time) string) string {
	var b strings.Builder
	for _, p := range s {
		if p.At.IsZero() {
			b.WriteString(p.Text)
		} else {
			b.WriteString(stamp(p.At))
		}
	}
	return b.String()
}

// longest is how much of a value from outside is told, in characters.
const longest = 240

// value is a text from outside, never so long that it hides the rest.
func value[T ~string](v T) string {
	text := string(v)
	if utf8.RuneCountInString(text) <= longest {
		return text
	}
	cut := 0
	for i := range text {
		if cut++; cut == longest {
			return text[:i] + "…"
		}
	}
	return text
}

// named is how many things a sentence names before it counts.
const named = 8

// names lists values from outside; what is left out is counted.
func names(list []string, most int) string {
	shown := list
	if most > 0 && len(list) > most {
		shown = list[:most]
	}
	out := make([]string, len(shown))
	for i, s := range shown {
		out[i] = value(s)
	}
	text := strings.Join(out, ", ")
	if left := len(list) - len(shown); left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

// count says "1 target" and "3 targets".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// spaced is a word of the log as people write it.
func spaced[T ~string](word T) string { return strings.ReplaceAll(value(word), "_", " ") }

func say(format string, args ...any) Sentence { return Sentence{{Text: fmt.Sprintf(format, args...)}} }

func (s Sentence) and(words string) Sentence {
	if words == "" {
		return s
	}
	return append(s, Part{Text: words})
}

// at adds a moment behind words; neither when there is none.
func (s Sentence) at(words string, t time.Time) Sentence {
	if t.IsZero() {
		return s
	}
	return append(s, Part{Text: words}, Part{At: t})
}

func (s Sentence) until(t time.Time) Sentence { return s.at(", until ", t) }

func (s Sentence) because(reason string) Sentence {
	if reason == "" {
		return s
	}
	return s.and(": " + value(reason))
}

func (s Sentence) by(who string) Sentence {
	if who == "" {
		return s
	}
	return s.and(" by " + value(who))
}

func (s Sentence) via(channel string) Sentence {
	if channel == "" {
		return s
	}
	return s.and(" via " + value(channel))
}
