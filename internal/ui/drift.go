package ui

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

const (
	// partMost is how many differences of one part are shown among all, partAll how many
	// when it is asked for alone.
	partMost = 40
	partAll  = 1000
	// longest is how much of a value is shown before it is folded, in characters.
	longest = 72
	// around is how much of what is alike stands beside what differs in a long one.
	around = 24
)

// Drift is a target compared with its baseline.
type Drift struct {
	// Digest is what the comparison is stored under.
	Digest           string
	ChangeID, Target string
	// ChangeTitle is empty when it is not known.
	ChangeTitle string
	At          time.Time
	Verdict     backout.DriftVerdict
	// Baseline and Now are the digests of what was compared.
	Baseline, Now string
	// Counts are the differences that count, by their parts; Expected those that a rule
	// expects.
	Counts, Expected []DriftPart
	// Rollbacks are those that ended with this comparison; NoRollbacks says why none is
	// known.
	Rollbacks   []string
	NoRollbacks string
	// Part is the only one that is shown; empty means all.
	Part string
}

// DriftPart are the differences of one part, such as its files.
type DriftPart struct {
	Part string
	// Heading is how people call it, Count how many there are, those that are not shown
	// among them.
	Heading string
	Count   int
	Rows    []DriftRow
}

// More is how many differences are not shown.
func (p DriftPart) More() int { return p.Count - len(p.Rows) }

// DriftRow is one difference.
type DriftRow struct {
	Name string
	// State is added, removed or changed.
	State    string
	Was, Now DriftValue
	// Expected is the rule by which it is expected; empty when it is not.
	Expected string
}

// DriftValue is one side of a difference.
type DriftValue struct {
	// Pieces are the value, with what differs from the other side marked; of a long one
	// only what stands around that.
	Pieces []DriftPiece
	// Whole is all of a long value; empty where the pieces are all of it.
	Whole string
}

// DriftPiece is a part of a value.
type DriftPiece struct {
	Text    string
	Differs bool
}

// Page implements [Content].
func (Drift) Page() string { return "drift" }

// Title implements [Content].
func (d Drift) Title() string { return d.Target + " " + lookOf(d.Verdict).word }

// Means says what the verdict means.
func (d Drift) Means() string {
	switch d.Verdict {
	case backout.DriftNone:
		return "Nothing differs from the baseline but what is expected to."
	case backout.DriftSome:
		return "The patch is gone and nothing that served is missing, but the target is not as it was."
	case backout.DriftNotBack:
		return "The patch, or a part of it, is still there, or something that served before is not."
	}
	return ""
}

// Counting is how many differences count.
func (d Drift) Counting() int { return total(d.Counts) }

// Expecting is how many are expected.
func (d Drift) Expecting() int { return total(d.Expected) }

func total(parts []DriftPart) (n int) {
	for _, p := range parts {
		n += p.Count
	}
	return n
}

// Differ shows the comparison: all of it or, unless it is empty, one part alone.
func (d *Drift) Differ(report *backout.Drift, part string) {
	d.ChangeID, d.Target, d.At, d.Verdict = report.ChangeID, report.Target, report.At, report.Verdict
	d.Baseline, d.Now, d.Part = report.Baseline, report.Now, part
	most := partMost
	if part != "" {
		most = partAll
	}
	for i := range report.Differences {
		switch x := &report.Differences[i]; {
		case part != "" && part != x.Part:
		case x.Ignored == "":
			d.Counts = addDifference(d.Counts, x, most)
		default:
			d.Expected = addDifference(d.Expected, x, most)
		}
	}
}

// addDifference puts the difference into its part; parts stand in the order of what
// weighs most in them.
func addDifference(parts []DriftPart, x *backout.Difference, most int) []DriftPart {
	at := slices.IndexFunc(parts, func(p DriftPart) bool { return p.Part == x.Part })
	if at < 0 {
		at, parts = len(parts), append(parts, DriftPart{Part: x.Part, Heading: partHeading(x.Part)})
	}
	if parts[at].Count++; parts[at].Count <= most {
		parts[at].Rows = append(parts[at].Rows, driftRow(x))
	}
	return parts
}

func partHeading(part string) string {
	headings := map[string]string{
		"packages": "Packages", "machine": "System", backout.PartUnits: "Units", backout.PartPorts: "Ports", backout.PartMounts: "Mounts",
		backout.PartAccounts: "Accounts", backout.PartFiles: "Files and config", backout.PartAIDE: "AIDE's database",
	}
	if h, ok := headings[part]; ok {
		return h
	}
	return part
}

func driftRow(x *backout.Difference) DriftRow {
	row := DriftRow{Name: x.Name, State: "changed", Expected: x.Ignored}
	switch gone, came := absent(x.Now), absent(x.Was); {
	case came && !gone:
		row.State = "added"
	case gone && !came:
		row.State = "removed"
	}
	was, now := tokens(x.Was), tokens(x.Now)
	row.Was, row.Now = driftValue(x.Was, was, now, "not there"), driftValue(x.Now, now, was, "gone")
	return row
}

// absent tells of a side that is not there.
func absent(value string) bool { return value == "" || value == "absent" || value == "removed" }

// tokens are the parts of a value and what stands between them, in turn.
func tokens(value string) []string {
	var out []string
	begin, between := 0, false
	for i, r := range value {
		if is := strings.ContainsRune(" ,()", r); is != between {
			out, begin, between = append(out, value[begin:i]), i, is
		}
	}
	return append(out, value[begin:])
}

// driftValue is one side of a difference, made of its own tokens. Where both sides have as
// many, and some are alike, those that differ are marked.
func driftValue(whole string, own, other []string, none string) DriftValue {
	if absent(whole) {
		return DriftValue{Pieces: []DriftPiece{{Text: none}}}
	}
	var v DriftValue
	alike := len(own) == len(other) && len(own) > 1
	for i, text := range own {
		v.add(text, alike && text != other[i])
	}
	if utf8.RuneCountInString(whole) <= longest {
		return v
	}
	v.Whole = whole
	v.shorten()
	return v
}

// add adds a token, to the last piece if that is of the same kind.
func (v *DriftValue) add(text string, differs bool) {
	if last := len(v.Pieces) - 1; last >= 0 && v.Pieces[last].Differs == differs {
		v.Pieces[last].Text += text
		return
	}
	v.Pieces = append(v.Pieces, DriftPiece{text, differs})
}

// shorten leaves a little around each piece that differs, and of a value without any its
// begin.
func (v *DriftValue) shorten() {
	room := longest
	for i := range v.Pieces {
		p := &v.Pieces[i]
		first, last := i == 0, i == len(v.Pieces)-1
		most := min(room, around)
		if first && last || p.Differs {
			most = room
		}
		p.Text = clipped([]rune(p.Text), most, !first && !p.Differs, !last && !p.Differs)
		if room -= utf8.RuneCountInString(p.Text); room <= 0 {
			v.Pieces = v.Pieces[:i+1]
			return
		}
	}
}

// clipped keeps the begin of a text, or its end, or both.
func clipped(text []rune, most int, begin, end bool) string {
	switch half := most / 2; {
	case len(text) <= most:
		return string(text)
	case begin && end:
		return string(text[:half]) + "…" + string(text[len(text)-half:])
	case end:
		return "…" + string(text[len(text)-most:])
	}
	return string(text[:most]) + "…"
}
