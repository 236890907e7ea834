package itsmfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// node is a node of the Atlassian Document Format.
type node struct {
	Type    string
	Version int
	Text    *string
	Content []node
	Marks   []json.RawMessage
}

// read is what a reader sees of a long text, or why it is refused.
func (j *Jira) read(raw json.RawMessage) (string, error) {
	var text string
	isText := json.Unmarshal(raw, &text) == nil
	switch {
	case !j.cloud && isText:
		return wiki(text), nil
	case !j.cloud || isText:
		return "", errors.New("INVALID_INPUT: a document in version 3, a string in version 2")
	}
	var doc node
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Type != "doc" || doc.Version != 1 {
		return "", errors.New("INVALID_INPUT")
	}
	var b strings.Builder
	if err := doc.write(&b); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// write shows a document. Of the format it knows what makes plain text; other nodes
// show their kind, as links and mentions are more than content.
func (n node) write(b *strings.Builder) error {
	switch n.Type {
	case "doc":
	case "paragraph", "codeBlock":
		defer b.WriteString("\n\n")
	case "hardBreak":
		b.WriteByte('\n')
	case "text":
		if n.Text == nil || *n.Text == "" {
			return errors.New("INVALID_INPUT: an empty text")
		}
		b.WriteString(*n.Text)
		if len(n.Marks) > 0 {
			b.WriteString("<mark>")
		}
	default:
		fmt.Fprintf(b, "<%s>", n.Type)
	}
	for _, child := range n.Content {
		if err := child.write(b); err != nil {
			return err
		}
	}
	return nil
}

var unformatted = regexp.MustCompile(`(?is)\{noformat\}(.*?)\{noformat\}`)

// wiki shows wiki markup: what stands within {noformat} as it is; of the rest, what
// is more than text shows as <markup>.
func wiki(text string) string {
	var b strings.Builder
	rest := text
	for _, m := range unformatted.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(markup(text[len(text)-len(rest) : m[0]]))
		b.WriteString(strings.Trim(text[m[2]:m[3]], "\n"))
		rest = text[m[1]:]
	}
	b.WriteString(markup(rest))
	return b.String()
}

func markup(text string) string {
	if strings.TrimSpace(text) != "" {
		return "<markup>" + text
	}
	return ""
}
