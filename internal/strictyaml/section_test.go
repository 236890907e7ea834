package strictyaml

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

const plugin = `
name: x
with:
  type: slack
  chanel: "#ops"
  token: {env: T}
`

func section(t *testing.T, text string) sample {
	t.Helper()
	var got sample
	if problems := Decode("f", []byte(text), &got); problems != nil {
		t.Fatal(problems)
	}
	return got
}

func TestASectionIsAsStrictAsItsFile(t *testing.T) {
	s := section(t, plugin).With
	var into struct {
		Channel string         `json:"channel"`
		Token   backout.Secret `json:"token"`
	}
	err := s.Without("type").Decode(&into)
	var problems backout.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%T %v", err, err)
	}
	if want := `f:5:3: unknown key "chanel": did you mean "channel"?`; problems.Error() != want {
		t.Errorf("got %v, want %s", problems, want)
	}
	if into.Token.Ref().Env != "T" {
		t.Error("what is right was not read")
	}
	if err := s.Decode(&into); !strings.Contains(err.Error(), `unknown key "type"`) {
		t.Errorf("type passed: %v", err)
	}
}

func TestASectionTellsPlaces(t *testing.T) {
	got := section(t, plugin+"list:\n  - name: a\n    labels: {k: v}\n")
	if diff := cmp.Diff(Pos{"f", 5, 11}, got.With.At("chanel")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Pos{"f", 5, 3}, got.With.KeyAt("chanel")); diff != "" {
		t.Error(diff)
	}
	doc, _ := Parse("f", []byte(plugin+"list:\n  - name: a\n    labels: {k: v}\n"))
	if diff := cmp.Diff(Pos{"f", 9, 17}, doc.At("list", 0, "labels", "k")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(doc.At("list", 0), doc.At("list", 0, "nothing", 3)); diff != "" {
		t.Error("what is not there should stand at its nearest parent", diff)
	}
}

func TestASectionListsItsEntries(t *testing.T) {
	s := section(t, plugin).With
	var keys []string
	for _, e := range s.Without("token").Entries() {
		keys = append(keys, e.Key.Value)
	}
	if diff := cmp.Diff([]string{"type", "chanel"}, keys); diff != "" {
		t.Error(diff)
	}
	if text, ok := s.Entries()[0].Value.Scalar(); !ok || text != "slack" {
		t.Errorf("%q %v", text, ok)
	}
}

func TestASectionThatIsNotThereChangesNothing(t *testing.T) {
	s := section(t, "name: x\nwith:\n")
	into := struct{ A string }{"kept"}
	for _, s := range []Section{{}, s.With} {
		if err := s.Decode(&into); err != nil || into.A != "kept" || !s.IsZero() {
			t.Errorf("%v %+v", err, into)
		}
	}
}

func TestADocumentKnowsItsSecrets(t *testing.T) {
	doc, problems := Parse("f", []byte(plugin))
	if problems != nil {
		t.Fatal(problems)
	}
	var got sample
	if problems := doc.Decode(&got); problems != nil || len(doc.Secrets()) != 0 {
		t.Fatal(problems, doc.Secrets())
	}
	var into struct{ Token backout.Secret }
	_ = got.With.Decode(&into)
	want := []SecretUse{{backout.SecretRef{Env: "T"}, Pos{"f", 6, 10}}}
	if diff := cmp.Diff(want, doc.Secrets()); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLNeverWritesASecret(t *testing.T) {
	data, err := yaml.Marshal(map[string]any{"a": backout.SecretValue("hunter2"), "b": struct{ S *backout.Secret }{new(backout.Secret)}})
	if err != nil || strings.Contains(string(data), "hunter2") {
		t.Errorf("%s %v", data, err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"escalate_after", "approval", "loses", "os"}
	for name, want := range map[string]string{
		"escalte_after": "escalate_after", "escalate-after": "escalate_after", "EscalateAfter": "escalate_after",
		"aproval": "approval", "lose": "loses", "escalate": "escalate_after", "approvals_needed": "approval", "nmae": "", "aprpoval": "approval", "xyz": "", "o": "os", "": "", "zz": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%q is near %q, want %q", name, got, want)
		}
	}
}
