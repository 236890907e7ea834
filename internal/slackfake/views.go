package slackfake

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// View is a modal that somebody has before them, or a home tab.
type View struct {
	ID              string  `json:"id"`
	Type            string  `json:"type"`
	CallbackID      string  `json:"callback_id"`
	PrivateMetadata string  `json:"private_metadata"`
	Title           *Text   `json:"title"`
	Submit          *Text   `json:"submit"`
	Close           *Text   `json:"close"`
	Blocks          []Block `json:"blocks"`
	// User is who sees it, Opened when it was opened.
	User   string    `json:"-"`
	Opened time.Time `json:"-"`
}

// readView decodes a view and says what Slack would not take about it.
func readView(data json.RawMessage) (View, []string) {
	var v View
	var raw struct {
		Blocks json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, []string{"view is not JSON: " + err.Error()}
	}
	_ = json.Unmarshal(data, &raw)
	_, problems := readBlocks(string(raw.Blocks), maxViewBlocks)
	c := checker{problems: problems}
	if v.Type != "modal" && v.Type != "home" {
		c.say("view is of type %q", v.Type)
	}
	if utf8.RuneCountInString(v.PrivateMetadata) > 3000 || utf8.RuneCountInString(v.CallbackID) > 255 {
		c.say("private_metadata or callback_id is too long")
	}
	if v.Type == "modal" {
		c.size("title", v.Title, 24, "plain_text")
	}
	for what, t := range map[string]*Text{"submit": v.Submit, "close": v.Close} {
		if t != nil {
			c.size(what, t, 24, "plain_text")
		}
	}
	for _, b := range v.Blocks {
		if b.Type == "input" && v.Submit == nil {
			c.say("a view with inputs needs submit")
		}
	}
	return v, c.problems
}

// Open lists the modals that a person has before them.
func (w *Workspace) Open(user string) []View {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []View
	for _, v := range w.views {
		if v.User == user {
			out = append(out, v)
		}
	}
	return out
}
