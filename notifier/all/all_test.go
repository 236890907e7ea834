package all

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/notifier"
)

func registry(t *testing.T) *notifier.Registry {
	t.Helper()
	r, err := Registry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/notifiers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryChannelTypeIsThere(t *testing.T) {
	if d := cmp.Diff([]string{"alertmanager", "email", "jira", "pagerduty", "servicenow", "slack", "teams", "webhook"}, registry(t).Names()); d != "" {
		t.Errorf("channel types (-want +got):\n%s", d)
	}
	for _, k := range registry(t).Kinds() {
		if k.Doc() == "" || k.Style().Kind != k.KindName() {
			t.Errorf("%s: doc %q, style of %q", k.KindName(), k.Doc(), k.Style().Kind)
		}
	}
}

// TestEveryChannelTypePassesTheSuite: redelivery, order, Retry-After, hostile content
// and secrets are tested for each in the same way.
func TestEveryChannelTypePassesTheSuite(t *testing.T) {
	for _, name := range registry(t).Names() {
		files, err := filepath.Glob("../" + name + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		runs := false
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runs = runs || strings.Contains(string(data), "notifiertest.Run(")
		}
		if !runs {
			t.Errorf("no test in notifier/%s calls notifiertest.Run", name)
		}
	}
}

// TestPageListsEveryKey: docs/notifiers.md has the keys, what is needed and what
// they mean, as the Go types say.
func TestPageListsEveryKey(t *testing.T) {
	text := page(t)
	for _, k := range registry(t).Kinds() {
		_, section, found := strings.Cut(text, "\n## "+k.KindName()+"\n")
		if !found {
			t.Errorf("there is no section on %s", k.KindName())
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		var want strings.Builder
		want.WriteString("| key | needed | what |\n|---|---|---|\n")
		for _, f := range strictyaml.Fields(reflect.TypeOf(k.Config()).Elem()) {
			needed := ""
			if f.Required {
				needed = "yes "
			}
			if f.Doc == "" {
				t.Errorf("%s: the key %s says nothing", k.KindName(), f.Key)
			}
			fmt.Fprintf(&want, "| `%s` | %s| %s |\n", f.Key, needed, f.Doc)
		}
		if !strings.Contains(section, want.String()) {
			t.Errorf("the section on %s lacks this table:\n%s", k.KindName(), want.String())
		}
	}
}

func TestPageListsMomentsFieldsAndFunctions(t *testing.T) {
	text := page(t)
	for _, m := range backout.Moments() {
		if !strings.Contains(text, "`"+string(m)+"`") {
			t.Errorf("the moment %s is missing", m)
		}
	}
	notice := reflect.TypeFor[backout.Notice]()
	for i := range notice.NumField() {
		if name := "`." + notice.Field(i).Name + "`"; !strings.Contains(text, name) {
			t.Errorf("the field %s is missing", name)
		}
	}
	for _, f := range notifier.Functions() {
		if !strings.Contains(text, "`"+f+"`") && !strings.Contains(text, "`"+f+" ") {
			t.Errorf("the function %s is missing", f)
		}
	}
}

// TestPageSaysHowMuchAMomentMatters: the table of severities is that of the code.
func TestPageSaysHowMuchAMomentMatters(t *testing.T) {
	text := page(t)
	by := map[notifier.Severity][]string{}
	for _, m := range backout.Moments() {
		by[notifier.SeverityOf(m)] = append(by[notifier.SeverityOf(m)], string(m))
	}
	for _, severity := range []notifier.Severity{notifier.SeverityCritical, notifier.SeverityError, notifier.SeverityWarning} {
		_, rest, _ := strings.Cut(text, "\n| "+string(severity)+" | ")
		row, _, _ := strings.Cut(rest, " |\n")
		said := strings.Split(strings.ReplaceAll(row, "`", ""), ", ")
		// Those that are change events have no severity.
		want := slices.DeleteFunc(by[severity], func(m string) bool { return slices.Contains([]string{"gate_refused", "not_ready", "reopened"}, m) })
		slices.Sort(said)
		slices.Sort(want)
		if d := cmp.Diff(want, said); d != "" {
			t.Errorf("%s (-want +got):\n%s", severity, d)
		}
	}
}

func fenced(t *testing.T, text, language string) []string {
	t.Helper()
	var out []string
	for {
		_, rest, found := strings.Cut(text, "\n```"+language+"\n")
		if !found {
			return out
		}
		block, rest, _ := strings.Cut(rest, "\n```")
		out = append(out, block)
		text = rest
	}
}

// TestPagesExamplesWork: the YAML of the page decodes, strictly, and its
// templates load.
func TestPagesExamplesWork(t *testing.T) {
	r := registry(t)
	for _, block := range fenced(t, page(t), "yaml") {
		var config struct {
			Channels  map[string]strictyaml.Section `yaml:"channels"`
			Audiences map[string][]string           `yaml:"audiences"`
			// Package app loads these.
			Kinds     map[string]string             `yaml:"audience_kinds"`
			Routes    []strictyaml.Section          `yaml:"routes"`
			Intervals map[string]strictyaml.Section `yaml:"time_intervals"`
		}
		if problems := strictyaml.Decode("docs/notifiers.md", []byte(block), &config); problems != nil {
			t.Fatal(problems)
		}
		for name, section := range config.Channels {
			var kind struct {
				Type string `yaml:"type"`
			}
			for _, e := range section.Entries() {
				if e.Key.Value == "type" {
					kind.Type, _ = e.Value.Scalar()
				}
			}
			k, ok := r.Lookup(kind.Type)
			if !ok {
				t.Fatalf("%s: there is no channel type %q", name, kind.Type)
			}
			if _, err := k.Decode(section.Without("type").Decode); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, block := range fenced(t, page(t), "") {
		if strings.Contains(block, "{{ define") {
			if _, problems := notifier.NewTemplatesFor(map[string]string{"docs/notifiers.md": block}, notifier.Known{Channels: r.Names(), Audiences: []string{"ops", "management"}}); problems != nil {
				t.Error(problems)
			}
		}
	}
}

// TestMisspeltKeysAreFoundWithTheirPlace: sections are as strict as the rest.
func TestMisspeltKeysAreFoundWithTheirPlace(t *testing.T) {
	for kind, section := range map[string]string{
		"slack":   "chanel: C0123456789\ntoken: {env: T}\n",
		"email":   "smpt: mail.example:25\n",
		"webhook": "secert: {env: S}\n",
		"teams":   "ulr: {env: U}\n",

		"pagerduty":    "routing-key: {env: K}\n",
		"alertmanager": "url: http://am:9093\n",
		"servicenow":   "instanec: x\n",
		"jira":         "porject: x\n",
	} {
		doc, problems := strictyaml.Parse("backout.yaml", []byte(section))
		if problems != nil {
			t.Fatal(problems)
		}
		k, _ := registry(t).Lookup(kind)
		_, err := k.Decode(doc.Root().Decode)
		if err == nil || !strings.Contains(err.Error(), "backout.yaml:1:1:") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
