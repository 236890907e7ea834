package strictyaml

import (
	"encoding"
	"encoding/json"
	"reflect"

	"github.com/backout-io/backout"
)

// Generator writes JSON Schemas (draft 2020-12) of what [Decode] takes, for
// editors. A schema never refuses what Decode takes; it may let pass what Decode
// refuses.
type Generator struct {
	// Types replaces the schema of some types, such as those that hold sections.
	Types map[reflect.Type]func(g *Generator) map[string]any

	open map[reflect.Type]bool
}

var durationType = reflect.TypeFor[backout.Duration]()

// Of returns the schema of values that decode into a t.
func (g *Generator) Of(t reflect.Type) map[string]any {
	if own := g.Types[t]; own != nil {
		return own(g)
	}
	switch t {
	case sectionType:
		return map[string]any{}
	case textType:
		return text()
	case secretType:
		return secret()
	case durationType:
		return map[string]any{"type": "string", "pattern": `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$`, "examples": []any{"90s", "30m", "2d"}}
	}
	switch target := reflect.New(t).Interface().(type) {
	case located:
		return g.Of(target.inner())
	case interface{ UnmarshalYAML(func(any) error) error }:
		return map[string]any{}
	case encoding.TextUnmarshaler:
		return text()
	case json.Unmarshaler:
		return map[string]any{}
	}
	return g.plain(t)
}

func (g *Generator) plain(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return g.Of(t.Elem())
	case reflect.Struct:
		return g.Object(t)
	case reflect.Slice:
		return map[string]any{"type": []any{"array", "null"}, "items": g.Of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": []any{"object", "null"}, "additionalProperties": g.Of(t.Elem())}
	case reflect.String:
		return text()
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default:
		return map[string]any{}
	}
}

// Object returns the schema of a struct type by its fields, whatever Types says
// of the struct itself.
func (g *Generator) Object(t reflect.Type) map[string]any {
	if g.open[t] {
		return map[string]any{"type": "object"}
	}
	if g.open == nil {
		g.open = map[reflect.Type]bool{}
	}
	g.open[t] = true
	defer delete(g.open, t)
	properties, required := map[string]any{}, []any{}
	for _, f := range Fields(t) {
		schema := g.Of(f.Type)
		if len(f.Enum) > 0 {
			schema = limit(schema, f.Enum)
		}
		if f.Doc != "" {
			schema["description"] = f.Doc
		}
		properties[f.Key] = schema
		if f.Required {
			required = append(required, f.Key)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// limit puts an enum on a text, or on the texts of a list or mapping.
func limit(schema map[string]any, words []string) map[string]any {
	for _, inner := range []string{"items", "additionalProperties"} {
		if of, ok := schema[inner].(map[string]any); ok {
			schema[inner] = limit(of, words)
			return schema
		}
	}
	return map[string]any{"enum": anys(words)}
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// text allows numbers and bools, which become the text they are written as.
func text() map[string]any { return map[string]any{"type": []any{"string", "number", "boolean"}} }

func secret() map[string]any {
	return map[string]any{
		"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		"description": "Where the secret is kept; never its value.",
		"properties": map[string]any{
			"file":       map[string]any{"type": "string", "description": "A file that only the server may read."},
			"env":        map[string]any{"type": "string", "description": "An environment variable."},
			"credential": map[string]any{"type": "string", "description": "A systemd credential."},
		},
	}
}
