package backout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a password, token or key that is named in a config file and kept
// elsewhere. Its value appears only where [Secret.Reveal] is called: every verb
// of fmt, every encoder and every logger shows "[redacted]" or the reference.
//
// In files it is written as {file: /path}, {env: NAME} or {credential: name}
// (a systemd credential); a value in the file itself is refused.
type Secret struct {
	ref SecretRef
	// value is behind a pointer because fmt calls no method on an unexported
	// field of another struct, nor for %p: it would print what stands here.
	value *string
}

// SecretRef says where a secret is kept; exactly one field is set.
type SecretRef struct {
	File       string `json:"file,omitempty" yaml:"file,omitempty"`
	Env        string `json:"env,omitempty" yaml:"env,omitempty"`
	Credential string `json:"credential,omitempty" yaml:"credential,omitempty"`
}

// Validate says whether exactly one place is named.
func (r SecretRef) Validate() error {
	n := 0
	for _, s := range []string{r.File, r.Env, r.Credential} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		return errors.New("a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, one of them")
	}
	return nil
}

// NewSecret returns a secret kept at ref whose value is still to be resolved.
func NewSecret(ref SecretRef) Secret { return Secret{ref: ref} }

// SecretValue returns a resolved secret that was not named in a file: made at
// run time, or in a test.
func SecretValue(value string) Secret { return Secret{value: &value} }

// Ref says where the secret is kept.
func (s Secret) Ref() SecretRef { return s.ref }

// IsZero tells that no secret was named or given.
func (s Secret) IsZero() bool { return s.ref == (SecretRef{}) && s.Reveal() == "" }

// WithValue returns the secret with its value.
func (s Secret) WithValue(value string) Secret { return Secret{ref: s.ref, value: &value} }

// Reveal returns the value. It is empty until the secret was resolved.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter], so that no verb reaches the fields.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes the reference, never the value; null for no secret.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte("null"), nil
	}
	if s.ref == (SecretRef{}) {
		return json.Marshal(redacted)
	}
	return json.Marshal(s.ref)
}

// MarshalText writes "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON reads a reference; null means no secret.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*s = Secret{}
		return nil
	}
	var ref SecretRef
	if err := json.Unmarshal(data, &ref); err != nil {
		return errors.New("a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, never as its value")
	}
	if err := ref.Validate(); err != nil {
		return err
	}
	*s = Secret{ref: ref}
	return nil
}

// UnmarshalYAML reads a reference; unmarshal is what the YAML library hands in.
func (s *Secret) UnmarshalYAML(unmarshal func(any) error) error {
	var ref SecretRef
	if err := unmarshal(&ref); err != nil {
		return errors.New("a secret is written as {file: PATH}, {env: NAME} or {credential: NAME}, never as its value")
	}
	if err := ref.Validate(); err != nil {
		return err
	}
	*s = Secret{ref: ref}
	return nil
}
