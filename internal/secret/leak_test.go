package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// private holds secrets as an adapter does, in fields that fmt reads without
// asking.
type private struct {
	token   backout.Secret
	pointer *backout.Secret
	list    []backout.Secret
	byName  map[string]backout.Secret
	Public  backout.Secret
}

func leaky() map[string]any {
	s := backout.NewSecret(backout.SecretRef{File: "/etc/t"}).WithValue(value)
	bare := backout.SecretValue(value)
	tree := full(backout.SecretRef{Env: "T"})
	tree.Loop = nil
	_ = Resolve(tree, Reader{LookupEnv: env("T", value)})
	p := private{s, &s, []backout.Secret{s, bare}, map[string]backout.Secret{"a": s}, bare}
	return map[string]any{"secret": s, "bare": bare, "pointer": &s, "config": tree, "value": *tree, "private": p, "private pointer": &p, "slice": []any{s, p}}
}

func shows(text string) bool {
	for _, form := range []string{
		value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
		base64.StdEncoding.EncodeToString([]byte(value)), fmt.Sprint([]byte(value)), fmt.Sprintf("%x", value),
	} {
		if strings.Contains(text, strings.Trim(form, "[]=")) {
			return true
		}
	}
	return false
}

func TestNoVerbShowsASecret(t *testing.T) {
	for name, v := range leaky() {
		for verb := '!'; verb <= '~'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "40", ".99", "+#", "# "} {
				format := "%" + flags + string(verb)
				if got := fmt.Sprintf(format, v); shows(got) {
					t.Errorf("%s of %s: %s", format, name, got)
				}
			}
		}
		if got := fmt.Sprint(v) + fmt.Sprintln(v) + fmt.Errorf("%v", v).Error() + string(fmt.Append(nil, v)); shows(got) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNoEncoderShowsASecret(t *testing.T) {
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		"template": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.}} {{printf "%v %s %q" . . .}} {{. | js}} {{. | html}}`)).Execute(&b, v)
			return b.Bytes(), err
		},
	}
	for encoder, encode := range encoders {
		for name, v := range leaky() {
			data, err := encode(v)
			if shows(string(data)) || err != nil && shows(err.Error()) {
				t.Errorf("%s of %s: %s %v", encoder, name, data, err)
			}
		}
	}
}

func TestNoLoggerShowsASecret(t *testing.T) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for kind, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&out, options), "json": slog.NewJSONHandler(&out, options)} {
		log := slog.New(h)
		for name, v := range leaky() {
			out.Reset()
			log.With("with", v).WithGroup("g").Info("loaded", "config", v, "err", errors.Join(fmt.Errorf("%+v", v)), slog.Group("inner", "v", v))
			if out.Len() == 0 || shows(out.String()) {
				t.Errorf("%s log of %s: %s", kind, name, &out)
			}
		}
	}
}

func TestASecretKeepsItsPlaceThroughJSON(t *testing.T) {
	for _, s := range []backout.Secret{{}, backout.NewSecret(backout.SecretRef{File: "/etc/t"}).WithValue(value)} {
		data, err := json.Marshal(channel{s})
		var back channel
		if err == nil {
			err = json.Unmarshal(data, &back)
		}
		if err != nil || back.Token.Ref() != s.Ref() || back.Token.Reveal() != "" {
			t.Errorf("%s came back as %v, %v", data, back.Token.Ref(), err)
		}
	}
	var got channel
	for _, text := range []string{`{"token":"hunter2"}`, `{"token":{}}`, `{"token":{"file":"a","env":"b"}}`, `{"token":[1]}`} {
		if err := json.Unmarshal([]byte(text), &got); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if diff := cmp.Diff("[redacted]", got.Token.String()); diff != "" {
		t.Error(diff)
	}
}
