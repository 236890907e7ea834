package strictyaml

import (
	"fmt"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

type kind int

const (
	kindNull kind = iota
	kindText      // a plain scalar that is neither number nor bool
	kindQuoted
	kindBlock // | and >
	kindBool
	kindInt
	kindFloat
	kindList
	kindMapping
	kindAlias
	kindBad // reported already; decodes into nothing
)

// node is one value of a file. Aliases have been resolved and cannot be cyclic.
type node struct {
	kind    kind
	line    int
	column  int
	text    string  // of a scalar, as written
	items   []*node // of a list
	entries []entry // of a mapping, in order, duplicates included
	target  *node   // of an alias
}

type entry struct{ key, value *node }

func (n *node) scalar() bool { return n.kind != kindList && n.kind != kindMapping && n.kind != kindBad }

// deref follows aliases to the value.
func (n *node) deref() *node {
	for n.kind == kindAlias {
		n = n.target
	}
	return n
}

// describe says what stands there, for people; long texts are cut.
func (n *node) describe() string {
	switch n = n.deref(); n.kind {
	case kindNull:
		return "nothing"
	case kindBool:
		return n.text
	case kindInt, kindFloat:
		return "the number " + clip(n.text)
	case kindList:
		return "a list"
	case kindMapping:
		return "a mapping"
	case kindText, kindQuoted, kindBlock, kindAlias, kindBad:
	}
	return "the text " + quote(n.text)
}

func quote(s string) string { return strconv.Quote(clip(s)) }

func clip(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}

// converter makes nodes of the parser's tree. Its problems are kept in the
// document: what is right is decoded all the same.
type converter struct {
	doc     *Document
	anchors map[string]*node
	open    map[string]bool // anchors whose value is being converted
}

func (c *converter) problem(tk *token.Token, what, fix string) {
	pos := Pos{File: c.doc.file}
	if tk != nil && tk.Position != nil {
		pos.Line, pos.Column = tk.Position.Line, max(1, tk.Position.Column)
	}
	c.doc.early = append(c.doc.early, pos.Problem(what, fix))
}

func (c *converter) document(d *ast.DocumentNode) {
	switch {
	case d.Body == nil:
	case d.Body.Type() == ast.DirectiveType:
		c.problem(d.Body.GetToken(), "a YAML directive", "remove the line that starts with %")
	case c.doc.root != nil:
		c.problem(d.Body.GetToken(), "a second document in one file", "remove the --- line, or make it a file of its own")
	default:
		c.doc.root = c.convert(d.Body, 1)
	}
}

func (c *converter) convert(n ast.Node, depth int) *node {
	tk := n.GetToken()
	out := &node{kind: kindNull}
	if tk != nil && tk.Position != nil {
		out.line, out.column = tk.Position.Line, max(1, tk.Position.Column)
	}
	if depth > MaxDepth {
		c.problem(tk, fmt.Sprintf("nested more than %d levels deep", MaxDepth), "write it flatter")
		out.kind = kindBad
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		c.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		c.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = kindList
		for _, v := range n.Values {
			out.items = append(out.items, c.convert(v, depth+1))
		}
	case *ast.AnchorNode:
		return c.anchor(n, depth)
	case *ast.AliasNode:
		c.alias(out, n)
	case *ast.TagNode:
		c.problem(tk, fmt.Sprintf("the tag %s", clip(tk.Value)), "remove it: values have the type that their key wants")
		out.kind = kindBad
	default:
		c.scalar(out, n)
	}
	return out
}

func (c *converter) scalar(out *node, n ast.Node) {
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.LiteralNode:
		out.kind, out.text = kindBlock, n.Value.Value
	case *ast.StringNode:
		out.kind, out.text = kindText, n.Value
		if n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType {
			out.kind = kindQuoted
		}
	case *ast.BoolNode:
		out.kind, out.text = kindBool, n.Token.Value
	case *ast.IntegerNode:
		out.kind, out.text = kindInt, n.Token.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = kindFloat, n.GetToken().Value
	case *ast.MergeKeyNode:
		out.kind, out.text = kindText, mergeKey
	default:
		c.problem(n.GetToken(), fmt.Sprintf("a YAML %s", n.Type()), "write it more plainly")
		out.kind = kindBad
	}
}

func (c *converter) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = kindMapping
	first := make(map[string]int, len(values))
	for _, v := range values {
		key := c.key(v.Key)
		name := key.deref().text
		if line, twice := first[name]; twice {
			c.problem(v.Key.GetToken(), fmt.Sprintf("the key %s stands twice", quote(name)), fmt.Sprintf("remove one; the first is in line %d", line))
		} else {
			first[name] = key.line
		}
		value := c.convert(v.Value, depth+1)
		if value.kind == kindNull && value.text == "" {
			value.line, value.column = key.line, key.column
		}
		out.entries = append(out.entries, entry{key, value})
	}
	if len(out.entries) > 0 && len(values) > 0 && !isFlow(values[0], out) {
		out.line, out.column = out.entries[0].key.line, out.entries[0].key.column
	}
}

// isFlow tells a mapping in braces, whose own position is the brace; the parser
// places a block mapping at its first colon.
func isFlow(first *ast.MappingValueNode, out *node) bool {
	colon := first.GetToken()
	return colon == nil || colon.Position.Line != out.line || colon.Position.Column != out.column
}

func (c *converter) key(k ast.MapKeyNode) *node {
	n := ast.Node(k)
	if mk, ok := n.(*ast.MappingKeyNode); ok && mk.Value != nil {
		n = mk.Value
	}
	key := c.convert(n, 1)
	if final := key.deref(); final.kind != kindBad && !final.scalar() {
		c.problem(k.GetToken(), "a key that is "+final.describe(), "keys are plain words")
		key.kind = kindBad
	}
	return key
}

func (c *converter) anchor(n *ast.AnchorNode, depth int) *node {
	name := n.Name.GetToken().Value
	if n.Value == nil {
		c.problem(n.GetToken(), "an anchor without a value", "remove &"+clip(name))
		return &node{kind: kindBad}
	}
	outer := c.open[name]
	c.open[name] = true
	value := c.convert(n.Value, depth+1)
	c.open[name] = outer
	c.anchors[name] = value
	return value
}

func (c *converter) alias(out *node, n *ast.AliasNode) {
	name := n.Value.GetToken().Value
	target := c.anchors[name]
	out.kind = kindBad
	switch {
	case c.open[name]:
		c.problem(n.GetToken(), fmt.Sprintf("the anchor %s holds itself", quote(name)), "remove the alias")
	case target == nil:
		known := make([]string, 0, len(c.anchors))
		for a := range c.anchors {
			known = append(known, a)
		}
		c.problem(n.GetToken(), fmt.Sprintf("no anchor %s stands above", quote(name)), DidYouMean(name, known, "define it first with &"+clip(name)+", or put quotes round the text"))
	default:
		out.kind, out.target = kindAlias, target
	}
}
