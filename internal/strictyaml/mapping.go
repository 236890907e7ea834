package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
)

func (d *decoder) fields(t reflect.Type) []Field {
	fields, ok := d.types[t]
	if !ok {
		fields = Fields(t)
		d.types[t] = fields
	}
	return fields
}

func (d *decoder) structure(n *node, v reflect.Value, h hint) {
	place(v, d.doc.pos(n))
	switch n.kind {
	case kindNull:
		return
	case kindMapping:
	default:
		d.wrongKind(n, h, "a mapping (key: value)", "")
		return
	}
	fields := d.fields(v.Type())
	met := map[string]bool{}
	for _, e := range d.unique(n) {
		key := e.key.deref().text
		field := find(fields, key)
		if field == nil {
			met[d.unknown(e.key, key, fields)] = true
			continue
		}
		met[key] = true
		d.value(e.value, fieldByIndex(v, field.Index), hint{name: key, enum: field.Enum})
	}
	for _, f := range fields {
		if f.Required && !met[f.Key] {
			d.problem(n, hint{}, "the key "+quote(f.Key)+" is missing", "add it")
		}
	}
}

// unknown reports a key that the struct does not have and returns the one that
// was likely meant.
func (d *decoder) unknown(n *node, key string, fields []Field) string {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.Key
	}
	d.problem(n, hint{}, "unknown key "+quote(key), DidYouMean(key, known, ""))
	return Nearest(key, known)
}

func find(fields []Field, key string) *Field {
	for i := range fields {
		if fields[i].Key == key {
			return &fields[i]
		}
	}
	return nil
}

// unique returns the entries of a mapping, merge keys unfolded, each key once.
// What stands in the mapping itself wins over what is merged,
// and what is merged first over what is merged later.
func (d *decoder) unique(n *node) []entry {
	seen := make(map[string]*node, len(n.entries))
	out := make([]entry, 0, len(n.entries))
	var merged []*node
	for _, e := range n.entries {
		key := e.key.deref()
		if key.kind == kindText && key.text == mergeKey {
			merged = append(merged, e.value)
			continue
		}
		if seen[key.text] != nil || key.kind == kindBad {
			continue
		}
		seen[key.text] = e.key
		out = append(out, e)
	}
	for _, m := range merged {
		out = d.merge(out, seen, m, true)
	}
	return out
}

func (d *decoder) merge(out []entry, seen map[string]*node, n *node, listAllowed bool) []entry {
	value, leave := d.follow(n)
	defer leave()
	switch {
	case d.stopped || value.kind == kindBad:
	case value.kind == kindMapping:
		for _, e := range d.unique(value) {
			key := e.key.deref().text
			if seen[key] == nil {
				seen[key] = e.key
				out = append(out, entry{e.key, &node{kind: kindAlias, line: e.value.line, column: e.value.column, target: e.value}})
			}
		}
	case value.kind == kindList && listAllowed:
		for _, item := range value.items {
			out = d.merge(out, seen, item, false)
		}
	default:
		d.wrongKind(n, hint{name: mergeKey}, "a mapping to merge", "write <<: *anchor")
	}
	return out
}

func (d *decoder) mapping(n *node, v reflect.Value, h hint) {
	switch n.kind {
	case kindNull:
		v.SetZero()
		return
	case kindMapping:
	default:
		d.wrongKind(n, h, "a mapping (key: value)", "")
		return
	}
	t := v.Type()
	out := reflect.MakeMapWithSize(t, len(n.entries))
	for _, e := range d.unique(n) {
		key := reflect.New(t.Key()).Elem()
		if !d.mapKey(e.key, key) {
			continue
		}
		value := reflect.New(t.Elem()).Elem()
		name := e.key.deref().text
		if h.name != "" {
			name = h.name + "." + name
		}
		d.value(e.value, value, hint{name: clip(name), enum: h.enum})
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

func (d *decoder) mapKey(n *node, key reflect.Value) bool {
	before := len(d.problems)
	value := n.deref()
	if value.kind == kindNull {
		d.problem(n, hint{}, "an empty key", "give it a name")
		return false
	}
	if u, ok := key.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.textUnmarshaler(value, u, hint{})
	} else {
		d.scalar(value, key, hint{})
	}
	return len(d.problems) == before
}

// anything decodes into an empty interface: mappings become map[string]any,
// lists []any, whole numbers int64, others float64.
func (d *decoder) anything(n *node, v reflect.Value, h hint) {
	if v.NumMethod() != 0 {
		d.problem(n, h, fmt.Sprintf("cannot be read into a %s", v.Type()), "")
		return
	}
	var into reflect.Value
	switch n.kind {
	case kindNull:
		v.SetZero()
		return
	case kindMapping:
		into = reflect.ValueOf(new(map[string]any))
	case kindList:
		into = reflect.ValueOf(new([]any))
	case kindBool:
		into = reflect.ValueOf(new(bool))
	case kindInt:
		into = reflect.ValueOf(new(int64))
	case kindFloat:
		into = reflect.ValueOf(new(float64))
	case kindText, kindQuoted, kindBlock, kindAlias, kindBad:
		into = reflect.ValueOf(new(string))
	}
	d.value(n, into.Elem(), h)
	v.Set(into.Elem())
}
