package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/backout-io/backout"
)

// The action ids of a card's buttons.
const (
	ActionApprove  = "backout_approve"
	ActionHold     = "backout_hold"
	ActionDeny     = "backout_deny"
	ActionEscalate = "backout_escalate"
	// actionOpen is a link; Slack tells of its clicks too.
	actionOpen = "backout_open"
)

// Card is the message about one rollback, as it is to be shown now.
type Card struct {
	// Text is what a lock screen shows, in Slack's markup.
	Text   string
	blocks []slackgo.Block
}

// View is what a card is drawn from.
type View struct {
	Rollback backout.Rollback
	// Now is what the countdown is counted from.
	Now time.Time
	// URL leads to the rollback; empty when people have no address of the server.
	URL string
}

// MarshalJSON writes the message as Slack gets it.
func (c Card) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Text   string          `json:"text"`
		Blocks []slackgo.Block `json:"blocks"`
	}{c.Text, c.blocks})
}

// Digest tells cards apart that look different.
func (c Card) Digest() string {
	data, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}

// Draw writes the card of a rollback: the verdict and the countdown first, then what
// happens when nobody acts, what will run, what it costs, who may decide and who has.
// Whatever comes from outside is escaped, and cut to what Slack takes.
func Draw(v View) Card {
	r := &v.Rollback
	line := headline(r, v.Now)
	c := Card{Text: escapedClip(line, 300)}
	c.add(slackgo.NewHeaderBlock(plainText(line, 150)))
	c.section(whatNext(r))
	c.fields(facts(r, v.Now))
	c.section(willRun(r))
	c.section(votes(r))
	if buttons := buttons(v); len(buttons) > 0 {
		c.add(slackgo.NewActionBlock("backout_actions", buttons...))
	}
	c.add(slackgo.NewContextBlock("backout_about", markup(about(r))))
	return c
}

func (c *Card) add(b slackgo.Block) { c.blocks = append(c.blocks, b) }

func (c *Card) section(text string) {
	for _, part := range sections(text) {
		c.add(slackgo.NewSectionBlock(markup(part), nil, nil))
	}
}

func (c *Card) fields(pairs [][2]string) {
	var fields []*slackgo.TextBlockObject
	for _, p := range pairs {
		fields = append(fields, markup("*"+p[0]+"*\n"+p[1]))
	}
	for part := range slices.Chunk(fields, 10) {
		c.add(slackgo.NewSectionBlock(nil, part, nil))
	}
}

// markup is text in Slack's markup whose values are escaped; verbatim, so that Slack
// makes no links of its own.
func markup(text string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, text, false, true)
}

func plainText(text string, most int) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.PlainTextType, clip(text, most), false, false)
}

// shownLevel is the level that the card is about: the one asked for, the one entered,
// or the one that would be first.
func shownLevel(r *backout.Rollback) (int, *backout.Level) {
	i := r.StartAt
	switch {
	case r.Ask != nil:
		i = r.Ask.Level
	case r.Level >= 0:
		i = r.Level
	}
	if i < 0 || i >= len(r.Frozen.Plan.Levels) {
		return i, nil
	}
	return i, &r.Frozen.Plan.Levels[i]
}

// willRun lists the steps of the level that the card is about.
func willRun(r *backout.Rollback) string {
	_, level := shownLevel(r)
	if level == nil || r.Status.Final() {
		return ""
	}
	var b strings.Builder
	b.WriteString("*" + escapedClip(level.Name, 20) + "*")
	if level.Summary != "" {
		b.WriteString(" " + escapedClip(level.Summary, 300))
	}
	const most = 8
	for i, s := range level.Steps {
		if i == most {
			fmt.Fprintf(&b, "\n… and %d more", len(level.Steps)-most)
			break
		}
		name := s.Uses
		if s.Name != "" {
			name = s.Name + " (" + s.Uses + ")"
		}
		b.WriteString("\n" + strconv.Itoa(i+1) + ". " + escapedClip(name, 200))
	}
	return b.String()
}

// votes says who may decide, how many it takes and who has.
func votes(r *backout.Rollback) string {
	ask := r.Ask
	if ask == nil || r.Status.Final() {
		return ""
	}
	var lines []string
	switch {
	case ask.Policy.Mode == backout.ApprovalVeto:
		lines = append(lines, "*Anybody on duty may hold it or deny it.*")
	case len(ask.Policy.Groups) == 0:
		lines = append(lines, "*Nobody may approve it: its plan names no group.*")
	default:
		lines = append(lines, fmt.Sprintf("*%d of %d votes.* Can approve: %s", ask.Approvals(), ask.Policy.Votes, names(ask.Policy.Groups, 10)))
	}
	if len(ask.Excluded) > 0 {
		lines = append(lines, "May not approve: "+names(ask.Excluded, 10))
	}
	if ask.Why != "" {
		lines = append(lines, "Why it is asked: "+escapedClip(ask.Why, 300))
	}
	for i, v := range ask.Votes {
		if i == 10 {
			lines = append(lines, fmt.Sprintf("… and %d more", len(ask.Votes)-i))
			break
		}
		said := map[backout.Choice]string{backout.ChoiceApprove: "approved", backout.ChoiceDeny: "denied"}[v.Choice]
		line := escapedClip(v.User, 80) + " " + said + " " + date(v.At)
		if v.Via != "" {
			line += " by " + escapedClip(v.Via, 20)
		}
		if v.Reason != "" {
			line += ": " + escapedClip(v.Reason, 100)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// about is the small print: what the card is bound to.
func about(r *backout.Rollback) string {
	parts := []string{escapedClip(r.ID, 100), "plan " + escapedClip(r.Frozen.Plan.Name, 100)}
	if h := shortHash(r.Frozen.Hash); h != "" {
		parts[1] += "@" + escapedClip(h, 40)
	}
	if r.Ask != nil {
		parts = append(parts, escapedClip(r.Ask.ID, 100))
	}
	return strings.Join(parts, " | ")
}
