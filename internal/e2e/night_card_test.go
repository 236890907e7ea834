package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/slackfake"
)

// card is the rollback's one card as it stands; empty before there is one.
func (n *night) card() slackfake.Message {
	n.t.Helper()
	cards := slices.DeleteFunc(n.chat.Cards(chatChannel), func(m slackfake.Message) bool { return m.Blocks[0].Type != "header" })
	if len(cards) > 1 {
		n.t.Fatalf("%d cards: %+v", len(cards), cards)
	}
	return append(cards, slackfake.Message{})[0]
}

// cardSays waits until the card has all these words, and returns it.
func (n *night) cardSays(words ...string) slackfake.Message {
	n.t.Helper()
	var m slackfake.Message
	eventually(n.t, 30*time.Second, fmt.Sprintf("the card says %q", words), func() error {
		m = n.card()
		for _, w := range words {
			if text := wholeText(m); !strings.Contains(text, w) {
				return fmt.Errorf("it says %s", text)
			}
		}
		return nil
	})
	return m
}

// wholeText is everything that a message shows.
func wholeText(m slackfake.Message) string {
	var b strings.Builder
	for _, block := range m.Blocks {
		if block.Text != nil {
			b.WriteString(block.Text.Text + "\n")
		}
		for _, f := range block.Fields {
			b.WriteString(f.Text + "\n")
		}
		for _, e := range block.Elements {
			b.WriteString(e.Plain + "\n")
		}
	}
	return b.String()
}

// thread is what was told below the card, in order.
func (n *night) thread() []string {
	var out []string
	for _, m := range n.chat.Messages(chatChannel) {
		if m.Thread != "" {
			out = append(out, m.Text+"\n"+wholeText(m))
		}
	}
	return out
}

// press presses a button of the card as it was then, and wants these words, if any, to
// be told to that person alone.
func (n *night) press(p *onDuty, card slackfake.Message, action, words string) slackfake.Ephemeral {
	n.t.Helper()
	before := len(n.chat.Ephemerals(p.slack))
	if _, err := n.chat.ClickValue(n.t.Context(), p.slack, card.Channel, card.TS, action, "backout_actions", card.Value(action)); err != nil {
		n.t.Fatalf("%s presses %s: %v", p.name, action, err)
	}
	if words == "" {
		return slackfake.Ephemeral{}
	}
	var said slackfake.Ephemeral
	eventually(n.t, 20*time.Second, p.name+" is told "+words, func() error {
		all := n.chat.Ephemerals(p.slack)
		if len(all) > before {
			said = all[len(all)-1]
		}
		return notYet(strings.Contains(said.Text, words))
	})
	return said
}

// linkIn finds the address of the one button of what somebody alone was shown.
func linkIn(t testing.TB, e slackfake.Ephemeral) string {
	t.Helper()
	for _, b := range e.Blocks {
		for _, el := range b.Elements {
			if el.URL != "" {
				return el.URL
			}
		}
	}
	t.Fatalf("no link in %+v", e)
	return ""
}
