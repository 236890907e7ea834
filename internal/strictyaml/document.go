package strictyaml

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/backout-io/backout"
)

// Document is one parsed file. It is not safe for concurrent use.
type Document struct {
	file      string
	source    []byte
	lineStart []int            // byte offset of each line of source; made when first needed
	root      *node            // nil for an empty document
	early     backout.Problems // found before decoding
	secrets   []SecretUse
	aliasCost int
}

// SecretUse is a secret named in a file.
type SecretUse struct {
	Ref backout.SecretRef
	Pos Pos
}

// Decode reads the document into what into points to; see the function [Decode].
func (d *Document) Decode(into any) backout.Problems {
	problems := append(d.early[:len(d.early):len(d.early)], d.Root().decode(into)...)
	problems.Sort()
	return problems
}

// Root is the whole document as a section.
func (d *Document) Root() Section { return Section{doc: d, node: d.root} }

// At returns where the value at this path stands; see [Section.At].
func (d *Document) At(path ...any) Pos { return d.Root().At(path...) }

// Secrets lists the secrets met so far in decoding the document and its
// sections, in that order.
func (d *Document) Secrets() []SecretUse { return d.secrets }

func (d *Document) pos(n *node) Pos { return Pos{File: d.file, Line: n.line, Column: n.column} }

// Section is a part of a file that is decoded later, when its type is known. The
// zero value is a section that the file does not have.
type Section struct {
	doc  *Document
	node *node
	omit []string
}

// IsZero tells that the file does not have the section, or has it empty.
func (s Section) IsZero() bool {
	return s.node == nil || s.node.deref().kind == kindNull || s.node.deref().kind == kindBad
}

// Pos is where the section stands.
func (s Section) Pos() Pos {
	switch {
	case s.doc == nil:
		return Pos{}
	case s.node == nil:
		return Pos{File: s.doc.file}
	}
	return s.doc.pos(s.node)
}

// Decode reads the section into what into points to, as strictly as the file
// round it. The error is a [backout.Problems]. A section that is not there
// decodes into anything and changes nothing.
func (s Section) Decode(into any) error {
	if problems := s.decode(into); problems != nil {
		return problems
	}
	return nil
}

func (s Section) decode(into any) backout.Problems {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return backout.Problems{s.Pos().Problem(fmt.Sprintf("decode into %T", into), "give a pointer")}
	}
	if s.IsZero() {
		return nil
	}
	d := newDecoder(s.doc)
	d.value(s.without(), v.Elem(), hint{})
	d.problems.Sort()
	return d.problems
}

// without is the section's node less the omitted keys.
func (s Section) without() *node {
	n := s.node.deref()
	if len(s.omit) == 0 || n.kind != kindMapping {
		return s.node
	}
	kept := *n
	kept.entries = nil
	for _, e := range n.entries {
		if !slices.Contains(s.omit, e.key.deref().text) {
			kept.entries = append(kept.entries, e)
		}
	}
	return &kept
}

// Without is the section less these keys, for a section that shares its mapping
// with keys already read, such as type.
func (s Section) Without(keys ...string) Section {
	s.omit = append(append([]string(nil), s.omit...), keys...)
	return s
}

// Entry is one key of a mapping with its value.
type Entry struct {
	Key   At[string]
	Value Section
}

// Entries lists the keys of a section that is a mapping, in order, merge keys
// unfolded; nil for anything else.
func (s Section) Entries() []Entry {
	if s.IsZero() {
		return nil
	}
	var out []Entry
	for _, e := range newDecoder(s.doc).unique(s.without().deref()) {
		out = append(out, Entry{
			Key:   At[string]{e.key.deref().text, s.doc.pos(e.key)},
			Value: Section{doc: s.doc, node: e.value},
		})
	}
	return out
}

// Scalar returns the text of a section that is a single value.
func (s Section) Scalar() (string, bool) {
	if s.IsZero() || !s.node.deref().scalar() {
		return "", false
	}
	return s.node.deref().text, true
}

// Describe says what the section holds, for messages: "a list", "the number 5".
func (s Section) Describe() string {
	if s.node == nil {
		return "nothing"
	}
	return s.node.describe()
}

// At returns where the value at this path stands: strings are keys, ints places
// in a list. What is not there yields the place of the last thing that is.
func (s Section) At(path ...any) Pos {
	at, _ := s.find(path)
	return at.Pos()
}

// Has tells whether the file has a value at this path.
func (s Section) Has(path ...any) bool {
	_, ok := s.find(path)
	return ok
}

func (s Section) find(path []any) (at Section, ok bool) {
	for _, step := range path {
		if s.node == nil {
			return s, false
		}
		next := s.node.deref().child(step)
		if next == nil {
			return s, false
		}
		s.node = next
	}
	return s, s.node != nil
}

// KeyAt is [Section.At], but of the key when the path ends in one.
func (s Section) KeyAt(path ...any) Pos {
	if len(path) == 0 {
		return s.Pos()
	}
	parent, ok := s.find(path[:len(path)-1])
	if ok {
		for _, e := range parent.node.deref().entries {
			if e.key.deref().text == path[len(path)-1] {
				return s.doc.pos(e.key)
			}
		}
	}
	return s.At(path...)
}

func (n *node) child(step any) *node {
	switch step := step.(type) {
	case string:
		for _, e := range n.entries {
			if e.key.deref().text == step {
				return e.value
			}
		}
	case int:
		if step >= 0 && step < len(n.items) {
			return n.items[step]
		}
	}
	return nil
}
