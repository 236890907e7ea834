package config

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// The names of the files that [Schema] returns.
const (
	SchemaServer    = "backout.schema.json"
	SchemaPlans     = "plans.schema.json"
	SchemaInventory = "inventory.schema.json"
	SchemaRunner    = "runner.schema.json"
	SchemaRules     = rules.SchemaName
)

//go:generate go test . -run TestSchemasInDocs -update

// Schema returns JSON Schemas (draft 2020-12) of the config file, the plan files,
// the inventory files, the rule files and the file of a runner by file name, for
// editors. They are made from the types that decode the files and from the sections
// of the kinds.
func Schema(kinds Kinds) (map[string][]byte, error) {
	g := &strictyaml.Generator{Types: map[reflect.Type]func(*strictyaml.Generator) map[string]any{
		reflect.TypeFor[serverFile]():    kinds.serverSchema,
		reflect.TypeFor[verifyEntry]():   kinds.verifySchema,
		reflect.TypeFor[stepEntry]():     kinds.stepSchema,
		reflect.TypeFor[approvalEntry](): approvalSchema,
		reflect.TypeFor[routeEntry]():    routeSchema,
		reflect.TypeFor[Where]():         whereSchema,
		reflect.TypeFor[Size]():          pattern(`^[0-9]+ *(B|KiB|MiB|GiB|TiB)$`, "4MiB"),
		reflect.TypeFor[Percent]():       pattern(`^[0-9]+ *%$`, "20%"),
	}}
	out := map[string][]byte{}
	for name, file := range map[string]struct {
		title string
		typ   reflect.Type
	}{
		SchemaServer:    {"backout.yaml", reflect.TypeFor[serverFile]()},
		SchemaPlans:     {"backout plan file", reflect.TypeFor[planFile]()},
		SchemaInventory: {"backout inventory file", reflect.TypeFor[inventoryFile]()},
		SchemaRunner:    {"runner.yaml", reflect.TypeFor[Runner]()},
	} {
		schema := g.Of(file.typ)
		schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		schema["title"] = file.title
		data, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("encode schema %s: %w", name, err)
		}
		out[name] = append(data, '\n')
	}
	data, err := rules.Schema()
	if err != nil {
		return nil, err
	}
	out[SchemaRules] = data
	return out, nil
}

func pattern(re, example string) func(*strictyaml.Generator) map[string]any {
	return func(*strictyaml.Generator) map[string]any {
		return map[string]any{"type": "string", "pattern": re, "examples": []any{example}}
	}
}

// kindDoc is what schemas say of a plug-in.
type kindDoc struct {
	name, doc string
	config    any
}

func section(g *strictyaml.Generator, k kindDoc) map[string]any {
	schema := g.Of(reflect.TypeOf(k.config).Elem())
	if k.doc != "" {
		schema["description"] = k.doc
	}
	return schema
}

func properties(schema map[string]any) map[string]any {
	p, _ := schema["properties"].(map[string]any)
	if p == nil {
		p = map[string]any{}
	}
	return p
}

func (k Kinds) serverSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[serverFile]())
	names, cases := []any{}, []any{}
	if k.Notifiers != nil {
		for _, n := range k.Notifiers.Kinds() {
			of := section(g, kindDoc{n.KindName(), n.Doc(), n.Config()})
			properties(of)["type"] = map[string]any{"const": n.KindName()}
			names = append(names, n.KindName())
			cases = append(cases, when("type", n.KindName(), of))
		}
	}
	channel := map[string]any{"type": "object", "required": []any{"type"}, "properties": map[string]any{"type": map[string]any{"enum": names}}}
	if len(cases) > 0 {
		channel["allOf"] = cases
	}
	properties(schema)["channels"] = map[string]any{
		"type": []any{"object", "null"}, "additionalProperties": channel, "description": "Ways to people, by name.",
	}
	return schema
}

func when(key, value string, then map[string]any) map[string]any {
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{key: map[string]any{"const": value}}, "required": []any{key}},
		"then": then,
	}
}

func (k Kinds) stepSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[stepEntry]())
	names, cases := []any{}, []any{}
	if k.Executors != nil {
		for _, e := range k.Executors.Kinds() {
			names = append(names, e.KindName())
			of := section(g, kindDoc{e.KindName(), e.Doc(), e.Config()})
			cases = append(cases, when("uses", e.KindName(), map[string]any{"properties": map[string]any{"with": of}}))
		}
	}
	uses, _ := properties(schema)["uses"].(map[string]any)
	delete(uses, "type")
	uses["enum"] = names
	if len(cases) > 0 {
		schema["allOf"] = cases
	}
	return schema
}

func (k Kinds) verifySchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[verifyEntry]())
	of := map[string]any{"name": map[string]any{"type": "string", "description": "Default: its kind."}}
	var kinds []any
	if k.Checks != nil {
		for _, c := range k.Checks.Kinds() {
			of[c.Name] = section(g, kindDoc{c.Name, c.Doc, c.Config()})
			kinds = append(kinds, map[string]any{"required": []any{c.Name}})
		}
	}
	check := map[string]any{"type": "object", "properties": of, "additionalProperties": false}
	if len(kinds) > 0 {
		check["oneOf"] = kinds
	}
	properties(schema)["checks"] = map[string]any{
		"type": []any{"array", "null"}, "items": check, "description": "Probes of each target: one kind each.",
	}
	return schema
}

func approvalSchema(g *strictyaml.Generator) map[string]any {
	long := g.Object(reflect.TypeFor[approvalEntry]())
	mode, _ := properties(long)["mode"].(map[string]any)
	return map[string]any{"anyOf": []any{map[string]any{"enum": mode["enum"]}, long}}
}
