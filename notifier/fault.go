package notifier

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// MaxRetryAfter bounds how long a peer may ask to be left alone: a channel must
// not be silenced for a day by one bad header.
const MaxRetryAfter = 5 * time.Minute

type retryAfter struct {
	error
	after time.Duration
}

// RetryAfter says when to try again.
func (e retryAfter) RetryAfter() time.Duration { return e.after }

// Unwrap returns the cause.
func (e retryAfter) Unwrap() error { return e.error }

// RetryAfter marks an error that passes, with the time the peer asked for, at
// most [MaxRetryAfter]. Without a time the error is returned as it is.
func RetryAfter(err error, after time.Duration) error {
	if err == nil || after <= 0 {
		return err
	}
	return retryAfter{err, min(after, MaxRetryAfter)}
}

// Redact takes secrets out of a text that came from elsewhere: as they are, as
// quoting leaves them, and as base64 or a URL would carry them.
func Redact(text string, secrets ...backout.Secret) string {
	for _, s := range secrets {
		value := s.Reveal()
		if value == "" {
			continue
		}
		quoted := strconv.Quote(value)
		for _, form := range []string{
			value, quoted[1 : len(quoted)-1], url.QueryEscape(value), url.PathEscape(value),
			base64.StdEncoding.EncodeToString([]byte(value)), base64.RawStdEncoding.EncodeToString([]byte(value)),
			base64.URLEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
		} {
			text = strings.ReplaceAll(text, form, s.String())
		}
	}
	return text
}
