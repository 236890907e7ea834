package itsm

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
)

// adf is a node of the Atlassian Document Format.
type adf struct {
	Type    string          `json:"type"`
	Version int             `json:"version,omitempty"`
	Text    string          `json:"text,omitempty"`
	Content []adf           `json:"content,omitempty"`
	Attrs   json.RawMessage `json:"attrs,omitempty"`
	Marks   json.RawMessage `json:"marks,omitempty"`
}

// Document is a text as a document without any markup: an empty line begins a
// paragraph, a line's end is a hard break. Nothing in it becomes a link or a mention,
// which are nodes of their own.
func Document(text string) any {
	doc := adf{Type: "doc", Version: 1}
	for block := range strings.SplitSeq(text, "\n\n") {
		if p := paragraph(block); len(p.Content) > 0 {
			doc.Content = append(doc.Content, p)
		}
	}
	return doc
}

func paragraph(block string) adf {
	p := adf{Type: "paragraph"}
	for line := range strings.SplitSeq(strings.Trim(block, "\n"), "\n") {
		if len(p.Content) > 0 {
			p.Content = append(p.Content, adf{Type: "hardBreak"})
		}
		if line != "" { // an empty text is no node
			p.Content = append(p.Content, adf{Type: "text", Text: line})
		}
	}
	return p
}

// FieldText is the text of a field: a document's without its markup, or the field
// itself where it is a text. A document of pictures alone has none.
func FieldText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var doc adf
	if json.Unmarshal(raw, &doc) != nil {
		return ""
	}
	var b strings.Builder
	doc.write(&b)
	return b.String()
}

func (n adf) write(b *strings.Builder) {
	b.WriteString(n.Text)
	for _, child := range n.Content {
		child.write(b)
	}
	switch n.Type {
	case "paragraph", "heading", "codeBlock", "hardBreak", "listItem":
		b.WriteByte('\n')
	}
}

// DocumentWithPlan is [WithPlan] for a field that holds a document: our plan is one
// code block at its end.
func DocumentWithPlan(raw json.RawMessage, n backout.Notice) (merged any, changed bool) {
	doc := adf{Type: "doc", Version: 1}
	var was adf
	if json.Unmarshal(raw, &was) == nil && was.Type == "doc" {
		doc = was
	}
	block := PlanBlock(n)
	kept := make([]adf, 0, len(doc.Content)+1)
	for _, node := range doc.Content {
		if node.Type == "codeBlock" && len(node.Content) > 0 && strings.HasPrefix(node.Content[0].Text, planBegins) {
			if node.Content[0].Text == block {
				return raw, false
			}
			continue
		}
		kept = append(kept, node)
	}
	doc.Content = append(kept, adf{Type: "codeBlock", Content: []adf{{Type: "text", Text: block}}})
	return doc, true
}

var macro = regexp.MustCompile(`(?i)\{(noformat)`)

// Unformatted is a text that Jira's wiki markup leaves as it is: no link, mention,
// image or macro is made of it.
func Unformatted(text string) string {
	text = strings.ReplaceAll(macro.ReplaceAllString(text, "{ $1"), "[~", "[ ~")
	return "{noformat}\n" + text + "\n{noformat}"
}
