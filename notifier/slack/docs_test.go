package slack

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheGuideShowsACard: the card in docs/slack.md is one that is really posted, as
// text.
func TestTheGuideShowsACard(t *testing.T) {
	page, err := os.ReadFile("../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```text\n")
	shown, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("docs/slack.md shows no card")
	}
	if d := cmp.Diff(asText(t, Draw(cards()["votes"])), shown); d != "" {
		t.Errorf("docs/slack.md (-card +page):\n%s", d)
	}
}

// asText writes a card as somebody reads it.
func asText(t *testing.T, c Card) string {
	t.Helper()
	type part struct {
		Text json.RawMessage
	}
	var card struct {
		Blocks []struct {
			part
			Fields, Elements []part
		}
	}
	data, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(data, &card)
	}
	if err != nil {
		t.Fatal(err)
	}
	words := func(p part) string {
		var text struct{ Text string }
		if json.Unmarshal(p.Text, &text) != nil {
			_ = json.Unmarshal(p.Text, &text.Text)
		}
		said := regexp.MustCompile(`<!date[^|]*\|([^>]*)>`).ReplaceAllString(text.Text, "$1")
		said = regexp.MustCompile(`(?m)^\*([^*]*)\*\n`).ReplaceAllString(said, "$1: ")
		return strings.ReplaceAll(said, "*", "")
	}
	var b strings.Builder
	for _, block := range card.Blocks {
		lines := []string{}
		if said := words(block.part); said != "" {
			lines = append(lines, said)
		}
		for _, f := range block.Fields {
			lines = append(lines, words(f))
		}
		var buttons []string
		for _, e := range block.Elements {
			if text := words(e); e.Text[0] == '{' {
				buttons = append(buttons, "["+text+"]")
			} else {
				lines = append(lines, text)
			}
		}
		if buttons != nil {
			lines = append(lines, strings.Join(buttons, " "))
		}
		b.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}
