package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/internal/strictyaml"
)

type section struct {
	Name  string            `json:"name"`
	Tags  map[string]string `json:"tags,omitempty"`
	Token backout.Secret    `json:"token"`
}

func (s *section) Validate() error {
	if s.Name == "" {
		return errors.New("name: empty")
	}
	return nil
}

func kind(name string) Kind[*section] {
	return Define(name, "For tests.", func(_ context.Context, s section) (*section, error) { return &s, nil })
}

// yaml reads a section as the config does: strictly.
func yaml(t *testing.T, text string) func(any) error {
	t.Helper()
	doc, problems := strictyaml.Parse("f", []byte(text))
	if problems != nil {
		t.Fatal(problems)
	}
	return doc.Root().Decode
}

func TestDecodeReturnsCanonicalJSON(t *testing.T) {
	a, err := kind("k").Decode(yaml(t, "tags: {b: 1, a: 2}\nname: x\ntoken: {env: T}\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := kind("k").Decode(yaml(t, "name: 'x'\ntoken:\n  env: T\ntags:\n  a: \"2\"\n  b: \"1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"x","tags":{"a":"2","b":"1"},"token":{"env":"T"}}`
	if diff := cmp.Diff([]string{want, want}, []string{string(a), string(b)}); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"nmae: x":             `f:1:1: unknown key "nmae": did you mean "name"?`,
		"name: [x]":           "f:1:7: name: want a text, got a list",
		"name: x\ntoken: abc": "never as its value",
		"tags: {a: b}":        "name: empty",
	} {
		raw, err := kind("k").Decode(yaml(t, text))
		if err == nil || raw != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s %v, want %q", text, raw, err, want)
		}
	}
}

func TestBuildResolvesSecretsAfterDecoding(t *testing.T) {
	k := kind("k")
	raw, err := k.Decode(yaml(t, "name: x\ntoken: {env: T}\n"))
	if err != nil {
		t.Fatal(err)
	}
	reader := secret.Reader{LookupEnv: func(name string) (string, bool) { return "value of " + name, true }}
	built, err := k.Build(t.Context(), raw, func(config any) error { return secret.Resolve(config, reader) })
	if err != nil || built.Token.Reveal() != "value of T" {
		t.Errorf("%v, secret of %d bytes", err, len(built.Token.Reveal()))
	}
	built, err = k.Build(t.Context(), raw, nil)
	if err != nil || built.Token.Reveal() != "" {
		t.Errorf("without a resolver: %v", err)
	}
}

func TestBuildSurvivesASecretThatWasNotGiven(t *testing.T) {
	raw, err := kind("k").Decode(yaml(t, "name: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := kind("k").Build(t.Context(), raw, nil)
	if err != nil || !built.Token.IsZero() {
		t.Errorf("%v", err)
	}
}

func TestBuildRefusesWhatDecodeWould(t *testing.T) {
	for name, tt := range map[string]struct {
		section string
		resolve Resolver
		want    string
		retry   bool
	}{
		"unknown key":       {section: `{"name":"x","nmae":"y"}`, want: "nmae"},
		"wrong kind":        {section: `{"name":1}`, want: "decode section of k"},
		"not JSON":          {section: `{`, want: "decode section of k"},
		"invalid":           {section: `{}`, want: "section of k: name: empty"},
		"nothing":           {section: ``, want: "section of k: name: empty"},
		"a secret in clear": {section: `{"name":"x","token":"hunter2"}`, want: "never as its value"},
		// A file server that is away may come back.
		"secret not there": {section: `{"name":"x"}`, resolve: func(any) error { return errors.New("gone") }, want: "secrets of k: gone", retry: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kind("k").Build(t.Context(), json.RawMessage(tt.section), tt.resolve)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if backout.IsPermanent(err) == tt.retry {
				t.Errorf("permanent is %v: %v", !tt.retry, err)
			}
		})
	}
}

func TestEachBuildHasItsOwnSection(t *testing.T) {
	k := kind("k")
	first, err := k.Build(t.Context(), json.RawMessage(`{"name":"a","tags":{"x":"1"}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Build(t.Context(), json.RawMessage(`{"name":"b"}`), nil)
	if err != nil || second.Tags != nil || first.Name != "a" {
		t.Errorf("%+v %+v %v", first, second, err)
	}
	if k.Config() == k.Config() {
		t.Error("two configs are one")
	}
}

func TestRegistry(t *testing.T) {
	r, err := NewRegistry(kind("b"), kind("a"), kind("a.c"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "a.c", "b"}, r.Names()); diff != "" {
		t.Error(diff)
	}
	if k, ok := r.Lookup("b"); !ok || k.Name != "b" {
		t.Errorf("b is %v %v", k.Name, ok)
	}
	for _, name := range []string{"", "c", "B", "a."} {
		if _, ok := r.Lookup(name); ok {
			t.Errorf("%q was found", name)
		}
	}
	r.Kinds()[0] = kind("z")
	if !slices.Equal(r.Names(), []string{"a", "a.c", "b"}) {
		t.Error("a caller changed the registry")
	}
	if _, err := NewRegistry(kind("a"), kind("b"), kind("a")); err == nil || !strings.Contains(err.Error(), `"a" is registered twice`) {
		t.Errorf("two of one name: %v", err)
	}
	var empty Registry[Kind[*section]]
	if _, ok := empty.Lookup("a"); ok || len(empty.Names()) != 0 {
		t.Error("the zero registry is not empty")
	}
}
