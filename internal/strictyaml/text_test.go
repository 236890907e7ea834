package strictyaml

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Every source holds the marker X once in its value; the place of its character
// must be the place of the X in the file.
func TestTextPointsIntoEveryStyle(t *testing.T) {
	sources := map[string]string{
		"plain":                 "when: a > bXc\n",
		"plain after umlauts":   "when: ää > bXc # X\n",
		"plain two lines":       "when: a >\n    b and X\nother: 1\n",
		"plain paragraphs":      "when: a >\n\n\n    b   and X\nother: 1\n",
		"single quotes":         "when: 'it''s X'\n",
		"single quotes, lines":  "when: 'it''s\n   a\n\n   X'\n",
		"double quotes":         "when: \"\\t\\x41\\u00e9\\U0001F600\\\"X\"\n",
		"double quotes, lines":  "when: \"a\n   b\\n\n\n  X\"\n",
		"double quotes, joined": "when: \"a\\\n     b X\"\n",
		"literal":               "when: |\n  a >\n    bX\n  c\n",
		"literal, blank lines":  "when: |+\n\n\n  a >\n\n    bX\n\n",
		"literal, strip":        "l:\n  - when: |-\n      a\n      X\n",
		"literal, indicator":    "when: |2\n    a\n   X\n",
		"folded":                "when: >\n  a\n  b\n  X\n",
		"folded, paragraphs":    "when: >-\n  a\n\n\n  b\n  c X\n",
		"folded, indented":      "when: >-\n  a\n    b\n  X\n",
		"literal, CRLF":         "when: |\r\n  a\r\n  bX\r\n",
		"folded, CRLF":          "when: >\r\n  a\r\n  bX\r\n",
		"plain, CRLF":           "when: a\r\n  bX\r\n",
		"flow":                  "{when: a X}\n",
		"after byte order mark": "\ufeffwhen: aX\n",
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			var got struct {
				When  Text
				L     []struct{ When Text }
				Other int
			}
			if problems := Decode("f", []byte(source), &got); problems != nil {
				t.Fatal(problems)
			}
			text := got.When
			if len(got.L) > 0 {
				text = got.L[0].When
			}
			before, _, found := strings.Cut(text.Value, "X")
			if !found {
				t.Fatalf("no X in %q", text.Value)
			}
			pos := text.At(utf8.RuneCountInString(before))
			lines := strings.Split(strings.TrimPrefix(source, "\ufeff"), "\n")
			if pos.Line < 1 || pos.Line > len(lines) {
				t.Fatalf("line %d", pos.Line)
			}
			line := []rune(lines[pos.Line-1])
			if pos.Column < 1 || pos.Column > len(line) || line[pos.Column-1] != 'X' {
				t.Errorf("X of %q is said to be at %d:%d, which is %q", text.Value, pos.Line, pos.Column, string(line[min(len(line), pos.Column-1):]))
			}
		})
	}
}

func TestTextPastItsEndStaysInside(t *testing.T) {
	var got struct{ When Text }
	if problems := Decode("f", []byte("when: abc\nno: 1\n"), &got); len(problems) != 1 {
		t.Fatal(problems)
	}
	if pos := got.When.At(99); pos.Line != 1 || pos.Column < 9 || pos.Column > 10 {
		t.Errorf("past the end is %d:%d", pos.Line, pos.Column)
	}
	if pos := (Text{Value: "made by hand"}).At(3); pos != (Pos{}) {
		t.Errorf("a text of no file stands at %v", pos)
	}
}
