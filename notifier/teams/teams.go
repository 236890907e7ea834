// Package teams posts notices to Microsoft Teams as Adaptive Cards, by a workflow
// ("Post to a channel when a webhook request is received").
//
// The shapes are from Microsoft's documentation: the message with its attachment from
// learn.microsoft.com/connectors/teams (request body schema; a message of more than
// about 28 KB is refused), the card from learn.microsoft.com/adaptive-cards, pages
// schema-explorer/rich-text-block, schema-explorer/text-run and
// schema-explorer/action-open-url. All text stands in runs of RichTextBlocks: Markdown
// is not supported there, so that nothing in it becomes a link, a mention or a picture
// (authoring-cards/text-features), and a mention needs an entity of its own, which no
// card of ours has.
package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Kind is the channel type.
func Kind() notifier.Kind {
	k := notifier.Define("teams", "an Adaptive Card in Microsoft Teams, by a workflow", build)
	k.Escape = Escape
	return k
}

// Escape takes the functions {{DATE()}} and {{TIME()}} of cards apart by a character
// nobody sees, so that a value with them is shown as it is.
func Escape(value string) string { return strings.ReplaceAll(value, "{", "{\u2060") }

func build(_ context.Context, c Config) (backout.Notifier, error) { return New(c) }

// New makes the notifier of a workflow.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	u, err := c.address()
	if err != nil {
		return nil, backout.Permanent(err)
	}
	return &Notifier{url: c.URL, host: u.Host, client: notifier.HTTPClient()}, nil
}

// Notifier posts to one workflow. It may be used by many goroutines.
type Notifier struct {
	url    backout.Secret
	host   string
	client *http.Client
}

// Format implements [fmt.Formatter]: no verb reaches the address.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "teams workflow at "+n.host) }

// Notify implements [backout.Notifier]. A workflow answers before it posts: a card
// that it could not post shows in the workflow's own history.
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, notifier.HTTPTimeout)
	defer cancel()
	body, err := encode(m)
	if err != nil {
		return backout.Receipt{}, backout.Permanent(err)
	}
	if err := notifier.PostJSON(ctx, n.client, n.url.Reveal(), n.host, nil, body, n.url); err != nil {
		return backout.Receipt{}, err
	}
	return backout.Receipt{Ref: notifier.Key(m.Notice.ID), Channel: n.host}, nil
}

// maxMessage is below what Teams takes, in bytes.
const maxMessage = 24 << 10

// encode writes the message, and cuts its text until Teams takes it.
func encode(m backout.Message) ([]byte, error) {
	text := strings.ToValidUTF8(m.Text, "\uFFFD")
	for limit := notifier.MaxText; ; limit /= 2 {
		c := compose(m, notifier.Cut(text, max(limit, 10)))
		body, err := json.Marshal(message{Type: "message", Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}}})
		if err != nil {
			return nil, fmt.Errorf("encode card: %w", err)
		}
		if len(body) <= maxMessage || limit < 100 {
			return body, nil
		}
	}
}
