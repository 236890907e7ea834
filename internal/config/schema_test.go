package config

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/backout-io/backout/internal/strictyaml"
)

func schemas(t *testing.T, kinds Kinds) map[string]map[string]any {
	t.Helper()
	files, err := Schema(kinds)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for name, data := range files {
		var schema map[string]any
		if err := json.Unmarshal(data, &schema); err != nil {
			t.Fatal(err)
		}
		out[name] = schema
	}
	return out
}

// schemaOf says which schema a file of an archive answers to.
func schemaOf(name string) string {
	switch {
	case name == "backout.yaml":
		return SchemaServer
	case strings.HasPrefix(name, "plans/"), name == "p.yaml":
		return SchemaPlans
	case strings.HasPrefix(name, "inv"), name == "i.yaml":
		return SchemaInventory
	}
	return ""
}

func parse(t *testing.T, name string, data []byte) any {
	t.Helper()
	var value any
	if problems := strictyaml.Decode(name, data, &value); problems != nil {
		t.Fatal(problems)
	}
	return plain(value)
}

// plain makes every number a float64, as JSON has them.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

func TestSchemasTakeWhatLoads(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/good/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	all := schemas(t, fakeKinds(t))
	checked := 0
	for _, f := range archive.Files {
		schema := all[schemaOf(f.Name)]
		if schema == nil {
			continue
		}
		checked++
		if why := refuse(schema, parse(t, f.Name, f.Data), f.Name); why != "" {
			t.Error(why)
		}
	}
	if checked != 4 {
		t.Errorf("%d files were checked", checked)
	}
}

func TestSchemasRefuseSlips(t *testing.T) {
	all := schemas(t, fakeKinds(t))
	for _, tt := range []struct{ schema, yaml string }{
		{SchemaServer, "lisen: x"},
		{SchemaServer, "channels: {a: {}}"},
		{SchemaServer, "channels: {a: {type: pager}}"},
		{SchemaServer, "channels: {a: {type: chat, chanel: x}}"},
		{SchemaServer, "ssh: {key: hunter2}"},
		{SchemaServer, "ssh: {key: {file: a, env: b}}"},
		{SchemaServer, "intake: {max_body: 4MB}"},
		{SchemaServer, "auth: {tokens: [{name: a}]}"},
		{SchemaServer, "auth: {roles: [{role: root, users: [a], where: everywhere}]}"},
		{SchemaServer, "auth: {roles: [{role: admin, users: [a]}]}"},
		{SchemaServer, "auth: {roles: [{role: admin, users: [a], where: anywhere}]}"},
		{SchemaServer, "auth: {roles: [{role: admin, users: [a], where: {}}]}"},
		{SchemaInventory, "{}"},
		{SchemaInventory, "targets: [{transport: local}]"},
		{SchemaInventory, "targets: [{name: a, transport: shh}]"},
		{SchemaPlans, "plans: [{name: a}]"},
		{SchemaPlans, "plans: [{name: a, levels: [{steps: [{uses: comand}]}]}]"},
		{SchemaPlans, "plans: [{name: a, levels: [{steps: [{uses: command, with: {arg: [a]}}]}]}]"},
		{SchemaPlans, "plans: [{name: a, levels: [{approval: maybe, steps: []}]}]"},
		{SchemaPlans, "plans: [{name: a, levels: [{escalate_after: 30, steps: []}]}]"},
		{SchemaPlans, "plans: [{name: a, levels: [], verify: {checks: [{http: {}, unit: {}}]}}]"},
		{SchemaPlans, "plans: [{name: a, levels: [], verify: {checks: [{dns: {}}]}}]"},
	} {
		if refuse(all[tt.schema], parse(t, "f", []byte(tt.yaml)), "") == "" {
			t.Errorf("%s takes %s", tt.schema, tt.yaml)
		}
	}
}

func TestSchemaIsTheSameEveryTime(t *testing.T) {
	first, _ := Schema(fakeKinds(t))
	again, _ := Schema(fakeKinds(t))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
}

// refuse is the part of JSON Schema that the schemas use; "" means valid.
func refuse(schema map[string]any, v any, at string) string {
	for _, inner := range list(schema["allOf"]) {
		if why := refuse(inner, v, at); why != "" {
			return why
		}
	}
	for key, least := range map[string]int{"anyOf": len(list(schema["anyOf"])), "oneOf": 1} {
		if all := list(schema[key]); all != nil {
			valid := slices.DeleteFunc(slices.Clone(all), func(s map[string]any) bool { return refuse(s, v, at) != "" })
			if len(valid) == 0 || len(valid) > least {
				return fmt.Sprintf("%s: %d of %s fit", at, len(valid), key)
			}
		}
	}
	if cond, ok := schema["if"].(map[string]any); ok && refuse(cond, v, at) == "" {
		then, _ := schema["then"].(map[string]any)
		if why := refuse(then, v, at); why != "" {
			return why
		}
	}
	if want, ok := schema["const"]; ok && want != v {
		return fmt.Sprintf("%s: %v is not %v", at, v, want)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.ContainsFunc(enum, func(e any) bool { return e == v }) {
		return fmt.Sprintf("%s: %v is not one of %v", at, v, enum)
	}
	if why := refuseType(schema, v, at); why != "" {
		return why
	}
	switch v := v.(type) {
	case map[string]any:
		return refuseObject(schema, v, at)
	case []any:
		items, _ := schema["items"].(map[string]any)
		if most, ok := schema["maxItems"].(float64); ok && float64(len(v)) > most {
			return at + ": too many entries"
		}
		for i, item := range v {
			if why := refuse(items, item, fmt.Sprintf("%s[%d]", at, i)); why != "" {
				return why
			}
		}
	case float64:
		if least, ok := schema["minimum"].(float64); ok && v < least {
			return fmt.Sprintf("%s: %v is less than %v", at, v, least)
		}
	case string:
		if most, ok := schema["maxLength"].(float64); ok && float64(len([]rune(v))) > most {
			return at + ": too long"
		}
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			return fmt.Sprintf("%s: %q does not match %s", at, v, pattern)
		}
	}
	return ""
}

func refuseType(schema map[string]any, v any, at string) string {
	types, ok := schema["type"].([]any)
	if !ok && schema["type"] != nil {
		types = []any{schema["type"]}
	}
	if types == nil {
		return ""
	}
	is := map[string]bool{"null": v == nil}
	switch v := v.(type) {
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, v == math.Trunc(v)
	case map[string]any:
		is["object"] = true
	case []any:
		is["array"] = true
	}
	for _, t := range types {
		if name, _ := t.(string); is[name] {
			return ""
		}
	}
	return fmt.Sprintf("%s: %v is no %v", at, v, types)
}

func refuseObject(schema, v map[string]any, at string) string {
	required, _ := schema["required"].([]any)
	for _, r := range required {
		if _, ok := v[r.(string)]; !ok {
			return fmt.Sprintf("%s: no %v", at, r)
		}
	}
	needs, _ := schema["dependentRequired"].(map[string]any)
	for key, others := range needs {
		if _, ok := v[key]; !ok {
			continue
		}
		for _, other := range others.([]any) {
			if _, ok := v[other.(string)]; !ok {
				return fmt.Sprintf("%s: %s needs %v", at, key, other)
			}
		}
	}
	if least, ok := schema["minProperties"].(float64); ok && float64(len(v)) < least {
		return at + ": too few keys"
	}
	if most, ok := schema["maxProperties"].(float64); ok && float64(len(v)) > most {
		return at + ": too many keys"
	}
	known, _ := schema["properties"].(map[string]any)
	for key, value := range v {
		inner, ok := known[key].(map[string]any)
		if !ok {
			if schema["additionalProperties"] == false {
				return fmt.Sprintf("%s: unknown key %s", at, key)
			}
			inner, _ = schema["additionalProperties"].(map[string]any)
		}
		if why := refuse(inner, value, at+"."+key); why != "" {
			return why
		}
	}
	return ""
}

func list(v any) []map[string]any {
	all, _ := v.([]any)
	var out []map[string]any
	for _, a := range all {
		if m, ok := a.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// golden compares a generated file with the one that is kept.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go generate ./internal/config", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale: run go generate ./internal/config (-want +got):\n%s", path, diff)
	}
}
