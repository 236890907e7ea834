package strictyaml

import (
	"reflect"
	"strings"
)

// Field is one key that a struct takes.
type Field struct {
	Key   string
	Index []int
	Type  reflect.Type
	// Enum are the words that the value is limited to, if any.
	Enum []string
	// Required is set by the tag required:"true".
	Required bool
	// Doc is the field's doc tag: one line for people.
	Doc string
}

var posType = reflect.TypeFor[Pos]()

// Fields lists the keys that a struct type takes, in the order of the struct; see
// the package comment for how keys are named.
func Fields(t reflect.Type) []Field {
	return appendFields(nil, t, nil)
}

func appendFields(out []Field, t reflect.Type, index []int) []Field {
	for i := range t.NumField() {
		f := t.Field(i)
		name, inline, hidden := fieldKey(f)
		at := append(append([]int(nil), index...), i)
		switch {
		case hidden || f.Type == posType:
		case inline:
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				out = appendFields(out, inner, at)
			}
		case f.IsExported():
			field := Field{Key: name, Index: at, Type: f.Type, Required: f.Tag.Get("required") == "true", Doc: f.Tag.Get("doc")}
			if words := f.Tag.Get("enum"); words != "" {
				field.Enum = strings.Split(words, ",")
			}
			out = append(out, field)
		}
	}
	return out
}

func fieldKey(f reflect.StructField) (name string, inline, hidden bool) {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag, ok = f.Tag.Lookup("json")
	}
	if tag == "-" || !f.IsExported() && !f.Anonymous || f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Pointer {
		return "", false, true
	}
	name, options, _ := strings.Cut(tag, ",")
	if strings.Contains(","+options+",", ",inline,") || f.Anonymous && name == "" {
		return "", true, false
	}
	if name == "" || !ok {
		name = strings.ToLower(f.Name)
	}
	return name, false, false
}

// place fills every Pos field of the struct, inlined ones included.
func place(v reflect.Value, p Pos) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == posType && f.IsExported() {
			v.Field(i).Set(reflect.ValueOf(p))
			continue
		}
		if _, inline, hidden := fieldKey(f); inline && !hidden && f.Type.Kind() == reflect.Struct {
			place(v.Field(i), p)
		}
	}
}

// fieldByIndex is [reflect.Value.FieldByIndex] that makes the inlined pointers on
// its way.
func fieldByIndex(v reflect.Value, index []int) reflect.Value {
	for i, x := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v
}
