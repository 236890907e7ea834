package slack

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// names lists a few names, escaped, and says how many more there are.
func names(list []string, most int) string {
	var out []string
	for i, name := range list {
		if i == most {
			out = append(out, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		out = append(out, escapedClip(name, 100))
	}
	return strings.Join(out, ", ")
}

func shortHash(hash string) string {
	_, digits, ok := strings.Cut(hash, ":")
	if !ok {
		digits = hash
	}
	return clipTo(digits, 7)
}

// clip cuts a text to so many characters, the last of them an ellipsis, and keeps it
// on one line.
func clip(text string, most int) string {
	text = clipTo(text, 8*most) // more is not looked at, however long it is
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "�")), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return clipTo(text, most-1) + "…"
}

func clipTo(text string, most int) string {
	for i := range text {
		if most == 0 {
			return text[:i]
		}
		most--
	}
	return text
}

// escapedClip makes a value harmless and cuts it so that what is written has at most
// so many characters; an escape sequence stays whole.
func escapedClip(text string, most int) string {
	text = clip(text, most)
	escaped := Escape(text)
	for utf8.RuneCountInString(escaped) > most {
		text = clipTo(text, utf8.RuneCountInString(text)-2) + "…"
		escaped = Escape(text)
	}
	return escaped
}
