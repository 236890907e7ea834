package alertwire

import "strconv"

// maxDepth bounds nesting in fields nobody reads. Alertmanager nests four deep.
const maxDepth = 100

// reader walks once over a JSON text. Its methods leave pos behind what they
// read, or at the mistake.
type reader struct {
	data  []byte
	pos   int
	depth int
}

func (r *reader) fail(kind Kind, what string) *Error {
	return &Error{Kind: kind, Offset: r.pos, What: what}
}

// unexpected names what stands where something else should.
func (r *reader) unexpected(want string) *Error {
	if r.pos >= len(r.data) {
		return r.fail(Syntax, "the body ends where "+want+" should be")
	}
	return r.fail(Syntax, strconv.QuoteRune(rune(r.data[r.pos]))+" where "+want+" should be")
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// end refuses anything behind the document.
func (r *reader) end() *Error {
	if r.peek(); r.pos < len(r.data) {
		return r.unexpected("the end of the body")
	}
	return nil
}

// null reads a null, if that is what comes.
func (r *reader) null() (bool, *Error) {
	if r.peek() != 'n' {
		return false, nil
	}
	return true, r.word("null")
}

func (r *reader) word(word string) *Error {
	if end := r.pos + len(word); end <= len(r.data) && string(r.data[r.pos:end]) == word {
		r.pos = end
		return nil
	}
	return r.unexpected(word)
}

// object calls field for every key; field must read the value.
func (r *reader) object(field func(key span) *Error) *Error {
	if r.peek() != '{' {
		return r.notA("an object")
	}
	if err := r.enter(); err != nil {
		return err
	}
	if r.peek() == '}' {
		return r.leave()
	}
	for {
		if r.peek() != '"' {
			return r.unexpected("a key in quotes")
		}
		key, err := r.str()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.unexpected("':'")
		}
		r.pos++
		if err := field(key); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			return r.leave()
		default:
			return r.unexpected("',' or '}'")
		}
	}
}

// array calls element for every element; element must read it.
func (r *reader) array(element func(i int) *Error) *Error {
	if r.peek() != '[' {
		return r.notA("an array")
	}
	if err := r.enter(); err != nil {
		return err
	}
	if r.peek() == ']' {
		return r.leave()
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			return r.leave()
		default:
			return r.unexpected("',' or ']'")
		}
	}
}

func (r *reader) enter() *Error {
	if r.depth++; r.depth > maxDepth {
		return r.fail(Syntax, "nested deeper than "+strconv.Itoa(maxDepth))
	}
	r.pos++
	return nil
}

func (r *reader) leave() *Error {
	r.depth--
	r.pos++
	return nil
}

// notA tells a value of another type from no value at all.
func (r *reader) notA(want string) *Error {
	switch c := r.peek(); {
	case c == '"', c == '{', c == '[', c == 't', c == 'f', c == 'n', c == '-', c >= '0' && c <= '9':
		at := r.pos
		if err := r.skip(); err != nil {
			return err
		}
		r.pos = at
		return r.fail(Shape, "must be "+want)
	}
	return r.unexpected(want)
}

// skip reads any value and keeps nothing.
func (r *reader) skip() *Error {
	switch c := r.peek(); {
	case c == '"':
		_, err := r.str()
		return err
	case c == '{':
		return r.object(func(span) *Error { return r.skip() })
	case c == '[':
		return r.array(func(int) *Error { return r.skip() })
	case c == 't':
		return r.word("true")
	case c == 'f':
		return r.word("false")
	case c == 'n':
		return r.word("null")
	case c == '-' || c >= '0' && c <= '9':
		_, err := r.number()
		return err
	}
	return r.unexpected("a value")
}

// number reads a number by the grammar of RFC 8259 and returns its text.
func (r *reader) number() (span, *Error) {
	s := span{start: r.pos}
	if r.data[r.pos] == '-' {
		r.pos++
	}
	switch {
	case r.at('0'):
		r.pos++
	case !r.digits():
		return s, r.unexpected("a digit")
	}
	if r.at('.') {
		r.pos++
		if !r.digits() {
			return s, r.unexpected("a digit")
		}
	}
	if r.at('e') || r.at('E') {
		r.pos++
		if r.at('+') || r.at('-') {
			r.pos++
		}
		if !r.digits() {
			return s, r.unexpected("a digit")
		}
	}
	s.end = r.pos
	return s, nil
}

func (r *reader) at(c byte) bool { return r.pos < len(r.data) && r.data[r.pos] == c }

func (r *reader) digits() bool {
	start := r.pos
	for r.pos < len(r.data) && r.data[r.pos] >= '0' && r.data[r.pos] <= '9' {
		r.pos++
	}
	return r.pos > start
}
