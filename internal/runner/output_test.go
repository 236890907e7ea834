package runner

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRedactorHides(t *testing.T) {
	for in, want := range map[string]string{
		"password=hunter2":                        "password=[redacted]",
		"DB_PASSWORD: 'a b'":                      "DB_PASSWORD: [redacted]",
		`{"api_key": "abc", "n": 1}`:              `{"api_key": [redacted], "n": 1}`,
		"Authorization: Bearer abcdefghijk":       "Authorization: Bearer [redacted]",
		"curl -H bearer abcdefghijk":              "curl -H bearer [redacted]",
		"postgres://app:pa55@db/x":                "postgres://app:[redacted]@db/x",
		"key AKIAABCDEFGHIJKLMNOP":                "key [redacted]",
		"nothing here: the passwords were reset.": "nothing here: the passwords were reset.",
		"two known-value known-values":            "two [redacted] [redacted]s",
	} {
		r := newRedactor([]string{"known-value", "on"})
		if got := string(r.line([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestPrivateKeysAreHiddenWhole(t *testing.T) {
	o := newOutput(1<<20, nil, nil)
	_, _ = o.Write([]byte("a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz\n-----END OPENSSH PRIVATE KEY-----\nz\n"))
	if got := string(o.bytes()); got != "a\n[redacted]\nz\n" {
		t.Errorf("%q", got)
	}
}

func TestTextBeforeAPrivateKeyIsHiddenToo(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----"
	for in, want := range map[string]string{
		"password=hunter2 " + key:                                  "password=[redacted] [redacted]\n",
		"known-value" + key + "abc":                                "[redacted][redacted]\n",
		"say known-value: " + key + "a-----END PRIVATE KEY-----\n": "say [redacted]: [redacted]\n",
	} {
		if got := string(newRedactor([]string{"known-value"}).line([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestKnownValueIsHiddenHoweverItIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const secret = "s3cr3t-value-of-many-bytes"
		before := strings.Repeat("x", rapid.IntRange(0, 3*longestLine).Draw(t, "before"))
		after := strings.Repeat("y", rapid.IntRange(0, longestLine).Draw(t, "after"))
		text := []byte(before + secret + after)
		step := rapid.IntRange(100, 2*longestLine).Draw(t, "step")
		var live bytes.Buffer
		o := newOutput(1<<20, []string{secret}, &live)
		for rest := text; len(rest) > 0; {
			n := min(step, len(rest))
			_, _ = o.Write(rest[:n])
			rest = rest[n:]
		}
		want := before + "[redacted]" + after
		if got := string(o.bytes()); got != want || live.String() != want {
			t.Fatalf("%d bytes before, %d after: secret kept or text lost (%d bytes, want %d)", len(before), len(after), len(got), len(want))
		}
	})
}

func TestRewindSwallowsWhatWasSeen(t *testing.T) {
	o := newOutput(1<<20, nil, nil)
	for _, part := range []string{"one\ntw", "one\ntwo\nth", "one\ntwo\nthree\n"} {
		o.rewind()
		for _, b := range []byte(part) {
			_, _ = o.Write([]byte{b})
		}
	}
	if got := string(o.bytes()); got != "one\ntwo\nthree\n" {
		t.Errorf("%q", got)
	}
}
