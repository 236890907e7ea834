package secret

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/backout-io/backout"
)

const value = "hunter2-Zq9"

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestReadTakesOneLineEndOff(t *testing.T) {
	for text, want := range map[string]string{
		value: value, value + "\n": value, value + "\r\n": value, value + "\n\n": value + "\n", " a b ": " a b ", "l1\nl2\n": "l1\nl2",
	} {
		path := write(t, "s", text, 0o400)
		got, err := Reader{Dir: filepath.Dir(path)}.Read(backout.SecretRef{File: "s"})
		if err != nil || got != want {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

func TestReadFindsEnvAndCredentials(t *testing.T) {
	dir := filepath.Dir(write(t, "api", value+"\n", 0o444))
	r := Reader{LookupEnv: env("TOKEN", value, "CREDENTIALS_DIRECTORY", dir)}
	for _, ref := range []backout.SecretRef{{Env: "TOKEN"}, {Credential: "api"}} {
		if got, err := r.Read(ref); got != value || err != nil {
			t.Errorf("%+v: %q %v", ref, got, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		ref  backout.SecretRef
		env  []string
		want string
	}{
		"nothing named":       {want: "one of them"},
		"two places":          {ref: backout.SecretRef{File: "a", Env: "b"}, want: "one of them"},
		"missing file":        {ref: backout.SecretRef{File: filepath.Join(dir, "no")}, want: "no such file"},
		"directory":           {ref: backout.SecretRef{File: dir}, want: "not a regular file"},
		"fifo":                {ref: backout.SecretRef{File: filepath.Join(dir, "fifo")}, want: "not a regular file"},
		"world-readable":      {ref: backout.SecretRef{File: write(t, "s", value, 0o604)}, want: "chmod o="},
		"world-writable":      {ref: backout.SecretRef{File: write(t, "s", value, 0o602)}, want: "mode 0602"},
		"empty file":          {ref: backout.SecretRef{File: write(t, "s", "\n", 0o600)}, want: "is empty"},
		"too long":            {ref: backout.SecretRef{File: write(t, "s", strings.Repeat(value, MaxBytes), 0o600)}, want: "longer than 64 KiB"},
		"env not set":         {ref: backout.SecretRef{Env: "NO"}, want: "the environment has no NO"},
		"env empty":           {ref: backout.SecretRef{Env: "E"}, env: []string{"E", ""}, want: "variable E is empty"},
		"no credentials":      {ref: backout.SecretRef{Credential: "c"}, want: "LoadCredential=c:PATH"},
		"no such credential":  {ref: backout.SecretRef{Credential: "c"}, env: []string{"CREDENTIALS_DIRECTORY", dir}, want: "LoadCredential=c:PATH"},
		"credential escaping": {ref: backout.SecretRef{Credential: "../c"}, env: []string{"CREDENTIALS_DIRECTORY", dir}, want: "without slashes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Reader{LookupEnv: env(tt.env...)}.Read(tt.ref)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
			if got != "" || strings.Contains(err.Error(), value) {
				t.Errorf("the value came along: %q %v", got, err)
			}
		})
	}
}

type channel struct {
	Token backout.Secret `json:"token"`
}

type tree struct {
	Direct  backout.Secret            `yaml:"direct"`
	Pointer *backout.Secret           `yaml:"pointer"`
	Slice   []channel                 `yaml:"slice"`
	Array   [1]channel                `yaml:"array"`
	Map     map[string]channel        `yaml:"map"`
	Deep    map[string][]*channel     `yaml:"deep"`
	Values  map[string]backout.Secret `yaml:"values"`
	Any     any                       `yaml:"any"`
	AnyPtr  any                       `yaml:"any_ptr"`
	Nil     *channel
	Loop    *tree
	Text    string
	Bytes   []byte
	channel
}

func full(ref backout.SecretRef) *tree {
	s := backout.NewSecret(ref)
	c := channel{s}
	t := &tree{
		Direct: s, Pointer: &s, Slice: []channel{c, c}, Array: [1]channel{c}, Map: map[string]channel{"a": c},
		Deep: map[string][]*channel{"x": {{s}, nil}}, Values: map[string]backout.Secret{"v": s}, Any: c, AnyPtr: &channel{s},
		Text: "kept", Bytes: []byte("kept"), channel: c,
	}
	t.Loop = t
	return t
}

func (t *tree) secrets() map[string]backout.Secret {
	boxed, _ := t.Any.(channel)
	pointed, _ := t.AnyPtr.(*channel)
	return map[string]backout.Secret{
		"direct": t.Direct, "pointer": *t.Pointer, "slice": t.Slice[1].Token, "array": t.Array[0].Token, "map": t.Map["a"].Token,
		"deep": t.Deep["x"][0].Token, "values": t.Values["v"], "any": boxed.Token, "any_ptr": pointed.Token, "embedded": t.Token,
	}
}

func TestResolveReachesEverySecret(t *testing.T) {
	config := full(backout.SecretRef{Env: "T"})
	if err := Resolve(config, Reader{LookupEnv: env("T", value)}); err != nil {
		t.Fatal(err)
	}
	for place, s := range config.secrets() {
		if s.Reveal() != value {
			t.Errorf("%s holds %d bytes", place, len(s.Reveal()))
		}
		if s.Ref().Env != "T" {
			t.Errorf("%s has forgotten where it is kept", place)
		}
	}
	if config.Text != "kept" || string(config.Bytes) != "kept" {
		t.Error("other fields changed")
	}
}

func TestResolveReportsAllThatAreMissing(t *testing.T) {
	config := struct {
		A, B, C channel
		List    []channel `yaml:"list"`
	}{
		A: channel{backout.NewSecret(backout.SecretRef{Env: "NO"})}, B: channel{backout.NewSecret(backout.SecretRef{Env: "T"})},
		List: []channel{{backout.NewSecret(backout.SecretRef{Env: "NOT"})}},
	}
	err := Resolve(&config, Reader{LookupEnv: env("T", value)})
	if err == nil {
		t.Fatal("missing secrets passed")
	}
	for _, want := range []string{"a.token: the environment has no NO:", "list[0].token: the environment has no NOT:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if config.B.Token.Reveal() != value {
		t.Error("the one that is there was not read")
	}
}

func TestResolveRefusesWhatItCannotFill(t *testing.T) {
	hidden := struct{ token backout.Secret }{backout.NewSecret(backout.SecretRef{Env: "T"})}
	if err := Resolve(&hidden, Reader{LookupEnv: env("T", value)}); err == nil || !strings.Contains(err.Error(), "not exported") {
		t.Errorf("unexported field: %v", err)
	}
	for _, config := range []any{nil, channel{}, (*channel)(nil)} {
		if err := Resolve(config, Reader{}); err == nil {
			t.Errorf("%T passed", config)
		}
	}
	unset := struct{ token backout.Secret }{}
	if err := Resolve(&unset, Reader{}); err != nil {
		t.Errorf("an unset secret was refused: %v", err)
	}
}
