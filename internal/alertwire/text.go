package alertwire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// span is a string of the body that has been read and not yet copied: the bytes
// between its quotes.
type span struct {
	start, end int
	// escaped and wide say whether it has a backslash, or a byte over 0x7f.
	escaped, wide bool
}

// special marks the bytes at which reading a string must look closer.
var special = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf
	}
	return t
}()

// str reads a string whose opening quote is next.
func (r *reader) str() (span, *Error) {
	s := span{start: r.pos + 1}
	for i := s.start; i < len(r.data); i++ {
		c := r.data[i]
		if !special[c] {
			continue
		}
		switch {
		case c == '"':
			s.end, r.pos = i, i+1
			return s, nil
		case c == '\\':
			s.escaped = true
			n := escapeLen(r.data[i:])
			if n == 0 {
				r.pos = i
				return s, r.fail(Syntax, "not an escape that JSON knows")
			}
			i += n - 1
		case c < 0x20:
			r.pos = i
			return s, r.fail(Syntax, "control character 0x"+strconv.FormatUint(uint64(c), 16)+" in a string")
		default:
			s.wide = true
		}
	}
	r.pos = len(r.data)
	return s, r.unexpected("the end of a string")
}

// escapeLen is the length of the escape at the start of b, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !isHex(c) {
				return 0
			}
		}
		return 6
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// source is a stretch of the body as one string; spans become parts of it.
type source struct {
	text string
	base int
}

// value is the text of the span: a part of the source where that will do.
func (s source) value(at span) string {
	if at.start == at.end {
		return ""
	}
	raw := s.text[at.start-s.base : at.end-s.base]
	if at.escaped {
		raw = unescape(raw)
	} else if !at.wide {
		return raw
	}
	if utf8.ValidString(raw) {
		return raw
	}
	// One U+FFFD a byte, as encoding/json does it.
	return string([]rune(raw))
}

// unescape resolves the escapes of a string that [reader.str] has accepted.
func unescape(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for {
		i := strings.IndexByte(raw, '\\')
		if i < 0 {
			b.WriteString(raw)
			return b.String()
		}
		b.WriteString(raw[:i])
		raw = raw[i:]
		if raw[1] != 'u' {
			b.WriteByte(plainEscape(raw[1]))
			raw = raw[2:]
			continue
		}
		r, n := unicodeEscape(raw)
		b.WriteRune(r)
		raw = raw[n:]
	}
}

func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// unicodeEscape reads the \uXXXX at the start of raw, and a second one if both
// make a pair; a lone half is U+FFFD.
func unicodeEscape(raw string) (r rune, n int) {
	r = hex4(raw[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(raw[8:12])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(s string) (r rune) {
	for i := range 4 {
		c := rune(s[i])
		switch {
		case c <= '9':
			c -= '0'
		case c <= 'F':
			c -= 'A' - 10
		default:
			c -= 'a' - 10
		}
		r = r<<4 | c
	}
	return r
}
