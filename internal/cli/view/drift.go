package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// fewDifferences is how many differences of one target are shown unasked.
const fewDifferences = 20

func driftSign(v backout.DriftVerdict) sign {
	switch v {
	case backout.DriftNone:
		return sign{"✓", "+", "back to baseline", toneGood}
	case backout.DriftSome:
		return sign{"≈", "~", "healthy but drifted", toneWarn}
	case backout.DriftNotBack:
		return sign{"✗", "x", "not back", toneBad}
	}
	return sign{"?", "?", text(string(v)), toneWarn}
}

// Drifts shows how targets differ from their baselines, the worst first; targets
// that differ in the same way share one table. With all it also shows what is
// expected to differ, and by which rule.
func Drifts(list []backout.Drift, s Style, all bool) string {
	type group struct {
		first   *backout.Drift
		targets []string
	}
	groups := map[string]*group{}
	var order []*group
	for i := range list {
		d := &list[i]
		key := driftKey(d, all)
		if groups[key] == nil {
			groups[key] = &group{first: d}
			order = append(order, groups[key])
		}
		groups[key].targets = append(groups[key].targets, d.Target)
	}
	if len(order) == 0 {
		return "no target has a baseline\n"
	}
	slices.SortStableFunc(order, func(a, b *group) int { return cmp.Compare(badness(b.first.Verdict), badness(a.first.Verdict)) })
	var b strings.Builder
	for _, g := range order {
		who := names(g.targets, 0)
		if len(g.targets) > 8 && !all {
			who = count(len(g.targets), "target", "targets") + ": " + names(g.targets, 8)
		}
		b.WriteString(s.show(driftSign(g.first.Verdict)) + "  " + s.paint(toneBold, who) + "\n" + s.differences(g.first.Differences, all))
	}
	return b.String()
}

func badness(v backout.DriftVerdict) int {
	switch v {
	case backout.DriftNone:
		return 0
	case backout.DriftSome:
		return 1
	case backout.DriftNotBack:
	}
	return 2
}

// driftKey is the same for targets that would be shown in the same way.
func driftKey(d *backout.Drift, all bool) string {
	parts := []string{string(d.Verdict)}
	expected := 0
	for _, x := range d.Differences {
		if x.Ignored != "" && !all {
			expected++
			continue
		}
		parts = append(parts, x.Part, x.Name, x.Was, x.Now, x.Ignored)
	}
	if expected > 0 {
		parts = append(parts, "some are expected")
	}
	return strings.Join(parts, "\x00")
}

func (s Style) differences(list []backout.Difference, all bool) string {
	header := []string{"  PART", "NAME", "BASELINE", "NOW"}
	if all {
		header = append(header, "EXPECTED BECAUSE")
	}
	var rows [][]cell
	expected, left := 0, 0
	for _, d := range list {
		switch {
		case d.Ignored != "" && !all:
			expected++
			continue
		case len(rows) == fewDifferences && !all:
			left++
			continue
		}
		row := []cell{{text: "  " + data(d.Part).text}, data(d.Name), data(d.Was), data(d.Now)}
		if all {
			row = append(row, data(d.Ignored))
		}
		rows = append(rows, row)
	}
	out := ""
	if len(rows) > 0 {
		out = s.table(header, rows)
	}
	if left > 0 {
		out += "  and " + count(left, "more difference", "more differences") + ", shown with --all\n"
	}
	if expected > 0 {
		out += "  differences that are expected are left out, shown with --all\n"
	}
	return out
}

// driftWords is a drift check in a sentence.
func driftWords(d *backout.DriftFound) string {
	if d == nil {
		return ""
	}
	return driftSign(d.Verdict).word + because(d.Summary)
}

// Ignores lists the differences that are expected by themselves.
func Ignores(rules []backout.IgnoreDrift, s Style) string {
	rows := make([][]cell, len(rules))
	for i, r := range rules {
		rows[i] = []cell{data(r.Part), data(r.Name), data(r.Reason)}
	}
	return s.table([]string{"PART", "NAME", "EXPECTED BECAUSE"}, rows)
}

// Holds lists what keeps patches from coming back.
func Holds(list []backout.Hold, s Style, now time.Time) string {
	if len(list) == 0 {
		return "nothing is held\n"
	}
	rows := make([][]cell, len(list))
	for i, h := range list {
		state := s.signed(sign{"■", "#", "held", toneWarn})
		since := relative(h.PlacedAt, now)
		why := ""
		if !h.ReleasedAt.IsZero() {
			state = s.signed(sign{"-", "-", "released", toneDim})
			why = "released " + relative(h.ReleasedAt, now) + by(h.ReleasedBy) + because(h.Reason)
		}
		rows[i] = []cell{data(h.ChangeID), data(h.Target), state, data(since), {text: orDash(names(h.Packages, 5))}, data(why)}
	}
	return s.table([]string{"CHANGE", "TARGET", "STATE", "SINCE", "PACKAGES", "END"}, rows)
}
