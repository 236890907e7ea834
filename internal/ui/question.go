package ui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// Question is what is asked of people, and what they should know before they answer.
type Question struct {
	Level *backout.Level
	Ask   *backout.Ask
	// Lost is what would be destroyed; empty when nothing is.
	Lost string
	// Reopens are the CVEs that are open again once it has started.
	Reopens []CVE
	// Why says why it is asked, where nothing else on the card does.
	Why string
	// Silence says what follows from no answer.
	Silence string
}

// CVE is a vulnerability that the patch closes.
type CVE struct {
	ID string
	// Exploited tells that it is known to be exploited.
	Exploited bool
}

// Question returns what is asked; nil when nothing is.
func (c Card) Question() *Question {
	level := c.Asked()
	if level == nil {
		return nil
	}
	ask := c.Rollback.Ask
	q := &Question{Level: level, Ask: ask, Lost: c.Lost(ask.AskedAt), Reopens: c.Reopens(), Silence: ifNobodyAnswers(&c.Rollback)}
	if ask.Why != c.Why() {
		q.Why = ask.Why
	}
	return q
}

// Reopens are the CVEs of the patch, those that are known to be exploited first: each is
// open again wherever the patch is gone.
func (c Card) Reopens() []CVE {
	var out []CVE
	for _, id := range c.Rollback.Patch.CVEs {
		out = append(out, CVE{id, slices.Contains(c.Rollback.Exploited, id)})
	}
	slices.SortStableFunc(out, func(a, b CVE) int {
		switch {
		case a.Exploited == b.Exploited:
			return 0
		case a.Exploited:
			return -1
		}
		return 1
	})
	return out
}

// Needs says how many votes are wanted, of whom and how.
func (q *Question) Needs() string {
	p := q.Ask.Policy
	text := plural(p.Votes, "vote")
	switch {
	case p.Mode == backout.ApprovalVeto:
		return "nobody's yes: it starts unless somebody on duty holds or denies it"
	case len(p.Groups) == 0:
		return text + ", and the plan names no group whose votes count: nobody can approve"
	}
	text += " of " + strings.Join(p.Groups, " or ")
	if len(p.Channels) > 0 {
		text += ", by " + strings.Join(p.Channels, " or ") + " and by nothing else"
	}
	if p.StepUp > 0 {
		text += ", after a login within the last " + p.StepUp.String()
	}
	return text
}

// SoFar counts the votes that count.
func (q *Question) SoFar() string {
	return fmt.Sprintf("%d of %d", q.Ask.Approvals(), q.Ask.Policy.Votes)
}
