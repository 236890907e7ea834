package strictyaml

import (
	"bytes"
	"reflect"
	"unicode/utf8"
)

// Text is a text that can tell where each of its characters stands in the file,
// for the errors of languages embedded in YAML, such as expressions.
type Text struct {
	Value string
	doc   *Document
	node  *node
}

// Pos is where the text stands: its first character, the opening quote, or the |
// or > of a block.
func (t Text) Pos() Pos {
	if t.doc == nil {
		return Pos{}
	}
	return t.doc.pos(t.node)
}

// String returns the text.
func (t Text) String() string { return t.Value }

func (d *decoder) text(n *node, v reflect.Value, h hint) {
	if n.kind == kindNull {
		d.problem(n, h, "has no value", "give it one, or remove the key")
		return
	}
	if text, ok := d.textOf(n, h); ok {
		v.Set(reflect.ValueOf(Text{text, d.doc, n}))
	}
}

// At returns the place of the character at this offset of Value, counted in
// characters from 0. It sees through quotes, escapes, blocks and folded lines.
// An offset past the end yields the place of the last character.
func (t Text) At(offset int) Pos {
	if t.doc == nil || t.node == nil {
		return Pos{}
	}
	w := t.doc.walk(t.node)
	last := w.at
	for _, r := range t.Value {
		w.match(r)
		last = w.at
		if offset <= 0 {
			break
		}
		offset--
		w.next()
	}
	return t.doc.place(last)
}

// walker follows a text through its source: at stands on the character that the
// current one of the text came from.
type walker struct {
	src     []byte
	at      int
	width   int // bytes of source that the current character takes
	kind    kind
	quote   byte
	indent  int
	folding bool // within white space that holds a line end
}

func (d *Document) walk(n *node) *walker {
	w := &walker{src: d.source, at: d.offset(n.line, n.column), kind: n.kind}
	switch n.kind {
	case kindQuoted:
		if w.at < len(w.src) {
			w.quote = w.src[w.at]
			w.at++
		}
	case kindBlock:
		w.at = nextLine(w.src, w.at)
		w.indent = blockIndent(w.src[w.at:], n.text)
		w.skipIndent()
	default:
	}
	return w
}

// match moves to the source of r and measures it.
func (w *walker) match(r rune) {
	if w.kind == kindBlock {
		w.matchBlock(r)
		return
	}
	if w.folding && !isSpace(r) {
		w.folding = false
		w.skipSpace()
	}
	if w.at >= len(w.src) {
		w.width = 0
		return
	}
	got, size := utf8.DecodeRune(w.src[w.at:])
	w.width = size
	switch {
	case w.quote == '"' && got == '\\':
		w.escape(r)
	case w.quote == '\'' && got == '\'' && r == '\'':
		w.width = 2
	case isSpace(r) && isSpace(got) && w.lineEndsHere():
		// The whole run of white space became this character and perhaps more.
		w.folding, w.width = true, 0
	}
}

// matchBlock knows that folding turns a line end into a space, or drops it.
func (w *walker) matchBlock(r rune) {
	for !isSpace(r) && w.at < len(w.src) && (w.src[w.at] == '\n' || w.src[w.at] == '\r') {
		w.at++
		w.skipIndent()
	}
	w.width = 0
	if w.at >= len(w.src) {
		return
	}
	_, w.width = utf8.DecodeRune(w.src[w.at:])
	if bytes.HasPrefix(w.src[w.at:], []byte("\r\n")) {
		w.width = 2
	}
}

// escape measures an escape of a double-quoted text.
func (w *walker) escape(r rune) {
	w.width = 2
	if w.at+1 >= len(w.src) {
		return
	}
	switch w.src[w.at+1] {
	case 'x':
		w.width = 4
	case 'u':
		w.width = 6
	case 'U':
		w.width = 10
	case '\r', '\n':
		w.at += 2
		w.skipSpace()
		w.match(r)
	}
}

// lineEndsHere tells whether the white space at hand holds a line end.
func (w *walker) lineEndsHere() bool {
	for _, b := range w.src[w.at:] {
		if b == '\n' {
			return true
		}
		if !isSpace(rune(b)) {
			return false
		}
	}
	return false
}

func (w *walker) next() {
	crossed := w.kind == kindBlock && w.width > 0 && w.src[w.at+w.width-1] == '\n'
	w.at = min(w.at+w.width, len(w.src))
	if crossed {
		w.skipIndent()
	}
}

func (w *walker) skipIndent() {
	for i := 0; i < w.indent && w.at < len(w.src) && w.src[w.at] == ' '; i++ {
		w.at++
	}
}

func (w *walker) skipSpace() {
	for w.at < len(w.src) && isSpace(rune(w.src[w.at])) {
		w.at++
	}
}

func isSpace(r rune) bool { return r == ' ' || r == '\n' || r == '\r' || r == '\t' }

func nextLine(src []byte, from int) int {
	if i := bytes.IndexByte(src[from:], '\n'); i >= 0 {
		return from + i + 1
	}
	return len(src)
}

// blockIndent is how many spaces of the first line that is not blank are not
// part of the text.
func blockIndent(src []byte, text string) int {
	for line := range bytes.Lines(src) {
		trimmed := bytes.TrimLeft(line, " ")
		if len(bytes.TrimSpace(trimmed)) == 0 {
			continue
		}
		own := 0
		for l := range bytes.Lines([]byte(text)) {
			if t := bytes.TrimLeft(l, " "); len(bytes.TrimSpace(t)) > 0 {
				own = len(l) - len(t)
				break
			}
		}
		return max(0, len(line)-len(trimmed)-own)
	}
	return 0
}

// offset turns a line and a column into a place in the source.
func (d *Document) offset(line, column int) int {
	d.indexLines()
	if line < 1 || line > len(d.lineStart) {
		return len(d.source)
	}
	at := d.lineStart[line-1]
	for i := 1; i < column && at < len(d.source) && d.source[at] != '\n'; i++ {
		_, size := utf8.DecodeRune(d.source[at:])
		at += size
	}
	return at
}

func (d *Document) place(offset int) Pos {
	d.indexLines()
	offset = min(offset, len(d.source))
	line := len(d.lineStart)
	for line > 1 && d.lineStart[line-1] > offset {
		line--
	}
	start := d.lineStart[line-1]
	return Pos{d.file, line, utf8.RuneCount(d.source[start:offset]) + 1}
}

func (d *Document) indexLines() {
	if d.lineStart != nil {
		return
	}
	d.lineStart = []int{0}
	for i, b := range d.source {
		if b == '\n' {
			d.lineStart = append(d.lineStart, i+1)
		}
	}
}
