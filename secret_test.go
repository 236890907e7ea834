package backout_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// value has letters, digits, and characters that encoders write in other ways.
const value = "hunter2-Zq9<&\"\n"

var kept = backout.SecretRef{File: "/etc/backout/token"}

// adapter is built as plug-ins are: secrets in exported and unexported fields.
type adapter struct {
	Public  backout.Secret
	Pointer *backout.Secret
	hidden  backout.Secret
	pointer *backout.Secret
	list    []backout.Secret
	array   [1]backout.Secret
	byName  map[string]backout.Secret
	byKey   map[backout.Secret]string
	any     any
	inner   struct{ token backout.Secret }
	backout.Secret
}

// failure is an error that carries its configuration, as some do.
type failure struct{ config any }

func (f failure) Error() string { return fmt.Sprintf("call %v: refused", f.config) }

// holders are values that hold the secret somewhere.
func holders() map[string]any {
	s, bare := backout.NewSecret(kept).WithValue(value), backout.SecretValue(value)
	a := adapter{
		Public: s, Pointer: &bare, hidden: bare, pointer: &s, list: []backout.Secret{s, bare}, array: [1]backout.Secret{bare},
		byName: map[string]backout.Secret{"a": s}, byKey: map[backout.Secret]string{bare: "b"}, any: bare, Secret: bare,
	}
	a.inner.token = bare
	pointer := &s
	return map[string]any{
		"referenced": s, "bare": bare, "pointer": pointer, "pointer to pointer": &pointer, "struct": a, "pointer to struct": &a,
		"anonymous": struct{ token backout.Secret }{bare}, "slice": []backout.Secret{s, bare}, "slice of any": []any{s, &bare, a},
		"map": map[string]backout.Secret{"a": s, "b": bare}, "map to any": map[string]any{"a": &a}, "key": map[backout.Secret]int{bare: 1},
		"error": failure{a}, "wrapped": fmt.Errorf("open: %w", failure{&bare}), "joined": errors.Join(failure{s}, failure{a}),
		"formatted": fmt.Errorf("token %s %v %q %x %d", s, a, bare, bare, bare), "channel of": make(chan backout.Secret), "function": s.Reveal,
	}
}

// shown tells in which form the value stands in the text.
func shown(text string) string {
	core := "hunter2-Zq9"
	for form, s := range map[string]string{
		"itself": core, "hex": hex.EncodeToString([]byte(core)), "spaced hex": strings.TrimSpace(fmt.Sprintf("% x", core)),
		"0x hex": fmt.Sprintf("%# x", core), "decimal bytes": strings.Trim(fmt.Sprint([]byte(core)), "[]"), "octal bytes": strings.Trim(fmt.Sprintf("%o", []byte(core)), "[]"),
		"base64": base64.RawStdEncoding.EncodeToString([]byte(core))[:12], "go bytes": strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(core)), "[]byte{"), "}"),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
			return form
		}
	}
	return ""
}

func TestShownFindsWhatIsShown(t *testing.T) {
	for _, format := range []string{"%v", "%q", "%x", "%X", "% x", "%# x", "%#v"} {
		if shown(fmt.Sprintf(format, value)) == "" || format != "%q" && shown(fmt.Sprintf(format, []byte(value))) == "" {
			t.Errorf("a leak by %s would not be seen", format)
		}
	}
}

func TestNoVerbShowsASecret(t *testing.T) {
	flags := []string{"", "+", "#", "-", " ", "0", "# ", "+#", "30", ".3", "[1]"}
	for name, v := range holders() {
		for verb := '!'; verb <= '~'; verb++ {
			for _, flag := range flags {
				format := "%" + flag + string(verb)
				if form := shown(fmt.Sprintf(format, v)); form != "" {
					t.Errorf("%s of %s shows the value as %s", format, name, form)
				}
			}
		}
		if form := shown(fmt.Sprint(v) + fmt.Sprintln(v, v) + fmt.Errorf("%w %v", errors.ErrUnsupported, v).Error()); form != "" {
			t.Errorf("printed, %s shows the value as %s", name, form)
		}
	}
}

// Hidden is not enough: what is printed says that something was left out.
func TestASecretPrintsAsRedacted(t *testing.T) {
	s := backout.NewSecret(kept).WithValue(value)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T%[1]v"} {
		for _, v := range []any{s, &s} {
			if got := fmt.Sprintf(format, v); !strings.HasSuffix(got, "[redacted]") {
				t.Errorf("%s of a %T is %q", format, v, got)
			}
		}
	}
	if got := fmt.Sprint(backout.Secret{}); got != "[redacted]" {
		t.Errorf("no secret is %q: whether there is one is nobody's business", got)
	}
	if s.String() != "[redacted]" || s.GoString() != "[redacted]" {
		t.Errorf("%q %q", s.String(), s.GoString())
	}
	if got := s.Reveal(); got != value {
		t.Errorf("Reveal returns %d bytes, want the value", len(got))
	}
}

func TestNoEncoderShowsASecret(t *testing.T) {
	indented := func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") }
	for encoder, encode := range map[string]func(any) ([]byte, error){"json": json.Marshal, "indented json": indented, "xml": xml.Marshal} {
		for name, v := range holders() {
			data, err := encode(v)
			if err != nil {
				data = append(data, err.Error()...)
			}
			if form := shown(string(data)); form != "" {
				t.Errorf("%s of %s shows the value as %s", encoder, name, form)
			}
		}
	}
	if text, err := backout.SecretValue(value).MarshalText(); err != nil || string(text) != "[redacted]" {
		t.Errorf("as text it is %q, %v", text, err)
	}
}

func TestNoLoggerShowsASecret(t *testing.T) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for kind, handler := range map[string]slog.Handler{"text": slog.NewTextHandler(&out, options), "json": slog.NewJSONHandler(&out, options)} {
		for name, v := range holders() {
			out.Reset()
			log := slog.New(handler).With("with", v).WithGroup("group")
			log.Info("loaded", "config", v, slog.Any("any", v), slog.Group("inner", "v", v), slog.Any("list", []any{v}))
			log.LogAttrs(context.Background(), slog.LevelError, "failed", slog.Any("error", fmt.Errorf("open: %v", v)))
			if out.Len() == 0 {
				t.Errorf("%s log of %s is empty", kind, name)
			}
			if form := shown(out.String()); form != "" {
				t.Errorf("%s log of %s shows the value as %s", kind, name, form)
			}
		}
	}
	out.Reset()
	slog.New(slog.NewTextHandler(&out, options)).Info("loaded", "token", backout.SecretValue(value))
	if !strings.Contains(out.String(), "token=[redacted]") {
		t.Errorf("logged as %s", &out)
	}
}

func TestReferencesAreWrittenAndRead(t *testing.T) {
	type section struct {
		Token backout.Secret `json:"token"`
		Maybe backout.Secret `json:"maybe,omitzero"`
	}
	for text, ref := range map[string]backout.SecretRef{
		`{"token":{"file":"/etc/t"}}`:        {File: "/etc/t"},
		`{"token":{"env":"TOKEN"}}`:          {Env: "TOKEN"},
		`{"token":{"credential":"api-key"}}`: {Credential: "api-key"},
		`{"token":null}`:                     {},
	} {
		got := section{Token: backout.SecretValue("before")}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Token.Ref() != ref || got.Token.Reveal() != "" {
			t.Errorf("%s was read as %+v, %v", text, got.Token.Ref(), err)
		}
		if got.Token.IsZero() != (ref == backout.SecretRef{}) {
			t.Errorf("%s: is it zero? %v", text, got.Token.IsZero())
		}
		resolved := section{Token: got.Token}
		if ref != (backout.SecretRef{}) {
			resolved.Token = got.Token.WithValue(value)
		}
		data, err := json.Marshal(resolved)
		if err != nil || string(data) != text {
			t.Errorf("%s was written as %s, %v", text, data, err)
		}
	}
	// A value without a place cannot be written: what is read back must fail
	// and not become another secret.
	data, err := json.Marshal(section{Token: backout.SecretValue(value)})
	if err != nil || json.Unmarshal(data, new(section)) == nil {
		t.Errorf("%s %v was read again", data, err)
	}
}

const wantsReference = "a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}"

func TestInlineValuesAreRefused(t *testing.T) {
	for _, text := range []string{
		`"hunter2-Zq9"`, `["hunter2-Zq9"]`, `{"value":"hunter2-Zq9"}`, `{"file":5}`, `{"file":["hunter2-Zq9"]}`, `5`, `true`, `{}`, `{"file":""}`,
		`{"file":"/a","env":"hunter2-Zq9"}`, `{"file":"a","env":"b","credential":"c"}`, `"[redacted]"`,
	} {
		s := backout.NewSecret(kept)
		err := json.Unmarshal([]byte(text), &s)
		if err == nil || !strings.HasPrefix(err.Error(), wantsReference) {
			t.Errorf("%s: %v, want an error that says how it is written", text, err)
		}
		if err != nil && shown(err.Error()) != "" {
			t.Errorf("the error repeats what stood there: %v", err)
		}
		if s.Ref() != kept {
			t.Errorf("%s: half of it was taken: %+v", text, s.Ref())
		}
	}
}

func TestYAMLReferencesAreCheckedTheSame(t *testing.T) {
	refused := func(any) error { return errors.New("cannot read hunter2-Zq9 as a mapping") }
	reads := func(ref backout.SecretRef) func(any) error {
		return func(into any) error {
			*into.(*backout.SecretRef) = ref
			return nil
		}
	}
	for name, tt := range map[string]struct {
		unmarshal func(any) error
		ok        bool
	}{
		"a scalar": {refused, false}, "nothing": {reads(backout.SecretRef{}), false},
		"two places": {reads(backout.SecretRef{File: "a", Env: "b"}), false}, "one place": {reads(backout.SecretRef{Env: "T"}), true},
	} {
		var s backout.Secret
		err := s.UnmarshalYAML(tt.unmarshal)
		switch {
		case tt.ok && (err != nil || s.Ref().Env != "T"):
			t.Errorf("%s: %+v %v", name, s.Ref(), err)
		case !tt.ok && (err == nil || !strings.HasPrefix(err.Error(), wantsReference) || shown(err.Error()) != "" || !s.IsZero()):
			t.Errorf("%s: %+v %v", name, s.Ref(), err)
		}
	}
}

func TestWithValueLeavesTheOriginalAlone(t *testing.T) {
	s := backout.NewSecret(kept)
	filled := s.WithValue("new")
	if s.Reveal() != "" || filled.Reveal() != "new" {
		t.Error("the value went into both, or nowhere")
	}
	if diff := cmp.Diff([]backout.SecretRef{kept, kept}, []backout.SecretRef{s.Ref(), filled.Ref()}); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct {
		s    backout.Secret
		zero bool
	}{
		"none": {backout.Secret{}, true}, "empty value": {backout.SecretValue(""), true}, "value": {backout.SecretValue("x"), false},
		"place": {s, false}, "place and empty value": {s.WithValue(""), false},
	} {
		if tt.s.IsZero() != tt.zero {
			t.Errorf("%s: is it zero? %v", name, tt.s.IsZero())
		}
	}
}
