package rules

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/file"
)

var (
	// token is how the parser names what it did not expect.
	token = regexp.MustCompile(`^unexpected token (?:Operator|Identifier|Bracket|Number|String)\((".*")\)`)
	// goTypes are the types of facts as the checker names them.
	goTypes = strings.NewReplacer("time.Duration", "duration", "time.Time", "time")
)

// said is a mistake that the language found, in the words of the facts, with what to
// do about those that are made most.
func said(at *file.Error) *exprError {
	what := goTypes.Replace(at.Message)
	if m := token.FindStringSubmatch(what); m != nil {
		what = "unexpected token " + m[1] + what[len(m[0]):]
		switch word, _ := strconv.Unquote(m[1]); strings.ToLower(word) {
		case "=":
			return &exprError{at.From, what, "two values are compared with =="}
		case "and", "or", "not":
			return &exprError{at.From, what, "conditions are joined with and, or, not, in small letters"}
		}
	}
	if strings.Contains(what, "types duration and ") || strings.Contains(what, " and duration)") || strings.HasPrefix(what, "bad number syntax") {
		return &exprError{at.From, what, `write a length of time as duration("2m")`}
	}
	return &exprError{at.From, what, ""}
}
