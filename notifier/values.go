package notifier

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

// Limits of what one notice may show. A value is cut before it is escaped, so
// that no escape sequence is cut in half.
const (
	// MaxValue is how many characters of one value from outside are shown.
	MaxValue = 1000
	// MaxSubject and MaxText are how many characters a rendered message has.
	MaxSubject = 200
	MaxText    = 11000
)

// continuation begins every further line of a value, so that a value with line
// breaks cannot pass for a line of the message.
const continuation = "\n    "

// Plain makes one value from outside fit to be shown: it is valid UTF-8, holds no
// control characters (terminal sequences), no marks that turn the reading direction
// and none that nobody sees, and is at most [MaxValue] characters long. Line breaks
// stay, and what follows one is indented.
func Plain(value string) string {
	value = strings.TrimRight(strings.ReplaceAll(value, "\r\n", "\n"), "\n")
	var b strings.Builder
	n := 0
	for _, r := range value {
		if n == MaxValue {
			b.WriteRune('…')
			break
		}
		n++
		switch {
		case r == '\n' || r == '\u2028' || r == '\u2029' || r == '\u0085' || r == '\r' || r == '\v' || r == '\f':
			b.WriteString(continuation)
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r) || turnsDirection(r) || unseen(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// turnsDirection tells the characters with which text can be made to read other
// than it is (Unicode TR 36, bidirectional text spoofing).
func turnsDirection(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// unseen tells the characters that take no room, with which two names look the
// same or one hides another (Unicode TR 36, section 2; UAX 44, the property
// Default_Ignorable_Code_Point). The joiners and selectors that scripts and emoji
// are written with stay.
func unseen(r rune) bool {
	switch r {
	case '\u00ad', '\u034f', '\u115f', '\u1160', '\u180e', '\u200b', '\u3164', '\ufeff', '\uffa0':
		return true
	}
	return r >= '\u2060' && r <= '\u2064' || r >= '\u206a' && r <= '\u206f' || r >= '\ufff9' && r <= '\ufffb' || r >= 0xe0000 && r <= 0xe0fff
}

// OneLine joins the lines of a text: subjects, header values.
func OneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}

// Key is a notice's id as protocols can carry it: itself when it is short and
// printable ASCII, otherwise its digest.
func Key(noticeID string) string {
	if len(noticeID) <= 255 && !strings.ContainsFunc(noticeID, func(r rune) bool { return r < '!' || r > '~' }) {
		return noticeID
	}
	sum := sha256.Sum256([]byte(noticeID))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Cut shortens a text to at most limit characters, at a line's or a word's end
// where there is one nearby.
func Cut(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	end, n := 0, 0
	for i := range text {
		if n == limit-2 {
			end = i
			break
		}
		n++
	}
	head := text[:end]
	for _, sep := range []string{"\n", " "} {
		if i := strings.LastIndex(head, sep); i > len(head)*3/4 {
			head = head[:i]
			break
		}
	}
	return head + " …"
}

// inert copies a notice with every value made harmless for a channel.
func inert(n backout.Notice, escape func(string) string) backout.Notice {
	show := func(s string) string {
		s = Plain(s)
		if escape != nil {
			s = escape(s)
		}
		return s
	}
	for _, field := range []*string{
		&n.ID, &n.Audience, &n.ChangeID, &n.Title, &n.RollbackID, &n.Level, &n.NextLevel, &n.Summary, &n.Rule, &n.AlertName,
		&n.IfNobodyActs, &n.Loses, &n.Reason, &n.AskID, &n.URL,
	} {
		*field = show(*field)
	}
	n.Moment = backout.Moment(show(string(n.Moment)))
	switch n.Outcome { //nolint:exhaustive // the others are no outcome
	case backout.ChangeClosed, backout.ChangeBackedOut, backout.ChangeBackoutFailed, backout.ChangeCancelled:
		// Templates compare it, and nothing in these words can do harm.
	default:
		n.Outcome = backout.ChangeState(show(string(n.Outcome)))
	}
	n.PlanHash, n.PlanText = show(n.PlanHash), show(n.PlanText)
	for _, list := range []*[]string{&n.Targets, &n.CVEs, &n.Groups, &n.Excluded, &n.Steps, &n.Exploited} {
		*list = showAll(*list, show)
	}
	labels := make(map[string]string, len(n.Labels))
	for name, value := range n.Labels {
		labels[show(name)] = show(value)
	}
	n.Labels = labels
	return n
}

func showAll(values []string, show func(string) string) []string {
	if values == nil {
		return nil
	}
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = show(v)
	}
	return shown
}
