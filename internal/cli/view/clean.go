package view

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Clean makes text from outside safe for one place in one line of a terminal:
// line breaks and tabs become a space, every other character that can move the
// cursor, change colours or reorder text (control, format, bidirectional) is
// dropped, and broken UTF-8 becomes U+FFFD. What remains of an escape sequence
// stays readable, so that an attempt can be seen.
func Clean(s string) string { return clean(s, false) }

// CleanLines is [Clean] for text of several lines: line feeds and tabs stay.
func CleanLines(s string) string { return clean(s, true) }

func clean(s string, lines bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			if !lines {
				r = ' '
			}
			b.WriteRune(r)
		case r == '\r' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			if !lines || r != '\r' {
				b.WriteByte(' ')
			}
		case !Unsafe(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain is the common case: printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Unsafe tells whether the character can do more to a terminal than show itself.
// Private use and unassigned characters count: nobody knows what a font or a
// multiplexer makes of them.
func Unsafe(r rune) bool {
	if r < 0x7f {
		return r < ' '
	}
	return r != utf8.RuneError && !unicode.IsGraphic(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// Columns is how wide the cleaned text is on a terminal.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += columns(r)
	}
	return n
}

func columns(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// Cut shortens the cleaned text to at most limit columns, with an ellipsis when
// something is missing. A limit below 1 leaves it whole.
func Cut(s string, limit int) string { return cut(s, limit, "…") }

func cut(s string, limit int, mark string) string {
	if limit < 1 || Columns(s) <= limit {
		return s
	}
	used := 0
	for i, r := range s {
		used += columns(r)
		if used > limit-1 {
			return s[:i] + mark
		}
	}
	return s
}

// text is what a value from outside becomes in a sentence: clean, and never so
// long that it hides the rest.
func text(s string) string { return Cut(Clean(s), 240) }

// names lists values from outside, at most limit of them; what is left out is
// counted.
func names(list []string, limit int) string {
	shown := list
	if limit > 0 && len(list) > limit {
		shown = list[:limit]
	}
	clean := make([]string, len(shown))
	for i, s := range shown {
		clean[i] = text(s)
	}
	out := strings.Join(clean, ", ")
	if left := len(list) - len(shown); left > 0 {
		out += " and " + count(left, "more", "more")
	}
	return out
}
