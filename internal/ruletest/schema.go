package ruletest

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/backout-io/backout/internal/strictyaml"
)

// SchemaFile is the name of the file that [Schema] returns.
const SchemaFile = "rule-tests.schema.json"

//go:generate go test . -run TestSchemaInDocs -update

// Schema returns the JSON Schema (draft 2020-12) of a test file, for editors. It
// is made from the types that decode the file.
func Schema() ([]byte, error) {
	g := &strictyaml.Generator{Types: map[reflect.Type]func(*strictyaml.Generator) map[string]any{
		reflect.TypeFor[span](): func(*strictyaml.Generator) map[string]any {
			return map[string]any{"type": "string", "pattern": `^[^-]+-[^-]*$`, "examples": []any{"10m-40m", "50m-"}}
		},
	}}
	schema := g.Of(reflect.TypeFor[fileSpec]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "backout rule test file"
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema %s: %w", SchemaFile, err)
	}
	return append(data, '\n'), nil
}
