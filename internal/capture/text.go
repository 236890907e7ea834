package capture

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quote makes any text of a target fit to be read by people: what is not plain is
// quoted as Go does.
func quote(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return plain(s)
}

// plain returns s as it is unless it has control characters, is not UTF-8, or looks
// like something quoted: no two texts become the same.
func plain(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, control) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.Quote(s)
}

// word tells whether s is one or more of the characters which names and versions
// of packages and units are made of.
func word(s string) bool {
	if s == "" || len(s) > 512 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte(`+-._~^:@\()`, c) >= 0:
		default:
			return false
		}
	}
	return true
}

// pair cuts "name value".
func pair(line string) (name, value string) {
	name, value, _ = strings.Cut(line, " ")
	return name, strings.TrimSpace(value)
}
