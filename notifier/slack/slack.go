// Package slack posts notices to a Slack channel with chat.postMessage. The
// first message about a rollback is posted to the channel, what follows is a
// reply in its thread; replies that people must not miss are shown in the channel
// too.
//
// Facts about Slack are from its documentation: docs.slack.dev, pages
// chat.postMessage, block-kit/composition-objects/text-object, block-kit/blocks,
// messaging/formatting-message-text and apis/web-api/rate-limits.
package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// timeout bounds one call; what takes longer is tried again.
const timeout = 10 * time.Second

// Config is the section of a channel of type slack.
type Config struct {
	// Token is the app's bot token (xoxb-…), with the scope chat:write.
	Token backout.Secret `json:"token,omitzero" yaml:"token" required:"true" doc:"The app's bot token (xoxb-…) with the scope chat:write; a secret."`
	// Channel is the channel's id (C0123456789), not its name. The app must be
	// in the channel.
	Channel string `json:"channel" yaml:"channel" required:"true" doc:"The channel's id (C…), not its name. The app must be in the channel."`
	// APIURL replaces https://slack.com/api/, for GovSlack and for tests.
	APIURL string `json:"api_url,omitempty" yaml:"api_url,omitempty" doc:"Instead of https://slack.com/api/, such as https://slack-gov.com/api/."`
}

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if c.Token.IsZero() {
		return errors.New("token is missing: name where the app's bot token (xoxb-…) is kept, such as token: {credential: slack-token}")
	}
	if !channelID.MatchString(c.Channel) {
		return fmt.Errorf("channel %q is not a channel's id: copy the id (C…) from the end of the channel's About page; names are not accepted", c.Channel)
	}
	if c.APIURL == "" {
		return nil
	}
	u, err := url.Parse(c.APIURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("api_url must be an http or https address without user and query, such as https://slack-gov.com/api/; leave it out for slack.com")
	}
	return nil
}

// Kind is the channel type.
func Kind() notifier.Kind {
	k := notifier.Define("slack", "a message in a Slack channel, one thread for each rollback", build)
	k.Escape, k.Time, k.Link = Escape, date, link
	return k
}

func build(_ context.Context, c Config) (backout.Notifier, error) {
	return New(c)
}

// New makes the notifier of a channel.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	if strings.TrimSpace(c.Token.Reveal()) == "" {
		return nil, backout.Permanent(errors.New("slack token is empty: put the app's bot token (xoxb-…) there"))
	}
	return &Notifier{channel: c.Channel, api: newClient(c)}, nil
}

// Notifier posts to one channel. It may be used by many goroutines.
type Notifier struct {
	channel string
	api     poster
}

// Format implements [fmt.Formatter]: no verb reaches the token.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "slack channel "+n.channel) }

// poster is what is wanted of Slack.
type poster interface {
	// post returns the channel's id and the message's time stamp, which is its
	// name.
	post(ctx context.Context, p post) (channel, ts string, err error)
}

// post is one message.
type post struct {
	channel string
	// text is what notifications show; sections are the message.
	text     string
	sections []string
	// thread is the message to reply to; broadcast shows the reply in the
	// channel too.
	thread    string
	broadcast bool
	// noticeID makes a second delivery recognisable, in the message's metadata.
	noticeID, moment string
}

// Notify implements [backout.Notifier].
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return backout.Receipt{}, err
	}
	p := post{
		channel: n.channel, text: notifier.OneLine(m.Subject), sections: sections(m.Text),
		noticeID: notifier.Key(m.Notice.ID), moment: notifier.Key(string(m.Notice.Moment)),
	}
	if m.Thread != nil && m.Thread.Ref != "" && (m.Thread.Channel == "" || m.Thread.Channel == n.channel) {
		p.thread, p.broadcast = m.Thread.Ref, loud(m.Notice.Moment)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	channel, ts, err := n.api.post(ctx, p)
	if err != nil {
		return backout.Receipt{}, fmt.Errorf("post to slack channel %s: %w", n.channel, err)
	}
	return backout.Receipt{Ref: ts, Channel: channel}, nil
}

// loud tells the moments that people must see without opening the thread.
func loud(m backout.Moment) bool {
	return slices.Contains([]backout.Moment{
		backout.MomentLevelStarted, backout.MomentEscalated, backout.MomentHeld, backout.MomentApproval,
		backout.MomentInDoubt, backout.MomentExhausted, backout.MomentRecovered,
	}, m)
}

// maxSection is how many characters a section block may hold.
const maxSection = 3000

// sections cuts a text into what fits a block, at line ends where it can.
func sections(text string) []string {
	var out []string
	for text != "" {
		head := text
		if len(text) > maxSection {
			head = head[:cut(head)]
		}
		text = strings.TrimLeft(text[len(head):], "\n ")
		if strings.TrimSpace(head) != "" {
			out = append(out, head)
		}
	}
	return out
}

// cut finds where to end a block: a line's end, a word's end, or at least not
// inside a character or an escape sequence.
func cut(text string) int {
	head := text[:maxSection]
	for _, sep := range []string{"\n", " "} {
		if i := strings.LastIndex(head, sep); i > 0 {
			return i
		}
	}
	if i := strings.LastIndexByte(head, '&'); i > maxSection-len("&amp;") {
		return i
	}
	return len(strings.ToValidUTF8(head, ""))
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escape makes a value harmless in Slack's markup: mentions and links are
// written with angle brackets, and these three characters are what the
// documentation asks to be escaped.
func Escape(value string) string { return escaper.Replace(value) }

// date writes a time that each reader sees in their own time zone.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

// link writes an escaped web address as a link; anything else stays text.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(address, " \t\n") {
		return address
	}
	return "<" + strings.ReplaceAll(address, "|", "%7C") + "|Open in backout>"
}
