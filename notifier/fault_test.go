package notifier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

func TestRetryAfterIsBounded(t *testing.T) {
	cause := errors.New("429")
	for after, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, MaxRetryAfter: MaxRetryAfter, 24 * time.Hour: MaxRetryAfter,
	} {
		err := fmt.Errorf("post: %w", RetryAfter(cause, after))
		var says interface{ RetryAfter() time.Duration }
		if !errors.As(err, &says) || says.RetryAfter() != want || !errors.Is(err, cause) || err.Error() != "post: 429" {
			t.Errorf("after %v: %v", after, err)
		}
	}
	if err := RetryAfter(cause, 0); !errors.Is(err, cause) || err != cause { //nolint:errorlint // the same value is wanted
		t.Errorf("without a time: %v", err)
	}
	if RetryAfter(nil, time.Second) != nil {
		t.Error("no error became one")
	}
}

func TestRedact(t *testing.T) {
	s := backout.SecretValue("p&ss\"w ord+/=")
	for _, text := range []string{
		"said p&ss\"w ord+/= to me", `said "p&ss\"w ord+/="`, "said p%26ss%22w+ord%2B%2F%3D", "said cCZzcyJ3IG9yZCsvPQ==",
	} {
		if got := Redact(text, backout.Secret{}, s); !strings.Contains(got, "[redacted]") || strings.Contains(got, "ss") {
			t.Errorf("Redact(%q) = %q", text, got)
		}
	}
	if got := Redact("nothing here", s, backout.Secret{}); got != "nothing here" {
		t.Errorf("got %q", got)
	}
}

func TestKeyFitsAHeader(t *testing.T) {
	if got := Key("r1.12.0.ops"); got != "r1.12.0.ops" {
		t.Errorf("got %q", got)
	}
	for _, id := range []string{"a b", "a\r\nb", "é", strings.Repeat("x", 256)} {
		if got := Key(id); !strings.HasPrefix(got, "sha256:") || len(got) != 71 {
			t.Errorf("Key(%.20q) = %q", id, got)
		}
	}
}
