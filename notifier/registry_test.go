package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/internal/strictyaml"
)

type registrySection struct {
	Name  string         `json:"name"`
	Token backout.Secret `json:"token"`
}

func (s *registrySection) Validate() error {
	if s.Name == "" {
		return errors.New("name: empty")
	}
	return nil
}

// built is a plug-in that shows what it was built with.
type built struct {
	backout.Notifier
	section registrySection
}

func registryKind(name string) Kind {
	return Define(name, "For tests.", func(_ context.Context, s registrySection) (backout.Notifier, error) {
		return built{section: s}, nil
	})
}

func TestRegistryFindsKindsByName(t *testing.T) {
	r, err := NewRegistry(registryKind("b"), registryKind("a"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, r.Names()); diff != "" {
		t.Error(diff)
	}
	k, ok := r.Lookup("b")
	if !ok || k.KindName() != "b" || k.Doc() != "For tests." || len(r.Kinds()) != 2 {
		t.Errorf("b is %q (%q), %v", k.KindName(), k.Doc(), ok)
	}
	if _, ok := r.Lookup("c"); ok {
		t.Error("an unknown kind must not be found, nor fall back to another")
	}
}

func TestRegistryRefusesTwoOfOneName(t *testing.T) {
	if _, err := NewRegistry(registryKind("a"), registryKind("b"), registryKind("a")); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("got %v", err)
	}
}

func TestKindDecodesStrictlyAndValidates(t *testing.T) {
	for text, want := range map[string]string{
		"name: x":                     "",
		"name: x\ntoken: {env: T}":    "",
		"nmae: x":                     `f:1:1: unknown key "nmae": did you mean "name"?`,
		"token: {env: T}":             "name: empty",
		"name: x\ntoken: {evn: T}":    `f:2:9: unknown key "evn": did you mean "env"?`,
		"name: x\nname: y\ntoken: {}": "one of them",
	} {
		doc, problems := strictyaml.Parse("f", []byte(text))
		if problems != nil {
			t.Fatal(problems)
		}
		section, err := registryKind("a").Decode(doc.Root().Decode)
		switch {
		case want == "" && (err != nil || !json.Valid(section)):
			t.Errorf("%q: %s %v", text, section, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestKindBuildsWithItsSecrets(t *testing.T) {
	reader := secret.Reader{LookupEnv: func(name string) (string, bool) { return "value", name == "T" }}
	resolve := func(config any) error { return secret.Resolve(config, reader) }
	got, err := registryKind("a").Build(t.Context(), json.RawMessage(`{"name":"x","token":{"env":"T"}}`), resolve)
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := got.(built); !ok || b.section.Name != "x" || b.section.Token.Reveal() != "value" {
		t.Errorf("built as %T", got)
	}
	for section, want := range map[string]string{
		`{"name":"x","nmae":"y"}`:             "nmae",
		`{"name":""}`:                         "name: empty",
		`{"name":"x","token":{"env":"NONE"}}`: "the environment has no NONE",
	} {
		if _, err := registryKind("a").Build(t.Context(), json.RawMessage(section), resolve); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
