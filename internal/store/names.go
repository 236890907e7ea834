package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// The streams, and what lies where in them. Everything starts with "backout",
// so that the store can live on a NATS that is used for other things too.
// CONTROL and RECEIPTS have the form of NATS buckets and ARTIFACTS that of an
// object store, so that the nats command can read them.
const (
	alertsStream    = "BACKOUT_ALERTS"
	changesStream   = "BACKOUT_CHANGES"
	rollbacksStream = "BACKOUT_ROLLBACKS"
	noticesStream   = "BACKOUT_NOTICES"
	controlStream   = "KV_BACKOUT_CONTROL"
	receiptsStream  = "KV_BACKOUT_RECEIPTS"
	artifactsBucket = "BACKOUT_ARTIFACTS"
	artifactsStream = "OBJ_" + artifactsBucket
	// The pieces of an object, by its id, and its record, by its name in base64.
	piecesPrefix  = "$O." + artifactsBucket + ".C."
	objectsPrefix = "$O." + artifactsBucket + ".M."

	// alertsSubject holds batches of posts.
	alertsSubject = "backout.alerts"
	// A subject each for a change, a rollback and a channel; the token follows.
	changesPrefix   = "backout.changes."
	rollbacksPrefix = "backout.rollbacks."
	noticesPrefix   = "backout.notices."
	// A subject each for a document; the token of its key follows.
	controlPrefix = "$KV.BACKOUT_CONTROL."
	// Deliveries, by channel and notice; given-up ones a second time; and first
	// receipts, by channel and rollback.
	deliveriesPrefix = "$KV.BACKOUT_RECEIPTS.notice."
	givenUpPrefix    = "$KV.BACKOUT_RECEIPTS.given_up."
	threadsPrefix    = "$KV.BACKOUT_RECEIPTS.thread."
)

// Headers of a batch of alerts.
const (
	// headerServer is the name of the server that wrote it.
	headerServer = "Backout-Server"
	// headerBatch is the run of that server and the number of the batch in it.
	headerBatch = "Backout-Batch"
)

const (
	// layoutKey and layoutVersion mark a stream with the layout it has.
	layoutKey     = "backout.layout"
	layoutVersion = 1

	defaultAlertsBytes = 2 << 30
	defaultAlertsAge   = 14 * 24 * time.Hour
	// noticesAge outlives every delivery (giveUpAfter), and receiptsAge outlives
	// the notice, so that a notice never loses its receipt.
	noticesAge  = 30 * 24 * time.Hour
	receiptsAge = 90 * 24 * time.Hour
)

// streamConfigs returns what every stream must be like.
func streamConfigs(replicas int, alertsBytes int64, alertsAge time.Duration) []jetstream.StreamConfig {
	if alertsBytes <= 0 {
		alertsBytes = defaultAlertsBytes
	}
	if alertsAge <= 0 {
		alertsAge = defaultAlertsAge
	}
	appendOnly := func(name, subject, what string, limit int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: what, Subjects: []string{subject},
			Discard: jetstream.DiscardNew, MaxBytes: limit, DenyDelete: true, Duplicates: 2 * time.Minute,
		}
	}
	bucket := func(name, prefix, what string, limit int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: what, Subjects: []string{prefix + ">"},
			Discard: jetstream.DiscardNew, MaxBytes: limit, MaxMsgsPerSubject: 1,
			DenyDelete: true, AllowRollup: true, Duplicates: 2 * time.Minute,
		}
	}
	alerts := appendOnly(alertsStream, alertsSubject, "alert posts as they came, many in a message", alertsBytes)
	alerts.Discard, alerts.MaxAge = jetstream.DiscardOld, alertsAge
	notices := appendOnly(noticesStream, noticesPrefix+"*", "notices to deliver, a subject a channel", 1<<30)
	notices.MaxAge, notices.Duplicates = noticesAge, 24*time.Hour
	receipts := bucket(receiptsStream, "$KV.BACKOUT_RECEIPTS.", "what became of each notice", 1<<29)
	receipts.MaxAge = receiptsAge
	artifacts := jetstream.StreamConfig{
		Name: artifactsStream, Description: "large things by their content, and step output",
		Subjects: []string{piecesPrefix + ">", objectsPrefix + ">"},
		Discard:  jetstream.DiscardNew, MaxBytes: 8 << 30, AllowRollup: true,
	}
	all := []jetstream.StreamConfig{
		alerts,
		appendOnly(changesStream, changesPrefix+"*", "the life of each change, a subject a change", 1<<30),
		appendOnly(rollbacksStream, rollbacksPrefix+"*", "the events of each rollback, a subject a rollback", 4<<30),
		notices,
		bucket(controlStream, controlPrefix, "small documents changed by compare-and-set", 1<<28),
		receipts,
		artifacts,
	}
	for i := range all {
		all[i].Storage = jetstream.FileStorage
		all[i].Retention = jetstream.LimitsPolicy
		all[i].Replicas = max(replicas, 1)
		all[i].Metadata = map[string]string{layoutKey: fmt.Sprint(layoutVersion)}
	}
	return all
}

const (
	// maxToken bounds one escaped name, in bytes: a subject has to fit a NATS
	// protocol line of 4 KiB several times over.
	maxToken = 768
	hexDigit = "0123456789ABCDEF"
)

// token makes a name safe as one token of a subject: letters, digits, "_" and
// "-" stay, any other byte becomes "=" and two hex digits. unescape undoes it.
func token(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: an empty name", backout.ErrInvalid)
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(hexDigit[c>>4])
			b.WriteByte(hexDigit[c&15])
		}
	}
	if b.Len() > maxToken {
		return "", fmt.Errorf("%w: a name of %d bytes: it is too long to be stored", backout.ErrInvalid, len(name))
	}
	return b.String(), nil
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// unescape returns the name that token was made from.
func unescape(tok string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(tok); i++ {
		if tok[i] != '=' {
			if !plain(tok[i]) {
				return "", fmt.Errorf("name token %q: unexpected %q", tok, tok[i])
			}
			b.WriteByte(tok[i])
			continue
		}
		if i+2 >= len(tok) {
			return "", fmt.Errorf("name token %q: cut short", tok)
		}
		hi, lo := strings.IndexByte(hexDigit, tok[i+1]), strings.IndexByte(hexDigit, tok[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("name token %q: not hexadecimal", tok)
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

// subjectFor joins a prefix that ends in a dot and the tokens of names.
func subjectFor(prefix string, names ...string) (string, error) {
	tokens := make([]string, len(names))
	for i, name := range names {
		tok, err := token(name)
		if err != nil {
			return "", err
		}
		tokens[i] = tok
	}
	return prefix + strings.Join(tokens, "."), nil
}

// matches tells whether one message's subject is one of a stream's: the pattern
// itself, or, where that ends in "*" or ">", with one token or any number instead.
func matches(pattern, subject string) bool {
	if strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == '*' || r == '>' || r > '~' }) {
		return false
	}
	if prefix, ok := strings.CutSuffix(pattern, ">"); ok {
		rest, ok := strings.CutPrefix(subject, prefix)
		return ok && !slices.Contains(strings.Split(rest, "."), "")
	}
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		rest, ok := strings.CutPrefix(subject, prefix)
		return ok && rest != "" && !strings.Contains(rest, ".")
	}
	return subject == pattern
}
