package runner

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

const hidden = "[redacted]"

// shortest is how long a known value must be to be looked for: hiding "on"
// everywhere would hide the output.
const shortest = 6

// pattern finds what looks like a secret whoever wrote it. It is tried on lines
// that hold one of its hints, in lower case: most lines hold none.
type pattern struct {
	hints   []string
	find    *regexp.Regexp
	replace string
}

var patterns = []pattern{
	{
		[]string{"pass", "secret", "token", "key", "credential"},
		regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s"',;&]+)`),
		"${1}" + hidden,
	},
	{
		[]string{"authorization"},
		regexp.MustCompile(`(?i)(authorization["']?\s*[=:]\s*["']?(?:bearer|basic|token)\s+)[^\s"']+`),
		"${1}" + hidden,
	},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}`), "${1}" + hidden},
	{[]string{"://"}, regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@`), "${1}" + hidden + "@"},
	{
		[]string{"akia", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "xox", "eyj"},
		regexp.MustCompile(`\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)`),
		hidden,
	},
}

var (
	pemBegin = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----`)
	pemEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY-----`)
)

// redactor hides secrets line by line: values that are known, and what looks
// like one. A value of several lines is hidden by its lines.
type redactor struct {
	known [][]byte
	inKey bool
}

func newRedactor(values []string) *redactor {
	r := &redactor{}
	for _, v := range values {
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); len(line) >= shortest {
				r.known = append(r.known, []byte(line))
			}
		}
	}
	// The longest first, so that a value within another leaves nothing over.
	slices.SortFunc(r.known, func(a, b []byte) int { return len(b) - len(a) })
	return r
}

// line returns the text, one line or a piece of a long one, without secrets.
func (r *redactor) line(text []byte) []byte {
	if r.inKey {
		if pemEnd.Match(text) {
			r.inKey = false
		}
		return nil
	}
	if at := pemBegin.FindIndex(text); at != nil {
		r.inKey = !pemEnd.Match(text[at[1]:])
		return slices.Concat(r.hide(text[:at[0]]), []byte(hidden+"\n"))
	}
	return r.hide(text)
}

// hide returns the text without known values and what looks like a secret.
func (r *redactor) hide(text []byte) []byte {
	for _, v := range r.known {
		text = bytes.ReplaceAll(text, v, []byte(hidden))
	}
	lower := string(bytes.ToLower(text))
	for _, p := range patterns {
		if slices.ContainsFunc(p.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			text = p.find.ReplaceAll(text, []byte(p.replace))
		}
	}
	return text
}

// cut returns where a piece of a line that is too long may end without
// splitting a known value: before at.
func (r *redactor) cut(text []byte, at int) int {
	for _, v := range r.known {
		from := max(0, at-len(v)+1)
		if i := bytes.Index(text[from:min(len(text), at+len(v))], v); i >= 0 && from+i < at && from+i+len(v) > at {
			at = from + i
		}
	}
	return at
}
