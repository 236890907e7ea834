package backout_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

var update = flag.Bool("update", false, "write testdata/events.txt; names in it never change and never go away, since logs hold them")

// filler gives every field a value of its own, so that nothing can be lost or
// swapped unseen.
type filler struct {
	t     testing.TB
	count int
}

func (f *filler) fill(v reflect.Value, path string) {
	f.t.Helper()
	f.count++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 14, 2, 3, 4, f.count*1000+1, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d,"html":"\u003c"}`, f.count))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				f.fill(v.Field(i), path+"."+field.Name)
			} else {
				f.t.Errorf("%s.%s: an event cannot keep an unexported field", path, field.Name)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0), path+"[0]")
		f.fill(v.Index(1), path+"[1]")
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, path+" key")
		f.fill(value, path+"[…]")
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprintf("%s %d <&>\"\\\n\x00é\u202e\u2028", path, f.count))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.count))
	default:
		f.t.Fatalf("%s is a %s: teach the filler, and think of how logs keep it", path, v.Type())
	}
}

// filled is an event with no empty field.
func filled(t testing.TB, e backout.Event) backout.Event {
	t.Helper()
	v := reflect.New(reflect.TypeOf(e)).Elem()
	(&filler{t: t}).fill(v, e.Kind())
	full, ok := v.Interface().(backout.Event)
	if !ok {
		t.Fatalf("%s is a %T", e.Kind(), v.Interface())
	}
	return full
}

var written = time.Date(2026, 3, 14, 2, 3, 4, 5, time.FixedZone("", 3600))

func TestEveryEventComesBackWhole(t *testing.T) {
	for _, e := range backout.Events() {
		for name, event := range map[string]backout.Event{"full": filled(t, e), "empty": e} {
			want := backout.Record{Op: "op1", By: "server1", At: written, Events: []backout.Event{event}}
			data, err := json.Marshal(want)
			if err != nil {
				t.Errorf("%s %s: %v", name, e.Kind(), err)
				continue
			}
			var got backout.Record
			if err := json.Unmarshal(data, &got); err != nil {
				t.Errorf("%s %s: %v", name, e.Kind(), err)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s (-written +read):\n%s", name, e.Kind(), diff)
			}
		}
	}
}

// Events of one transition stay together, in their order.
func TestARecordKeepsTheOrderOfItsEvents(t *testing.T) {
	want := backout.Record{Op: "op1", At: written}
	for _, e := range backout.Events() {
		want.Events = append(want.Events, filled(t, e), e)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	// What the record held before is gone: nothing of it may shine through.
	got := backout.Record{Op: "before", By: "before", Events: []backout.Event{filled(t, backout.Ended{})}}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
}

// An event that is written and not listed could never be read again.
func TestEventsListsEveryEvent(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Kind" && fn.Recv != nil {
				if receiver, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
					declared[receiver.Name] = true
				}
			}
		}
	}
	listed := map[string]bool{}
	for _, e := range backout.Events() {
		listed[reflect.TypeOf(e).Name()] = true
	}
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("-declared +listed by Events:\n%s", diff)
	}
}

// Names and keys are the contract with the logs that stand on disks. Adding is
// fine (run with -update); what is there stays as it is.
func TestEventNamesAndKeysStay(t *testing.T) {
	var b strings.Builder
	seen := map[string]reflect.Type{}
	for _, e := range backout.Events() {
		if other, twice := seen[e.Kind()]; twice {
			t.Errorf("%s and %T are both called %q", other, e, e.Kind())
		}
		seen[e.Kind()] = reflect.TypeOf(e)
		fmt.Fprintf(&b, "%s\n", e.Kind())
		var keys []string
		collect(reflect.TypeOf(e), "", &keys)
		for _, key := range keys {
			fmt.Fprintf(&b, "  %s\n", key)
		}
	}
	path := filepath.Join("testdata", "events.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("-logs +code: a key that is gone or renamed makes old logs unreadable; when this is only new, run with -update:\n%s", diff)
	}
}

// collect lists the JSON keys of a type with the form of their values.
func collect(typ reflect.Type, path string, into *[]string) {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		*into = append(*into, path+" time")
	case typ == reflect.TypeFor[json.RawMessage]():
		*into = append(*into, path+" json")
	case typ == reflect.TypeFor[backout.Duration]():
		*into = append(*into, path+" duration")
	case typ.Kind() == reflect.Pointer:
		collect(typ.Elem(), path, into)
	case typ.Kind() == reflect.Slice:
		collect(typ.Elem(), path+"[]", into)
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			field := typ.Field(i)
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if options == "omitempty" || options == "omitzero" {
				key += "?"
			}
			collect(field.Type, strings.TrimPrefix(path+"."+key, "."), into)
		}
	case typ.Kind() == reflect.Map:
		*into = append(*into, path+" map")
	default:
		*into = append(*into, path+" "+typ.Kind().String())
	}
}

func TestRecordsOfOtherReleasesAreRefused(t *testing.T) {
	const remedy = "use the release that wrote it, or a newer one"
	for name, tt := range map[string]struct{ text, says, want string }{
		"newer schema": {`{"v":2,"op":"x","at":"2026-03-14T02:03:04Z","events":[]}`, "schema version 2, this release reads up to 1", remedy},
		"newer schema, other shape": {
			`{"v":9,"op":"x","at":"2026-03-14T02:03:04Z","events":[{"kind":"opened","data":{"targets":5}}]}`, "schema version 9", remedy,
		},
		"no schema":       {`{"op":"x","at":"2026-03-14T02:03:04Z","events":[]}`, "schema version 0", "up to 1"},
		"negative schema": {`{"v":-1,"events":[]}`, "schema version -1", "up to 1"},
		"unknown event":   {`{"v":1,"at":"2026-03-14T02:03:04Z","events":[{"kind":"paused","data":{}},{"kind":"teleported","data":{}}]}`, `event "teleported" is not known to this release`, remedy},
		"no kind":         {`{"v":1,"at":"2026-03-14T02:03:04Z","events":[{"data":{}}]}`, `event ""`, remedy},
		"no data":         {`{"v":1,"at":"2026-03-14T02:03:04Z","events":[{"kind":"paused"}]}`, "decode event paused", "JSON"},
		"wrong type":      {`{"v":1,"at":"2026-03-14T02:03:04Z","events":[{"kind":"target_green","data":{"target":5}}]}`, "decode event target_green", "target"},
		"wrong time":      {`{"v":1,"at":"yesterday","events":[]}`, "decode record", "yesterday"},
		"not a record":    {`[]`, "decode record", "array"},
	} {
		var got backout.Record
		err := json.Unmarshal([]byte(tt.text), &got)
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q and %q in it", name, err, tt.says, tt.want)
		}
	}
}

func TestRecordsSayTheirSchema(t *testing.T) {
	data, err := json.Marshal(backout.Record{Op: "op1", By: "s1", At: written, Events: []backout.Event{backout.Paused{By: "ann"}}})
	want := `{"v":1,"op":"op1","by":"s1","at":"2026-03-14T02:03:04.000000005+01:00","events":[{"kind":"paused","data":{"by":"ann"}}]}`
	if err != nil || string(data) != want {
		t.Errorf("%s %v, want %s", data, err, want)
	}
}

// FuzzRecord: no text makes decoding panic; what was decoded can be written, and
// is the same again when it is read.
func FuzzRecord(f *testing.F) {
	for _, e := range backout.Events() {
		data, err := json.Marshal(backout.Record{Op: "op1", By: "s1", At: written, Events: []backout.Event{filled(f, e), e}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		`{}`, `null`, `{"v":1}`, `{"v":2}`, `{"v":1,"events":null}`, `{"v":1,"events":[null]}`, `{"v":1,"events":[{"kind":"opened","data":null}]}`,
		`{"v":1,"events":[{"kind":"opened","data":{"frozen":{"plan":{"levels":[{"steps":[{"with":{"a": "<\u2028"},"timeout":"2d"}]}]}}}}]}`,
		`{"v":1,"at":"0000-01-01T00:00:00+23:59","events":[{"kind":"paused","data":{"BY":"\ud800"}}]}`, "{\"v\":1,\"op\":\"\xff\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second backout.Record
		if json.Unmarshal(data, &first) != nil {
			return
		}
		once, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if err := json.Unmarshal(once, &second); err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once)
		}
		twice, err := json.Marshal(second)
		if err != nil || string(once) != string(twice) {
			t.Errorf("written twice (%v):\n%s\n%s", err, once, twice)
		}
	})
}
