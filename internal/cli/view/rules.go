package view

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Rules lists rules with what they may do and how they have done.
func Rules(list []handlers.RuleStatus, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no rules: the server's config names none\n"
	}
	rows := make([][]cell, len(list))
	for i := range list {
		r := &list[i]
		rows[i] = []cell{
			data(r.Rule), s.signed(modeSign(r.Mode)), data(string(r.FileMode)), data(scoreWords(r.Score)), data(lastWords(r.LastVerdict, now)), data(ruleWords(r, now)),
		}
	}
	return s.table([]string{"RULE", "MAY", "FILE", "AGREED", "LAST", "WHY"}, rows)
}

func modeSign(m backout.Mode) sign {
	switch m {
	case backout.ModeShadow:
		return sign{"○", "o", "shadow", toneDim}
	case backout.ModeAsk:
		return sign{"✋", "!", "ask", toneWarn}
	case backout.ModeAuto:
		return sign{"●", "*", "auto", toneGood}
	}
	return sign{"?", "?", text(string(m)), toneWarn}
}

func scoreWords(r handlers.RuleScore) string {
	out := fmt.Sprintf("%d of %d", r.Agreed, r.Agreed+r.Disagreed)
	if r.Agreed+r.Disagreed > 0 {
		out += fmt.Sprintf(" (%.0f%%)", 100*r.Precision)
	}
	if r.Open > 0 {
		out += fmt.Sprintf(", %d open", r.Open)
	}
	return out
}

func lastWords(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return relative(at, now)
}

// ruleWords says why the rule may do less than its file says, or else who let it.
func ruleWords(r *handlers.RuleStatus, now time.Time) string {
	p := r.Promotion
	switch {
	case p == nil || p.Hash != r.Hash:
		return r.Why
	case r.Why != "":
		return r.Why + ", " + relative(p.At, now) + because(p.Reason)
	case p.Lowered:
		return ""
	}
	return fmt.Sprintf("promoted to %s by %s %s when %s changes agreed", p.Mode, p.By, relative(p.At, now), scoreWords(p.Score)) + because(p.Reason)
}

// Said shows what rules have said of a change, and who judged it.
func Said(c *backout.Change, s Style, now time.Time) string {
	if len(c.Rules) == 0 {
		return text(c.ID) + ": no rule has said anything\n"
	}
	rows := make([][]cell, len(c.Rules))
	for i, r := range c.Rules {
		judged := ""
		if j := r.Judged; j != nil {
			judged = "wrong"
			if j.Agree {
				judged = "right"
			}
			judged += by(j.By) + because(j.Reason)
		}
		rows[i] = []cell{data(r.Rule), s.signed(modeSign(r.Mode)), data(relative(r.Last, now)), {text: names(r.Targets, 8)}, data(judged)}
	}
	return s.table([]string{"RULE", "COULD", "LAST", "TARGETS", "JUDGED"}, rows)
}
