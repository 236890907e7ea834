// Package hostile holds texts that would do something somewhere if they were taken
// for anything but text: a mention, a link, an element, a header, a template, a
// command. Every channel and every page is tested with all of them.
//
// What an attacker can write is the label of an alert, the title of a change, the
// reason of a vote: anything that comes from outside.
package hostile

import "slices"

// Kind says where a text would do its work.
type Kind string

// The kinds.
const (
	// Mention calls people in Slack, Teams, Jira and their like.
	Mention Kind = "mention"
	// Link becomes something to click, or is fetched by whoever shows it.
	Link Kind = "link"
	// Inside names an address that only the server can reach.
	Inside Kind = "inside"
	// Markup is what chats, cards and tickets format: mrkdwn, Markdown, wiki markup.
	Markup Kind = "markup"
	// HTML is elements, attributes, scripts and styles.
	HTML Kind = "html"
	// Header breaks out of a line: of a mail, of HTTP, of SMTP, of an event stream.
	Header Kind = "header"
	// Template is code in the languages that texts are made with.
	Template Kind = "template"
	// Data is JSON, YAML, XML and SQL, and words that a parser takes for a value.
	Data Kind = "data"
	// Shell is code in POSIX shells, PowerShell its own, with the quotes that only
	// it knows.
	Shell      Kind = "shell"
	PowerShell Kind = "powershell"
	// Formula is run by spreadsheets that open an export.
	Formula Kind = "formula"
	// Path leads elsewhere in a file system or in a bus.
	Path Kind = "path"
	// Terminal moves the cursor, changes the title, rings.
	Terminal Kind = "terminal"
	// Direction makes text read other than it is, Invisible cannot be seen.
	Direction Kind = "direction"
	Invisible Kind = "invisible"
	// Encoding is no UTF-8, or more than one way to write the same.
	Encoding Kind = "encoding"
	// Line forges a line of a log or a message.
	Line Kind = "line"
	// Long is longer than anything wants.
	Long Kind = "long"
)

// Text is one of them.
type Text struct {
	Kind Kind
	Text string
}

// All returns every text, in an order that stays.
func All() []Text {
	var all []Text
	for _, g := range groups() {
		for _, text := range g.texts {
			all = append(all, Text{g.kind, text})
		}
	}
	return all
}

// Strings returns the texts of these kinds, or of all when none is named.
func Strings(kinds ...Kind) []string {
	var texts []string
	for _, t := range All() {
		if len(kinds) == 0 || slices.Contains(kinds, t.Kind) {
			texts = append(texts, t.Text)
		}
	}
	return texts
}
