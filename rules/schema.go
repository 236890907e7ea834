package rules

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/internal/trigger"
)

// SchemaName is the name of the file that [Schema] is for.
const SchemaName = "rules.schema.json"

// Schema returns a JSON Schema (draft 2020-12) of rule files, for editors. It
// refuses nothing that [Load] takes.
func Schema() ([]byte, error) {
	g := &strictyaml.Generator{Types: map[reflect.Type]func(*strictyaml.Generator) map[string]any{
		reflect.TypeFor[groupSpec]():    groupSchema,
		reflect.TypeFor[ruleSpec]():     ruleSchema,
		reflect.TypeFor[throttleSpec](): throttleSchema,
	}}
	schema := g.Of(reflect.TypeFor[fileSpec]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "backout rule file"
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema %s: %w", SchemaName, err)
	}
	return append(data, '\n'), nil
}

// property is the schema of a key, to be narrowed.
func property(schema map[string]any, key string) map[string]any {
	all, _ := schema["properties"].(map[string]any)
	of, _ := all[key].(map[string]any)
	return of
}

const namePattern = `^[A-Za-z0-9._:-]{1,100}$`

func groupSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[groupSpec]())
	property(schema, "name")["pattern"] = namePattern
	schema["required"] = []any{"name"}
	return schema
}

func ruleSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[ruleSpec]())
	property(schema, "rule")["pattern"] = namePattern
	property(schema, "start_at")["pattern"] = "^L[1-9]$"
	property(schema, "match")["maxItems"] = maxMatchers
	when := property(schema, "when")
	when["maxLength"] = maxExpression
	when["description"] = fmt.Sprint(when["description"]) + ".\nFacts: " + names(Facts()) + ".\nFunctions: " + names(Functions()) + "."
	when["examples"] = []any{`evidence.red_share_patched > 2 * evidence.red_share_unpatched and alert.age > duration("2m")`}
	schema["required"] = []any{"rule"}
	return schema
}

func throttleSchema(g *strictyaml.Generator) map[string]any {
	schema := g.Object(reflect.TypeFor[throttleSpec]())
	property(schema, "at_least")["minimum"], property(schema, "at_least")["maximum"] = 1, trigger.MaxMatches
	schema["minProperties"] = 1
	schema["dependentRequired"] = map[string]any{"at_least": []any{"within"}, "within": []any{"at_least"}}
	return schema
}

func names(list []Fact) string {
	all := make([]string, len(list))
	for i, f := range list {
		all[i] = f.Name + " (" + f.Type + ")"
	}
	return strings.Join(all, ", ")
}
