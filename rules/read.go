package rules

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/backout-io/backout/internal/strictyaml"
)

// read is one fact that an expression reads: where it stands in facts.
type read struct {
	name  string
	index []int
	// key is the label's name, when the fact is an entry of the map group.
	key, group string
	entry      bool
	// offset is its place in the expression.
	offset int
	kind   reflect.Type
}

// pathOf returns the names of a chain such as alert.labels.team.
func pathOf(n ast.Node) ([]string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}, true
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if !ok || n.Optional {
			return nil, false
		}
		path, ok := pathOf(n.Node)
		return append(path, property.Value), ok
	}
	return nil, false
}

// resolve finds a path in facts.
func resolve(path []string) (read, bool) {
	r := read{name: joinPath(path), kind: reflect.TypeFor[facts]()}
	for i, name := range path {
		if r.kind == reflect.TypeFor[map[string]string]() && i == len(path)-1 {
			r.key, r.group, r.entry, r.kind = name, joinPath(path[:i]), true, reflect.TypeFor[string]()
			return r, true
		}
		if r.kind.Kind() != reflect.Struct || factType(r.kind) != "" {
			return r, false
		}
		field, ok := fieldByTag(r.kind, name)
		if !ok {
			return r, false
		}
		r.index, r.kind = append(r.index, field.Index...), field.Type
	}
	return r, true
}

func fieldByTag(t reflect.Type, tag string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if tag != "" && t.Field(i).Tag.Get("expr") == tag {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// readsOf lists the facts that an expression reads, each once.
func readsOf(node ast.Node) []read {
	v := &readVisitor{}
	ast.Walk(&node, v)
	var list []read
	seen := map[string]bool{}
	for _, n := range v.nodes {
		path, ok := pathOf(n)
		if !ok || seen[joinPath(path)] {
			continue
		}
		seen[joinPath(path)] = true
		if r, ok := resolve(path); ok {
			r.offset = n.Location().From
			list = append(list, r)
		}
	}
	return list
}

// readVisitor collects the longest member chains. Children come first, so a
// chain takes the place of the shorter one inside it.
type readVisitor struct{ nodes []ast.Node }

// Visit implements [ast.Visitor].
func (v *readVisitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		v.nodes = append(v.nodes, n)
	case *ast.MemberNode:
		for i, inner := range v.nodes {
			if inner == n.Node {
				v.nodes[i] = n
				return
			}
		}
	}
}

// appendText writes the fact's value for people, short and on one line.
func (r *read) appendText(b []byte, f *facts) []byte {
	v := reflect.ValueOf(f).Elem()
	for _, i := range r.index {
		v = v.Field(i)
	}
	// Behind a pointer nothing is copied.
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		if x.IsZero() {
			return append(b, "not known"...)
		}
		return x.UTC().AppendFormat(b, time.RFC3339)
	case *time.Duration:
		return append(b, x.Round(time.Second).String()...)
	case *string:
		return appendQuoted(b, *x)
	case *float64:
		if math.IsNaN(*x) {
			return append(b, "not known"...)
		}
		return strconv.AppendFloat(b, *x, 'g', 4, 64)
	case *int:
		return strconv.AppendInt(b, int64(*x), 10)
	case *bool:
		return strconv.AppendBool(b, *x)
	case *[]string:
		return append(strconv.AppendInt(b, int64(len(*x)), 10), " entries"...)
	case *map[string]string:
		if r.entry {
			return appendQuoted(b, (*x)[r.key])
		}
		return append(strconv.AppendInt(b, int64(len(*x)), 10), " labels"...)
	}
	return append(b, '?')
}

const maxShown = 80

// quote shows an outside text as data: in quotes, escaped, and cut to
// maxShown bytes.
func quote(s string) string { return strconv.Quote(short(s)) }

// short cuts a text to maxShown bytes, between characters.
func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// joinPath writes a path as a rule would.
func joinPath(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case i == 0:
			b.WriteString(name)
		case isWord(name):
			b.WriteString("." + name)
		default:
			b.WriteString("[" + strconv.Quote(name) + "]")
		}
	}
	return b.String()
}

func isWord(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// suggestFact says which fact was probably meant.
func suggestFact(name string) string {
	names := make([]string, 0, 32)
	for _, f := range Facts() {
		names = append(names, f.Name)
	}
	return strictyaml.DidYouMean(name, names, "backout rules facts lists what there is")
}

// suggestFunction says which function was probably meant.
func suggestFunction(name string) string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.name()
	}
	return strictyaml.DidYouMean(name, names, "use "+strings.Join(names, ", "))
}

// firstFact returns the first fact of a group.
func firstFact(group string) string {
	for _, f := range Facts() {
		if strings.HasPrefix(f.Name, group+".") {
			return f.Name
		}
	}
	return ""
}
