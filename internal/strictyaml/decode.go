package strictyaml

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/backout-io/backout"
)

const mergeKey = "<<"

var (
	sectionType = reflect.TypeFor[Section]()
	textType    = reflect.TypeFor[Text]()
	secretType  = reflect.TypeFor[backout.Secret]()
	timeType    = reflect.TypeFor[time.Time]()
)

// decoder fills one value. It goes on after a problem.
type decoder struct {
	doc      *Document
	types    map[reflect.Type][]Field
	problems backout.Problems
	seen     map[backout.Problem]bool
	aliased  int  // how many aliases were followed to get here
	stopped  bool // the alias budget is spent
}

func newDecoder(doc *Document) *decoder {
	return &decoder{doc: doc, types: map[reflect.Type][]Field{}, seen: map[backout.Problem]bool{}}
}

// hint is what is known of a value from round it, for messages.
type hint struct {
	name string
	enum []string
}

func (h hint) item(i int) hint {
	if h.name != "" {
		h.name = fmt.Sprintf("%s[%d]", h.name, i)
	}
	return h
}

// problem reports once what stands at one place, however many aliases lead there.
func (d *decoder) problem(n *node, h hint, what, fix string) {
	if h.name != "" {
		what = h.name + ": " + what
	}
	p := d.doc.pos(n).Problem(what, fix)
	if !d.seen[p] {
		d.seen[p] = true
		d.problems = append(d.problems, p)
	}
}

func (d *decoder) wrongKind(n *node, h hint, want, fix string) {
	d.problem(n, h, fmt.Sprintf("want %s, got %s", want, n.describe()), fix)
}

func (d *decoder) failed(n *node, h hint, err error) {
	var inner backout.Problems
	if !errors.As(err, &inner) {
		d.problem(n, h, err.Error(), "")
		return
	}
	for _, p := range inner {
		if !d.seen[p] {
			d.seen[p] = true
			d.problems = append(d.problems, p)
		}
	}
}

// follow resolves an alias and charges what it unfolds to.
func (d *decoder) follow(n *node) (value *node, leave func()) {
	value = n.deref()
	if n.kind == kindAlias {
		d.aliased++
	}
	if d.aliased > 0 && !d.stopped {
		d.doc.aliasCost += 16 + len(value.text)
		if d.doc.aliasCost > maxAliasCost {
			d.stopped = true
			d.problem(n, hint{}, "the aliases of this file unfold to too much", "repeat less through anchors")
		}
	}
	return value, func() {
		if n.kind == kindAlias {
			d.aliased--
		}
	}
}

func (d *decoder) value(n *node, v reflect.Value, h hint) {
	value, leave := d.follow(n)
	defer leave()
	if d.stopped || value.kind == kindBad {
		return
	}
	if d.special(n, value, v, h) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.pointer(value, v, h)
	case reflect.Struct:
		d.structure(value, v, h)
	case reflect.Map:
		d.mapping(value, v, h)
	case reflect.Slice:
		d.list(value, v, h)
	case reflect.Interface:
		d.anything(value, v, h)
	default:
		d.scalar(value, v, h)
	}
}

// special decodes the types that read themselves; n is the node as it stands,
// value what it is after aliases.
func (d *decoder) special(n, value *node, v reflect.Value, h hint) bool {
	switch v.Type() {
	case sectionType:
		v.Set(reflect.ValueOf(Section{doc: d.doc, node: n}))
		return true
	case textType:
		d.text(value, v, h)
		return true
	case secretType:
		d.secret(value, v, h)
		return true
	case timeType:
		d.time(value, v, h)
		return true
	}
	switch target := v.Addr().Interface().(type) {
	case located:
		d.value(value, target.locate(d.doc.pos(n)), h)
	case interface{ UnmarshalYAML(func(any) error) error }:
		d.custom(value, target, h)
	case encoding.TextUnmarshaler:
		d.textUnmarshaler(value, target, h)
	case json.Unmarshaler:
		d.jsonUnmarshaler(value, target, h)
	default:
		return false
	}
	return true
}

func (d *decoder) pointer(n *node, v reflect.Value, h hint) {
	if n.kind == kindNull {
		v.SetZero()
		return
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	d.value(n, v.Elem(), h)
}

func (d *decoder) list(n *node, v reflect.Value, h hint) {
	switch n.kind {
	case kindNull:
		v.SetZero()
		return
	case kindList:
	default:
		fix := ""
		if n.scalar() {
			fix = "write it in brackets: [" + clip(n.text) + "]"
		}
		d.wrongKind(n, h, "a list", fix)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		if item.deref().kind == kindNull && out.Index(i).Kind() != reflect.Pointer && out.Index(i).Kind() != reflect.Interface {
			d.problem(item, h.item(i), "an empty entry", "give it a value or remove its line")
			continue
		}
		d.value(item, out.Index(i), h.item(i))
	}
	v.Set(out)
}

func (d *decoder) secret(n *node, v reflect.Value, h hint) {
	const form = "a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, never as its value"
	if n.kind == kindNull {
		return
	}
	if n.kind != kindMapping {
		d.problem(n, h, form, "put the value into a file that only the server may read")
		return
	}
	var ref backout.SecretRef
	before := len(d.problems)
	d.structure(n, reflect.ValueOf(&ref).Elem(), h)
	if len(d.problems) > before {
		return
	}
	if err := ref.Validate(); err != nil {
		d.problem(n, h, err.Error(), "")
		return
	}
	v.Set(reflect.ValueOf(backout.NewSecret(ref)))
	d.doc.secrets = append(d.doc.secrets, SecretUse{ref, d.doc.pos(n)})
}

// custom decodes a type with a YAML form of its own: it may try several.
func (d *decoder) custom(n *node, target interface{ UnmarshalYAML(func(any) error) error }, h hint) {
	err := target.UnmarshalYAML(func(into any) error {
		v := reflect.ValueOf(into)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return fmt.Errorf("decode into %T: want a pointer", into)
		}
		inner := decoder{doc: d.doc, types: d.types, seen: map[backout.Problem]bool{}, aliased: d.aliased}
		inner.value(n, v.Elem(), h)
		d.stopped = d.stopped || inner.stopped
		if inner.problems != nil {
			return inner.problems
		}
		return nil
	})
	if err != nil {
		d.failed(n, h, err)
	}
}
