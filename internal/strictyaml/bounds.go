package strictyaml

import (
	"fmt"

	"github.com/goccy/go-yaml/token"

	"github.com/backout-io/backout"
)

// bounds walks the tokens before the parser does. The parser recurses once a
// nesting level and once a key of a mapping, so both must be known to be small.
type bounds struct {
	line    int
	inline  int     // indicators on this line, outside brackets
	blocks  []block // open blocks by column
	flow    []int   // keys in each open bracket
	empties int
}

type block struct{ column, keys int }

func checkBounds(file string, tokens token.Tokens) *backout.Problem {
	if len(tokens) > maxTokens {
		p := Pos{File: file}.Problem(fmt.Sprintf("the file holds more than %d values", maxTokens/4), "split it into several")
		return &p
	}
	var b bounds
	for i, tk := range tokens {
		what := b.step(tk)
		if what == "" && i > 0 {
			what = b.empty(tokens[i-1], tk)
		}
		if what != "" {
			p := Pos{file, tk.Position.Line, max(1, tk.Position.Column)}.Problem(what, "write it flatter, or split the file")
			return &p
		}
	}
	return nil
}

func (b *bounds) step(tk *token.Token) string {
	if tk.Position.Line != b.line {
		b.line, b.inline = tk.Position.Line, 0
		b.indent(tk.Position.Column)
	}
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		b.flow = append(b.flow, 0)
	case token.SequenceEndType, token.MappingEndType:
		if len(b.flow) > 0 {
			b.flow = b.flow[:len(b.flow)-1]
		}
	case token.MappingValueType:
		if b.key() > maxKeys {
			return fmt.Sprintf("more than %d keys in one mapping", maxKeys)
		}
	case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
		b.inline++
	default:
	}
	if len(b.flow)+len(b.blocks)+b.inline > 2*MaxDepth {
		return fmt.Sprintf("nested more than %d levels deep", MaxDepth)
	}
	return ""
}

func (b *bounds) indent(column int) {
	if len(b.flow) > 0 {
		return
	}
	for len(b.blocks) > 0 && b.blocks[len(b.blocks)-1].column > column {
		b.blocks = b.blocks[:len(b.blocks)-1]
	}
	if len(b.blocks) == 0 || b.blocks[len(b.blocks)-1].column < column {
		b.blocks = append(b.blocks, block{column: column})
	}
}

func (b *bounds) key() int {
	if n := len(b.flow); n > 0 {
		b.flow[n-1]++
		return b.flow[n-1]
	}
	b.inline++
	if len(b.blocks) == 0 {
		return 0
	}
	top := &b.blocks[len(b.blocks)-1]
	top.keys++
	return top.keys
}

// empty counts values that are left out: key after key, dash after dash.
func (b *bounds) empty(previous, tk *token.Token) string {
	if previous.Type != token.MappingValueType && previous.Type != token.SequenceEntryType {
		return ""
	}
	if len(b.flow) > 0 {
		if tk.Type != token.CollectEntryType && tk.Type != token.MappingEndType && tk.Type != token.SequenceEndType {
			return ""
		}
	} else if tk.Position.Line == previous.Position.Line || tk.Position.Column > previous.Position.Column {
		return ""
	}
	b.empties++
	if b.empties > maxEmpty {
		return fmt.Sprintf("more than %d empty values", maxEmpty)
	}
	return ""
}
