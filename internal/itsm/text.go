package itsm

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Tag makes a delivery recognisable in what was written: nobody who does not know
// the whole text can write it beforehand.
func Tag(m backout.Message) string {
	return "backout notice " + notifier.Key(m.Notice.ID) + " (" + digest(m) + ")"
}

// TagLabel is [Tag] as a label can hold it.
func TagLabel(m backout.Message) string { return "backout-notice-" + digest(m) }

func digest(m backout.Message) string {
	sum := sha256.Sum256([]byte(m.Notice.ID + "\x00" + m.Subject + "\x00" + m.Text))
	return hex.EncodeToString(sum[:6])
}

// IncidentHears tells whether an incident is told of the moment, and whether the moment
// opens one where there is none yet.
func IncidentHears(m backout.Moment) (hears, opens bool) {
	switch m {
	case backout.MomentRed, backout.MomentExhausted:
		return true, true
	case backout.MomentRecovered, backout.MomentAborted, backout.MomentCancelled:
		return true, false
	}
	return false, false
}

// Correlation names what belongs to one rollback, or to a change where there is
// none: letters, digits and -, at most 41.
func Correlation(n backout.Notice) string {
	about := n.RollbackID
	if about == "" {
		about = n.ChangeID
	}
	sum := sha256.Sum256([]byte(about))
	return "backout-" + hex.EncodeToString(sum[:16])
}

// The lines around our plan in a text that belongs to people.
const (
	planBegins = "--- plan of backout, "
	planEnds   = "--- end of the plan of backout ---"
)

// PlanBlock is the plan as it stands in a record.
func PlanBlock(n backout.Notice) string {
	return planBegins + strings.Map(ofHash, n.PlanHash) + " ---\n" + inside(notifier.Cut(n.PlanText, notifier.MaxText)) + "\n" + planEnds
}

// ofHash keeps what hashes are made of.
func ofHash(r rune) rune {
	if r == ':' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

// WithPlan puts the plan into a text, in place of what stood there before; whatever
// people wrote stays. changed is false when it stands there already.
func WithPlan(text string, n backout.Notice) (merged string, changed bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	block := PlanBlock(n)
	if strings.Contains(text, block) {
		return text, false
	}
	if at := strings.LastIndex(text, planBegins); at >= 0 {
		// Where somebody has cut our end off, nobody knows what of the rest is theirs.
		if _, after, closed := strings.Cut(text[at:], planEnds); closed {
			text = strings.TrimRight(text[:at], "\n") + "\n\n" + strings.TrimLeft(after, "\n")
		}
	}
	return strings.TrimLeft(strings.TrimRight(text, "\n")+"\n\n"+block, "\n"), true
}

// inside makes the plan's text one that does not end its block.
func inside(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimRight(notifier.Plain(line), " ")
		if strings.HasPrefix(line, "---") {
			line = " " + line
		}
		lines[i] = strings.ReplaceAll(line, planEnds, "- - -")
		lines[i] = strings.ReplaceAll(lines[i], planBegins, "- - - ")
	}
	return strings.Join(lines, "\n")
}
