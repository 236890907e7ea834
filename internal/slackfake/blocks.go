package slackfake

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Text is a text object.
type Text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

// Confirm is the dialog before a button counts.
type Confirm struct {
	Title   *Text  `json:"title"`
	Text    *Text  `json:"text"`
	Confirm *Text  `json:"confirm"`
	Deny    *Text  `json:"deny"`
	Style   string `json:"style,omitempty"`
}

// Element is a button, a text input, or a text within a context block.
type Element struct {
	Type     string
	ActionID string
	// Text is a button's label; a context's text is in Plain.
	Text        *Text
	Plain       string
	Value       string
	URL         string
	Style       string
	Confirm     *Confirm
	Multiline   bool
	MaxLength   int
	Placeholder *Text
}

// UnmarshalJSON reads an element; its text is a string within contexts and an object
// elsewhere.
func (e *Element) UnmarshalJSON(data []byte) error {
	var raw struct {
		Type        string          `json:"type"`
		ActionID    string          `json:"action_id"`
		Text        json.RawMessage `json:"text"`
		Value       string          `json:"value"`
		URL         string          `json:"url"`
		Style       string          `json:"style"`
		Confirm     *Confirm        `json:"confirm"`
		Multiline   bool            `json:"multiline"`
		MaxLength   int             `json:"max_length"`
		Placeholder *Text           `json:"placeholder"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*e = Element{
		Type: raw.Type, ActionID: raw.ActionID, Value: raw.Value, URL: raw.URL, Style: raw.Style,
		Confirm: raw.Confirm, Multiline: raw.Multiline, MaxLength: raw.MaxLength, Placeholder: raw.Placeholder,
	}
	if len(raw.Text) == 0 {
		return nil
	}
	if raw.Type == "mrkdwn" || raw.Type == "plain_text" {
		return json.Unmarshal(raw.Text, &e.Plain)
	}
	return json.Unmarshal(raw.Text, &e.Text)
}

// Block is one block of a message or a view.
type Block struct {
	Type     string    `json:"type"`
	ID       string    `json:"block_id"`
	Text     *Text     `json:"text"`
	Fields   []Text    `json:"fields"`
	Elements []Element `json:"elements"`
	Label    *Text     `json:"label"`
	Hint     *Text     `json:"hint"`
	Element  *Element  `json:"element"`
	Optional bool      `json:"optional"`
}

// The limits of the pages under reference/block-kit: characters, or how many.
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxText          = 40000
)

// readBlocks decodes blocks and says what Slack would not take about them.
func readBlocks(data string, most int) (blocks []Block, problems []string) {
	if data == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(data), &blocks); err != nil {
		return nil, []string{"blocks are not JSON: " + err.Error()}
	}
	var c checker
	if len(blocks) > most {
		c.say("%d blocks, at most %d", len(blocks), most)
	}
	for i := range blocks {
		c.block(i, &blocks[i])
	}
	return blocks, c.problems
}

type checker struct {
	problems []string
	ids      []string
}

func (c *checker) say(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// size says when a text is missing, empty, too long or of a kind that is not taken.
func (c *checker) size(what string, t *Text, most int, kinds ...string) {
	switch {
	case t == nil || t.Text == "":
		c.say("%s is empty", what)
	case utf8.RuneCountInString(t.Text) > most:
		c.say("%s has %d characters, at most %d", what, utf8.RuneCountInString(t.Text), most)
	case !slices.Contains(kinds, t.Type):
		c.say("%s is of type %q", what, t.Type)
	}
}

func (c *checker) unique(what, id string) {
	if utf8.RuneCountInString(id) > 255 {
		c.say("%s has more than 255 characters", what)
	}
	if id != "" && slices.Contains(c.ids, what+id) {
		c.say("%s %q is there twice", what, id)
	}
	c.ids = append(c.ids, what+id)
}

func (c *checker) block(i int, b *Block) {
	at := fmt.Sprintf("block %d (%s)", i, b.Type)
	c.unique("block_id", b.ID)
	switch b.Type {
	case "header":
		c.size(at, b.Text, 150, "plain_text")
	case "section":
		if b.Text == nil && len(b.Fields) == 0 {
			c.say("%s has neither text nor fields", at)
		}
		if b.Text != nil {
			c.size(at, b.Text, 3000, "plain_text", "mrkdwn")
		}
		if len(b.Fields) > 10 {
			c.say("%s has %d fields, at most 10", at, len(b.Fields))
		}
		for j := range b.Fields {
			c.size(at+" field", &b.Fields[j], 2000, "plain_text", "mrkdwn")
		}
	case "actions":
		if n := len(b.Elements); n < 1 || n > 25 {
			c.say("%s has %d elements, 1 to 25", at, n)
		}
		for j := range b.Elements {
			c.button(at, &b.Elements[j])
		}
	case "context":
		if n := len(b.Elements); n < 1 || n > 10 {
			c.say("%s has %d elements, 1 to 10", at, n)
		}
		for _, e := range b.Elements {
			c.size(at, &Text{Type: e.Type, Text: e.Plain}, 3000, "plain_text", "mrkdwn")
		}
	case "divider":
	case "input":
		c.size(at+" label", b.Label, 2000, "plain_text")
		if b.Element == nil || b.Element.Type != "plain_text_input" || b.Element.MaxLength > 3000 {
			c.say("%s has no text input that Slack takes", at)
		}
	default:
		c.say("%s is not known", at)
	}
}

func (c *checker) button(at string, e *Element) {
	if e.Type != "button" {
		c.say("%s has an element of type %q", at, e.Type)
		return
	}
	at += " button " + e.ActionID
	c.size(at, e.Text, 75, "plain_text")
	c.unique("action_id", e.ActionID)
	if utf8.RuneCountInString(e.Value) > 2000 || utf8.RuneCountInString(e.URL) > 3000 {
		c.say("%s: value or url is too long", at)
	}
	if e.Style != "" && e.Style != "primary" && e.Style != "danger" {
		c.say("%s: style %q", at, e.Style)
	}
	if d := e.Confirm; d != nil {
		c.size(at+" confirm title", d.Title, 100, "plain_text")
		c.size(at+" confirm text", d.Text, 300, "plain_text", "mrkdwn")
		c.size(at+" confirm yes", d.Confirm, 30, "plain_text")
		c.size(at+" confirm no", d.Deny, 30, "plain_text")
	}
}

// Check says what Slack would not take about the blocks of a message.
func Check(blocks string) []string {
	_, problems := readBlocks(blocks, maxMessageBlocks)
	return problems
}
