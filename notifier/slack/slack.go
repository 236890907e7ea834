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
	"sync/atomic"
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
	APIURL string `json:"api_url,omitempty" yaml:"api_url,omitempty" doc:"Instead of https://slack.com/api/, such as https://slack-gov.com/api/; plain http only to this machine."`
	// Interactive makes the first message about a rollback a card with buttons, which
	// is kept up to date. It needs Team and one of AppToken and SigningSecret.
	Interactive bool `json:"interactive,omitempty" yaml:"interactive,omitempty" doc:"The first message about a rollback is a card with buttons that is kept up to date; needs team, and app_token or signing_secret."`
	// Team is the workspace's id: accounts of any other may press nothing.
	Team string `json:"team,omitempty" yaml:"team,omitempty" doc:"The workspace's id (T…); accounts of other workspaces may press nothing."`
	// AppToken (xapp-…), with the scope connections:write, gets what people press
	// through Socket Mode: no address of this server needs to be public.
	AppToken backout.Secret `json:"app_token,omitzero" yaml:"app_token,omitempty" doc:"The app-level token (xapp-…) with the scope connections:write, for Socket Mode; a secret."`
	// SigningSecret proves that what is posted to /slack/interactions is Slack's.
	SigningSecret backout.Secret `json:"signing_secret,omitzero" yaml:"signing_secret,omitempty" doc:"The app's signing secret, when Slack posts to /slack/interactions instead of Socket Mode; a secret."`
}

var (
	channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)
	teamID    = regexp.MustCompile(`^[TE][A-Z0-9]{2,}$`)
)

// Validate says what is wrong with the section.
func (c *Config) Validate() error {
	if c.Token.IsZero() {
		return errors.New("token is missing: name where the app's bot token (xoxb-…) is kept, such as token: {credential: slack-token}")
	}
	if !channelID.MatchString(c.Channel) {
		return fmt.Errorf("channel %q is not a channel's id: copy the id (C…) from the end of the channel's About page; names are not accepted", c.Channel)
	}
	if err := c.validateInteractive(); err != nil {
		return err
	}
	if c.APIURL == "" {
		return nil
	}
	if err := notifier.CheckAddress("api_url", c.APIURL); err != nil {
		return fmt.Errorf("%w; leave it out for https://slack.com/api/", err)
	}
	return nil
}

func (c *Config) validateInteractive() error {
	socket, signed := !c.AppToken.IsZero(), !c.SigningSecret.IsZero()
	switch {
	case !c.Interactive && (socket || signed || c.Team != ""):
		return errors.New("app_token, signing_secret and team are for buttons: add interactive: true, or leave them out")
	case !c.Interactive:
		return nil
	case socket && signed:
		return errors.New("both app_token and signing_secret are given: keep app_token for Socket Mode, or signing_secret when Slack posts to /slack/interactions")
	case !socket && !signed:
		return errors.New("interactive needs a way for Slack to tell what people press: app_token (Socket Mode), or signing_secret when Slack posts to /slack/interactions")
	case !teamID.MatchString(c.Team):
		return fmt.Errorf("team %q is not a workspace's id: copy the id (T…) from the workspace's address in a browser; without it accounts of other workspaces cannot be told apart", c.Team)
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
	for key, secret := range map[string]backout.Secret{"app_token": c.AppToken, "signing_secret": c.SigningSecret} {
		if !secret.IsZero() && strings.TrimSpace(secret.Reveal()) == "" {
			return nil, backout.Permanent(fmt.Errorf("slack %s is empty: put the app's there", key))
		}
	}
	api := newClient(c)
	return &Notifier{channel: c.Channel, config: c, api: api, desk: api}, nil
}

// Notifier posts to one channel. It may be used by many goroutines.
type Notifier struct {
	channel string
	config  Config
	api     poster
	desk    *client
	cards   atomic.Pointer[Cards]
}

// Cards draws what the first message about a rollback shows.
type Cards interface {
	// Card returns the card as it is now; false when it cannot be told.
	Card(ctx context.Context, rollbackID string) (Card, bool)
	// Posted tells that a rollback's first message has been posted. It must not block.
	Posted(rollbackID string)
}

// ShowCards makes the first messages of an interactive channel cards.
func (n *Notifier) ShowCards(cards Cards) {
	if n.config.Interactive {
		n.cards.Store(&cards)
	}
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
	// card is shown instead of sections.
	card Card
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
	cards := n.cards.Load()
	first := cards != nil && m.Notice.RollbackID != "" && p.thread == ""
	if first {
		if card, ok := (*cards).Card(ctx, m.Notice.RollbackID); ok {
			p.card, p.sections = card, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	channel, ts, err := n.api.post(ctx, p)
	if err != nil {
		return backout.Receipt{}, fmt.Errorf("post to slack channel %s: %w", n.channel, err)
	}
	if first {
		(*cards).Posted(m.Notice.RollbackID)
	}
	return backout.Receipt{Ref: ts, Channel: channel}, nil
}

// loud tells the moments that people must see without opening the thread.
func loud(m backout.Moment) bool {
	return slices.Contains([]backout.Moment{
		backout.MomentLevelStarted, backout.MomentEscalated, backout.MomentHeld, backout.MomentApproval,
		backout.MomentInDoubt, backout.MomentExhausted, backout.MomentRecovered,
		backout.MomentLastCall, backout.MomentVoided, backout.MomentBreakGlass, backout.MomentUnreachable,
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
