package rules

import (
	"errors"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// checkPattern refuses a pattern that cannot compile, at its place inside the
// text.
func checkPattern(n *ast.StringNode, source string) error {
	_, err := syntax.Parse(n.Value, syntax.Perl)
	if err == nil {
		return nil
	}
	what, at := patternError(n.Value, err)
	return &exprError{offset: insideLiteral(source, n.Location().From, at), what: what, fix: "correct the pattern"}
}

// patternError says what is wrong with a pattern, and at which of its characters.
func patternError(pattern string, err error) (what string, at int) {
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return "the pattern: " + err.Error(), 0
	}
	if i := strings.Index(pattern, bad.Expr); i > 0 {
		at = utf8.RuneCountInString(pattern[:i])
	}
	what = "the pattern: " + bad.Code.String()
	if bad.Expr != "" {
		what += ": " + short(bad.Expr)
	}
	return what, at
}

// insideLiteral returns the offset in the source of a character of a text
// literal that begins at from: it sees through escapes.
func insideLiteral(source string, from, character int) int {
	runes := []rune(source)
	if from >= len(runes) {
		return from
	}
	quote := runes[from]
	for i := from + 1; i < len(runes); {
		if character == 0 {
			return i
		}
		character--
		if quote == '`' || runes[i] != '\\' || i+1 >= len(runes) {
			i++
			continue
		}
		i += escapeWidth(runes[i+1])
	}
	return from
}

func escapeWidth(kind rune) int {
	switch {
	case kind == 'x':
		return 4
	case kind == 'u':
		return 6
	case kind == 'U':
		return 10
	case kind >= '0' && kind <= '7':
		return 4
	}
	return 2
}
