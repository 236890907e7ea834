package view

import (
	"strconv"
	"strings"

	"github.com/backout-io/backout/handlers"
)

// condition is how much of a condition is shown: it says more than a name does.
const condition = 1000

// Explained says what every rule makes of an alert: what matched, then the nearest
// miss, with every condition; of the others one line each, or with all everything.
func Explained(e *handlers.Explained, s Style, all bool) string {
	var b strings.Builder
	state := "resolved"
	if e.Alert.Firing {
		state = "firing"
	}
	b.WriteString(s.paint(toneBold, orDash(text(e.Alert.Name()))) + "  " + state + " since " + s.at(e.Alert.StartsAt) +
		", fingerprint " + orDash(text(e.Alert.Fingerprint)) + "\n" + labels(e.Alert.Labels) + "\n")
	b.WriteString("explained for " + s.at(e.At) + "\n")
	for _, note := range e.Notes {
		b.WriteString(s.paint(toneDim, "note: "+Cut(Clean(note), condition)) + "\n")
	}
	if len(e.Rules) == 0 {
		b.WriteString("no rules: the config names none\n")
	}
	full := len(e.Rules)
	if !all {
		full = inFull(e.Rules)
	}
	for i := range e.Rules[:full] {
		b.WriteString("\n" + s.explainedRule(&e.Rules[i]))
	}
	b.WriteString(s.otherRules(e.Rules[full:]))
	if len(e.Said) > 0 {
		b.WriteString("\nthe logs say of this alert:\n")
	}
	for _, said := range e.Said {
		b.WriteString("  " + Cut(Clean(said), condition) + "\n")
	}
	return b.String()
}

// inFull counts those that matched, and the nearest miss.
func inFull(list []handlers.ExplainedRule) int {
	n := 0
	for n < len(list) && list[n].Matched {
		n++
	}
	return min(n+1, len(list))
}

func ruleSign(r *handlers.ExplainedRule) sign {
	switch {
	case r.Acts():
		return sign{"✓", "+", "acts", toneGood}
	case r.Follows == "record":
		return sign{"○", "o", "only recorded", toneDim}
	case r.Follows == "evidence":
		return sign{"●", "*", "further evidence", toneBusy}
	case r.Matched:
		return sign{"■", "#", "stopped", toneWarn}
	case r.Waiting:
		return sign{"…", "~", "waits", toneWarn}
	case r.Error != "":
		return sign{"✗", "x", "failed", toneBad}
	}
	return sign{"✗", "x", "does not match", toneBad}
}

// ruleName is how a rule and its change are named.
func ruleName(r *handlers.ExplainedRule) string {
	return joined("  ", text(r.Group)+"/"+text(r.Rule)+" ("+text(string(r.Mode))+")", r.ChangeID, prefixed("on ", text(r.Target)))
}

// explainedRule shows one rule: why first, then every condition.
func (s Style) explainedRule(r *handlers.ExplainedRule) string {
	out := s.show(ruleSign(r)) + "  " + ruleName(r) + "\n  " + s.paint(toneBold, Cut(Clean(r.Why), condition)) + "\n"
	if len(r.Parts) == 0 {
		return out + "  no conditions: it matches every alert\n"
	}
	return out + s.explainedParts(r.Parts, "  ")
}

func (s Style) explainedParts(parts []handlers.ExplainPart, indent string) string {
	var b strings.Builder
	for i := range parts {
		p := &parts[i]
		g := sign{"✗", "x", "no     ", toneBad}
		switch {
		case p.Held:
			g = sign{"✓", "+", "yes    ", toneGood}
		case p.Unknown != "":
			g = sign{"?", "?", "unknown", toneWarn}
		}
		b.WriteString(indent + s.show(g) + "  " + Cut(Clean(p.Text), condition))
		for _, more := range []string{p.Error, p.Unknown} {
			if more != "" {
				b.WriteString(": " + Cut(Clean(more), condition))
			}
		}
		if p.Failed {
			b.WriteString(s.paint(toneBold, "  <- this one"))
		}
		b.WriteString("\n" + s.explainedParts(p.Parts, indent+"    "))
	}
	return b.String()
}

// otherRules is one line for each.
func (s Style) otherRules(list []handlers.ExplainedRule) string {
	if len(list) == 0 {
		return ""
	}
	rows := make([][]cell, len(list))
	for i := range list {
		r := &list[i]
		rows[i] = []cell{s.signed(ruleSign(r)), {text: ruleName(r)}, data(strconv.Itoa(r.Misses)), data(r.Why)}
	}
	return "\n" + s.table([]string{"OTHERS", "RULE", "MISSES", "WHY"}, rows)
}
