package teams

import (
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

type message struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"`
	Content     card    `json:"content"`
}

type card struct {
	Schema  string   `json:"$schema"`
	Type    string   `json:"type"`
	Version string   `json:"version"`
	Body    []block  `json:"body"`
	Actions []action `json:"actions,omitempty"`
	Teams   width    `json:"msteams"`
}

type width struct {
	Width string `json:"width"`
}

type block struct {
	Type    string `json:"type"`
	ID      string `json:"id,omitempty"`
	Spacing string `json:"spacing,omitempty"`
	Inlines []run  `json:"inlines"`
}

type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Color  string `json:"color,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// maxLines is how many lines a card shows one by one; what follows is one block.
const maxLines = 60

// compose writes the card: the subject, coloured by how much it matters (which it says
// in words too), the text line by line, and one button.
func compose(m backout.Message, text string) card {
	c := card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4", Teams: width{"Full"},
		Body: []block{{
			Type: "RichTextBlock", ID: "notice-" + notifier.Key(m.Notice.ID),
			Inlines: []run{{Type: "TextRun", Text: notifier.OneLine(strings.ToValidUTF8(m.Subject, "\uFFFD")), Weight: "Bolder", Size: "Medium", Color: color(m.Notice.Moment)}},
		}},
	}
	lines := strings.Split(text, "\n")
	if len(lines) > maxLines {
		lines = append(lines[:maxLines:maxLines], strings.Join(lines[maxLines:], "\n"))
	}
	spacing := "Medium"
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			spacing = "Medium"
			continue
		}
		c.Body = append(c.Body, block{Type: "RichTextBlock", Spacing: spacing, Inlines: runs(line)})
		spacing = "None"
	}
	if address := notifier.WebAddress(m.Notice.URL); address != "" {
		c.Actions = []action{{Type: "Action.OpenUrl", Title: "Open in backout", URL: address}}
	}
	return c
}

// runs writes one line, its label in bold.
func runs(line string) []run {
	label, value, ok := cutLabel(line)
	if !ok {
		return []run{{Type: "TextRun", Text: line}}
	}
	return []run{{Type: "TextRun", Text: label + ": ", Weight: "Bolder"}, {Type: "TextRun", Text: value}}
}

// cutLabel takes a line apart that begins with a label, such as "Lost for good: …". A
// value's further lines are indented (see [notifier.Plain]), so they do not pass for
// one.
func cutLabel(line string) (label, value string, ok bool) {
	label, value, ok = strings.Cut(line, ": ")
	if !ok || label == "" || len(label) > 40 || label[0] < 'A' || label[0] > 'Z' || strings.ContainsFunc(label, func(r rune) bool {
		return r != ' ' && r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "", line, false
	}
	return label, value, true
}

func color(m backout.Moment) string {
	switch notifier.SeverityOf(m) {
	case notifier.SeverityCritical, notifier.SeverityError:
		return "Attention"
	case notifier.SeverityWarning:
		return "Warning"
	case notifier.SeverityInfo:
	}
	if notifier.StateOf(m) == notifier.StateEnded {
		return "Good"
	}
	return "Default"
}
