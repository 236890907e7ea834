package strictyaml

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

type labels map[string]string

type embedded struct {
	Site string `json:"site"`
}

type sample struct {
	Pos      Pos
	Name     string           `yaml:"name"`
	Port     int              `yaml:"port"`
	Small    uint8            `yaml:"small"`
	Share    float64          `yaml:"share"`
	Sudo     bool             `yaml:"sudo"`
	After    backout.Duration `json:"escalate_after"`
	Audience []string         `json:"audience"`
	Labels   labels           `json:"labels"`
	Mode     At[string]       `yaml:"mode" enum:"none,veto,required"`
	Token    backout.Secret   `yaml:"token"`
	Opens    time.Time        `yaml:"opens"`
	With     Section          `yaml:"with"`
	Next     *sample          `yaml:"next"`
	List     []sample         `yaml:"list"`
	Any      any              `yaml:"any"`
	Raw      json.RawMessage  `yaml:"raw"`
	Ints     map[int]string   `yaml:"ints"`
	Form     form             `yaml:"form"`
	Hidden   string           `yaml:"-"`
	embedded
}

// form is written as a word or as a mapping.
type form struct {
	Word  string
	Votes int
}

func (f *form) UnmarshalYAML(decode func(any) error) error {
	if decode(&f.Word) == nil {
		return nil
	}
	var long struct {
		Votes int `yaml:"votes"`
	}
	if err := decode(&long); err != nil {
		return err
	}
	f.Votes = long.Votes
	return nil
}

func TestDecodeFillsEveryKind(t *testing.T) {
	var got sample
	problems := Decode("f.yaml", []byte(`
name: web
port: 0x1f
small: 255
share: 1e3
sudo: True
escalate_after: 1d12h
audience: [ops, "dba"]
labels: &l {team: web, tier: "1"}
mode: veto
token: {env: TOKEN}
opens: 2026-01-31T14:05:00Z
next:
  <<: {name: merged, port: 1}
  port: 2
  labels: *l
list:
  - name: a
  - site: dc1
any: {a: [1, 1.5, true, x, null]}
raw: {b: 2}
ints: {7: seven}
form: {votes: 2}
site: dc2
`), &got)
	if problems != nil {
		t.Fatal(problems)
	}
	checks := map[string][2]any{
		"position": {got.Pos, Pos{"f.yaml", 2, 1}},
		"numbers":  {[]any{got.Port, got.Small, got.Share, got.Sudo}, []any{31, uint8(255), 1000.0, true}},
		"duration": {got.After.String(), "36h"},
		"list":     {got.Audience, []string{"ops", "dba"}},
		"map":      {got.Labels, labels{"team": "web", "tier": "1"}},
		"at":       {got.Mode, At[string]{"veto", Pos{"f.yaml", 10, 7}}},
		"secret":   {got.Token.Ref(), backout.SecretRef{Env: "TOKEN"}},
		"time":     {got.Opens, time.Date(2026, 1, 31, 14, 5, 0, 0, time.UTC)},
		"merge":    {[]any{got.Next.Name, got.Next.Port, got.Next.Labels}, []any{"merged", 2, got.Labels}},
		"structs":  {[]any{got.List[0].Name, got.List[1].Site, got.List[1].Pos.Line}, []any{"a", "dc1", 19}},
		"any":      {got.Any, map[string]any{"a": []any{int64(1), 1.5, true, "x", nil}}},
		"raw":      {string(got.Raw), `{"b":2}`},
		"int keys": {got.Ints, map[int]string{7: "seven"}},
		"custom":   {got.Form, form{Votes: 2}},
		"embedded": {got.Site, "dc2"},
	}
	for name, c := range checks {
		if diff := cmp.Diff(c[1], c[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A text is what stands in the file, whatever YAML 1.1 or 1.2 would make of it.
func TestTextsStayAsWritten(t *testing.T) {
	for _, text := range []string{"0123", "1.10", "yes", "no", "on", "true", "1_000", "0x1f", "1e3", "2026-01-31", "12:30", ".inf", "=", "y"} {
		var got struct{ V string }
		if problems := Decode("f", []byte("v: "+text+"\n"), &got); problems != nil || got.V != text {
			t.Errorf("v: %s became %q %v", text, got.V, problems)
		}
	}
}

func TestEveryMistakeIsReportedAtItsPlace(t *testing.T) {
	tests := map[string]struct{ yaml, want string }{
		"misspelt key": {
			"name: x\nescalte_after: 3m\n",
			`f:2:1: unknown key "escalte_after": did you mean "escalate_after"?`,
		},
		"all at once": {
			"nmae: x\nport: many\nsudo: yes\nlist:\n  - nam: a\n    port: [1]\n  - prot: 1\n",
			"f:1:1: unknown key \"nmae\": did you mean \"name\"?\n" +
				"f:2:7: port: want a whole number, got the text \"many\"\n" +
				"f:3:7: sudo: want true or false, got the text \"yes\": write true\n" +
				"f:5:5: unknown key \"nam\": did you mean \"name\"?\n" +
				"f:6:11: port: want a whole number, got a list\n" +
				"f:7:5: unknown key \"prot\": did you mean \"port\"?",
		},
		"tags, twice, aliases and types together": {
			"name: !!str a\nport: *x\nsudo: 1\nsudo: 2\nnmae: a\n",
			"f:1:7: the tag !!str: remove it: values have the type that their key wants\n" +
				"f:2:7: no anchor \"x\" stands above: define it first with &x, or put quotes round the text\n" +
				"f:3:7: sudo: want true or false, got the number 1\n" +
				"f:4:1: the key \"sudo\" stands twice: remove one; the first is in line 3\n" +
				"f:5:1: unknown key \"nmae\": did you mean \"name\"?",
		},
		"key twice":        {"name: a\nname: b\n", `f:2:1: the key "name" stands twice: remove one; the first is in line 1`},
		"label twice":      {"labels: {a: 1, a: 2}\n", `f:1:16: the key "a" stands twice: remove one; the first is in line 1`},
		"leading zero":     {"port: 0123\n", "f:1:7: port: the number 0123 starts with 0, which YAML 1.1 and 1.2 read differently: leave the 0 away"},
		"quoted number":    {"port: \"22\"\n", `f:1:7: port: want a whole number, got the text "22": remove the quotes`},
		"too large":        {"small: 256\n", "f:1:8: small: want a number from 0 on that is not too large, got the number 256"},
		"negative":         {"small: -1\n", "f:1:8: small: want a number from 0 on that is not too large, got the number -1"},
		"huge":             {"port: 99999999999999999999\n", "f:1:7: port: want a whole number of at most 64 bits, got the text \"99999999999999999999\""},
		"infinite":         {"share: .inf\n", "f:1:8: share: want a number, got the number .inf"},
		"no value":         {"name:\nport: 1\n", "f:1:1: name: has no value: give it one, or remove the key"},
		"null":             {"name: ~\n", "f:1:1: name: has no value: give it one, or remove the key"},
		"bad duration":     {"escalate_after: soon\n", `f:1:17: escalate_after: duration "soon": want a number and a unit, such as 90s, 30m, 12h or 2d`},
		"duration as list": {"escalate_after: [1]\n", "f:1:17: escalate_after: want a single value, got a list"},
		"word for list":    {"audience: ops\n", `f:1:11: audience: want a list, got the text "ops": write it in brackets: [ops]`},
		"empty entry":      {"audience:\n  - a\n  -\n", "f:3:5: audience[1]: an empty entry: give it a value or remove its line"},
		"list for mapping": {"labels: [a]\n", "f:1:9: labels: want a mapping (key: value), got a list"},
		"mapping for text": {"labels:\n  a: {b: c}\n", "f:2:6: labels.a: want a text, got a mapping"},
		"unknown word":     {"mode: vito\n", `f:1:7: mode: unknown value "vito": did you mean "veto"?`},
		"unknown word 2":   {"mode: auto\n", `f:1:7: mode: unknown value "auto": write one of none, veto, required`},
		"secret as text":   {"token: hunter2\n", "f:1:8: token: a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, never as its value: put the value into a file that only the server may read"},
		"secret misspelt":  {"token: {fiel: x}\n", `f:1:9: unknown key "fiel": did you mean "file"?`},
		"secret twice":     {"token: {file: x, env: y}\n", "f:1:8: token: a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, one of them"},
		"time":             {"opens: tomorrow\n", `f:1:8: opens: want a time with its zone, got the text "tomorrow": write it like 2026-01-31T14:05:00Z or 2026-01-31T14:05:00+02:00`},
		"custom":           {"form: {vots: 1}\n", `f:1:8: unknown key "vots": did you mean "votes"?`},
		"bad map key":      {"ints: {seven: 7}\n", `f:1:8: want a whole number, got the text "seven"`},
		"unknown anchor":   {"labels: &web {}\nname: *wbe\n", `f:2:7: no anchor "wbe" stands above: did you mean "web"?`},
		"own anchor":       {"audience: &a [*a]\n", `f:1:15: the anchor "a" holds itself: remove the alias`},
		"merge of text":    {"labels: {<<: x}\n", `f:1:14: <<: want a mapping to merge, got the text "x": write <<: *anchor`},
		"tag":              {"name: !!str 1\n", "f:1:7: the tag !!str: remove it: values have the type that their key wants"},
		"second document":  {"name: a\n---\nname: b\n", "f:3:5: a second document in one file: remove the --- line, or make it a file of its own"},
		"directive":        {"%YAML 1.1\n---\nname: a\n", "f:1:1: a YAML directive: remove the line that starts with %"},
		"not a mapping":    {"- a\n", "f:1:1: want a mapping (key: value), got a list"},
		"tab":              {"labels:\n\ta: 1\n", "f:2:1: not YAML: a tab where spaces belong: indent with spaces"},
		"open bracket":     {"audience: [a\nname: b\n", "f:2:1: not YAML: ',' or ']' must be specified: check indentation, quotes and brackets here and just above"},
		"not UTF-8":        {"name: ä\nport: \xff\n", "f:2:7: not UTF-8 text: save the file as UTF-8"},
		"control":          {"name: a\x00\n", `f:1:8: control character U+0000: remove it, or write it as "\x..." in double quotes`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Decode("f", []byte(tt.yaml), new(sample))
			if diff := cmp.Diff(tt.want, got.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestASecretWrittenOutIsNotRepeatedInTheProblem(t *testing.T) {
	for _, yaml := range []string{"token: hunter2", "token: [hunter2]", "token: {file: [hunter2]}", "token: {file: {hunter2: x}}", "token: 'hunter2'"} {
		got := Decode("f", []byte(yaml), new(sample))
		if len(got) == 0 || strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%s: %v", yaml, got)
		}
	}
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	for _, data := range []string{"", "# only a comment\n", "---\n", "\ufeff", "\n\n"} {
		got := sample{Name: "kept"}
		if problems := Decode("f", []byte(data), &got); problems != nil || got.Name != "kept" {
			t.Errorf("%q: %v, name %q", data, problems, got.Name)
		}
	}
}

func TestOneMistakeBehindManyAliasesIsOneProblem(t *testing.T) {
	yaml := "list:\n  - &a {nmae: x}\n  - *a\n  - *a\n"
	if got := Decode("f", []byte(yaml), new(sample)); len(got) != 1 || got[0].Line != 2 {
		t.Errorf("%v", got)
	}
}

func TestDecodeNeedsAPointer(t *testing.T) {
	if got := Decode("f", []byte("a: 1"), sample{}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestRequiredKeys(t *testing.T) {
	type entry struct {
		Name string `yaml:"name" required:"true"`
		Uses string `yaml:"uses"`
	}
	for text, want := range map[string]string{
		"v: [{uses: a}]":    `f:1:5: the key "name" is missing: add it`,
		"v: [{nmae: a}]":    `f:1:6: unknown key "nmae": did you mean "name"?`, // and not missing as well
		"v: [{name: }]":     "f:1:6: name: has no value: give it one, or remove the key",
		"v: [{name: a}]":    "",
		"v: [{<<: *a}]":     `f:1:10: no anchor "a" stands above: define it first with &a, or put quotes round the text` + "\n" + `f:1:5: the key "name" is missing: add it`,
		"v: [&a {name: x}]": "",
	} {
		var got struct{ V []entry }
		problems := Decode("f", []byte(text), &got)
		lines := strings.Split(problems.Error(), "\n")
		wanted := strings.Split(want, "\n")
		slices.Sort(lines)
		slices.Sort(wanted)
		if diff := cmp.Diff(wanted, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestProblemsOfCustomTypesAreKept(t *testing.T) {
	var got struct{ V refuser }
	problems := Decode("f", []byte("v: 1"), &got)
	if want := "f:1:4: v: I refuse"; problems.Error() != want {
		t.Errorf("got %v, want %s", problems, want)
	}
}

type refuser struct{}

func (*refuser) UnmarshalYAML(func(any) error) error { return errors.New("I refuse") }

func TestInputIsBounded(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	var wide strings.Builder
	for i := range maxKeys + 10 {
		fmt.Fprintf(&wide, "k%d: v\n", i)
	}
	tests := map[string]struct{ yaml, want string }{
		"alias bomb":     {bomb.String(), "the aliases of this file unfold to too much"},
		"size":           {strings.Repeat(" ", MaxBytes+1), "the file is larger than 4 MiB"},
		"brackets":       {strings.Repeat("[", 100_000), "nested more than 64 levels deep"},
		"closed":         {strings.Repeat("[", 70) + strings.Repeat("]", 70), "nested more than 64 levels deep"},
		"dashes":         {strings.Repeat("- ", 100_000), "nested more than 64 levels deep"},
		"questions":      {strings.Repeat("? ", 100_000), "nested more than 64 levels deep"},
		"anchors":        {strings.Repeat("&a ", 100_000), "nested more than 64 levels deep"},
		"colons":         {strings.Repeat("a: ", 10_000), "nested more than 64 levels deep"},
		"keys":           {wide.String(), "more than 10000 keys in one mapping"},
		"keys in braces": {"{" + strings.Repeat("a: b, ", 50_000) + "}", "more than 10000 keys in one mapping"},
		"empty values":   {strings.Repeat("- a:\n", 50_000), "more than 2000 empty values"},
		"empty entries":  {strings.Repeat("-\n", 50_000), "more than 2000 empty values"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			var got any
			problems := Decode("f", []byte(tt.yaml), &got)
			if len(problems) != 1 || !strings.Contains(problems.Error(), tt.want) {
				t.Errorf("got %.200v, want %s", problems, tt.want)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}

func TestALargeInventoryFits(t *testing.T) {
	var b strings.Builder
	b.WriteString("list:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - name: host%d.example.org\n    port: 22\n    labels: {team: web, tier: front}\n    site: dc1\n", i)
	}
	var got sample
	if problems := Decode("f", []byte(b.String()), &got); problems != nil || len(got.List) != 10_000 {
		t.Fatalf("%d %v", len(got.List), problems)
	}
	if last := got.List[9_999]; last.Name != "host9999.example.org" || last.Pos.Line != 2+4*9_999 {
		t.Errorf("last is %s in line %d", last.Name, last.Pos.Line)
	}
}
