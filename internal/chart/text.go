package chart

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// longest is how much of a text is kept, in characters.
	longest = 200
	// marksKept is how many marks may stand on one letter, so that no name grows into
	// the rows above and below it.
	marksKept = 2
	// textSize and smallSize are the sizes of text, in units of the picture; the style
	// has them too.
	textSize  = 12.0
	smallSize = 11.0
)

// tidy makes a text from outside fit to be seen: one line, at most longest characters,
// and nothing that is not seen or moves what is. It is empty when there is nothing to
// see in it.
func tidy(text string) string {
	var b strings.Builder
	kept, marks, seen := 0, 0, false
	for _, r := range text {
		r = visible(r)
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > marksKept {
				continue
			}
		case r == ' ' && (b.Len() == 0 || strings.HasSuffix(b.String(), " ")):
			continue
		default:
			marks = 0
			seen = seen || r != ' ' && !unicode.Is(unicode.Join_Control, r)
		}
		if kept++; kept == longest {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	if !seen {
		return ""
	}
	return strings.TrimRight(b.String(), " ")
}

// visible is the character that stands for one: a space for whatever moves to another
// place, U+FFFD for what cannot be seen, turns the reading direction or is none.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Join_Control, r), unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point):
		return utf8.RuneError
	}
	return r
}

// nameOr is the name as it is shown, or what stands for one that is empty.
func nameOr(name, or string) string {
	if name = tidy(name); name != "" {
		return name
	}
	return or
}

// wide estimates how wide a text of this size is. It takes the widest of the fonts
// that browsers have for system-ui, so that text fits in all of them.
func wide(text string, size float64) float64 {
	em := 0.0
	for _, r := range text {
		em += runeWidth(r)
	}
	return em * size
}

func runeWidth(r rune) float64 {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Join_Control):
		return 0
	case strings.ContainsRune("ijl|'.,:; ·", r):
		return 0.34
	case strings.ContainsRune("Irtf!()[]-/\\", r):
		return 0.43
	case strings.ContainsRune("csvxyzk\"`*", r):
		return 0.6
	case strings.ContainsRune("mwMW%@…", r):
		return 1
	case strings.ContainsRune("+<>=~^#&", r):
		return 0.84
	case r < 0x80 && unicode.IsUpper(r):
		return 0.79
	case r < 0x80 || r >= 0xc0 && r < 0x250 && unicode.IsLower(r):
		return 0.64
	case r >= 0x250 && r < 0x530 && unicode.IsLower(r), r >= 0x590 && r < 0x700:
		return 0.68
	case r >= 0x1f000:
		return 1.4
	case r >= 0x1100:
		return 1.1
	}
	return 0.92
}

// guessed tells that a text has letters of which fonts differ too much to know how wide
// it is.
func guessed(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= 0x250 && r != '…' }) >= 0
}

// hair is what sums of widths may be wrong by.
const hair = 0.01

// clip shortens a text to a width, with an ellipsis at its end.
func clip(text string, width, size float64) string {
	if wide(text, size) <= width+hair {
		return text
	}
	head, _ := cut(text, width-wide("…", size), size)
	if head == "" {
		return ""
	}
	return head + "…"
}

// clipMiddle shortens a name to a width and keeps both of its ends, since names of
// hosts differ in either.
func clipMiddle(name string, width, size float64) string {
	if wide(name, size) <= width+hair {
		return name
	}
	room := width - wide("…", size)
	head, rest := cut(name, room*0.6, size)
	runes := []rune(rest)
	tail, used := len(runes), wide(head, size)
	for tail > 0 {
		w := wide(string(runes[tail-1]), size)
		if used+w > room {
			break
		}
		used += w
		tail--
	}
	for tail < len(runes) && unicode.In(runes[tail], unicode.Mn, unicode.Me, unicode.Join_Control) {
		tail++
	}
	if head == "" {
		return ""
	}
	return head + "…" + string(runes[tail:])
}

// cut splits a text after what is at most so wide.
func cut(text string, width, size float64) (head, rest string) {
	used := 0.0
	for i, r := range text {
		if used += runeWidth(r) * size; used > width {
			return strings.TrimRight(text[:i], " "), text[i:]
		}
	}
	return text, ""
}
