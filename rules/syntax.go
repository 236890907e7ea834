package rules

import (
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// The language knows matches as an operator only, so the parser is shown another
// word of the same length where it is called.
const matchesName, matchesCall = "matches", "$matchs"

// parse reads an expression. Places in the tree are those in the source.
func (x *expressions) parse(source string) (*parser.Tree, error) {
	shown := source
	if strings.Contains(source, matchesName) {
		shown = renameMatches(source)
	}
	tree, err := parser.ParseWithConfig(shown, x.config)
	if err != nil {
		at := asExprError(err)
		at.what = strings.ReplaceAll(at.what, matchesCall, matchesName)
		return nil, at
	}
	ast.Walk(&tree.Node, renamer{})
	tree.Source = file.NewSource(source)
	return tree, nil
}

// renameMatches writes matchesCall where matches is called. What cannot be read
// is left to the parser.
func renameMatches(source string) string {
	tokens, err := lexer.Lex(file.NewSource(source))
	if err != nil {
		return source
	}
	runes := []rune(source)
	for i, t := range tokens {
		called := i+1 < len(tokens) && tokens[i+1].Is(lexer.Bracket, "(")
		first := i == 0 || tokens[i-1].Is(lexer.Operator) || tokens[i-1].Is(lexer.Bracket, "(", "[", "{")
		if t.Is(lexer.Operator, matchesName) && called && first {
			copy(runes[t.From:], []rune(matchesCall))
		}
	}
	return string(runes)
}

// renamer takes matchesCall back.
type renamer struct{}

// Visit implements [ast.Visitor].
func (renamer) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.IdentifierNode); ok && n.Value == matchesCall {
		n.Value = matchesName
	}
}
