// Package strictyaml reads the YAML files that people write.
//
// Nothing passes unseen: an unknown key, a key given twice, a value of the wrong
// kind, a second document are all problems, each at its file, line and column,
// with the nearest known name. One run reports every problem of a file; only a
// syntax error ends it early. The same holds for plug-in sections, which are
// kept as a [Section] and decoded later, when their type is known.
//
// Input is bounded: 4 MiB a file, 64 levels of nesting, and a budget for what
// aliases unfold to.
//
// # Keys
//
// A struct field is called by its yaml tag, else its json tag, else its name in
// lower case; "-" hides it, ",inline" and untagged embedded structs take in the
// keys of their struct. A field of type [Pos] is no key: it receives where its
// struct stands. The tag enum:"a,b" limits a text to those words, required:"true"
// makes a key mandatory, and doc:"…" describes it in the [Generator]'s schema.
//
// # Values
//
// A text field takes any single value exactly as it is written, so 0123, 1.10
// and yes stay what they are. A bool is true or false and nothing else. A number
// with a leading zero is refused: YAML 1.1 and 1.2 read it differently. A key
// without a value is refused, unless it holds a list, a mapping or a pointer.
// Tags (!!str) are refused. Anchors, aliases and merge keys (<<) work.
package strictyaml

import "github.com/backout-io/backout"

// Decode reads data into what into points to and returns every problem, sorted;
// nil means that there is none. File names the data in problems. Values without
// a problem are set even when others have one; fields that the file does not
// mention keep what they hold.
func Decode(file string, data []byte, into any) backout.Problems {
	doc, problems := Parse(file, data)
	if problems != nil {
		return problems
	}
	return doc.Decode(into)
}
