package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// client is slack-go behind [poster] and [desk]; its types do not leave this package.
type client struct {
	api    *slackgo.Client
	tokens []backout.Secret
	gates  gates
}

func newClient(c Config) *client { return newClientBy(c, httpClient()) }

// httpClient bounds every call. The library opens connections without a bound of its
// own: an address that takes the question and never answers would be waited for for ever.
func httpClient() *http.Client {
	web := notifier.HTTPClient()
	web.Timeout = timeout
	return web
}

func newClientBy(c Config, web *http.Client) *client {
	options := []slackgo.Option{
		slackgo.OptionHTTPClient(web),
		slackgo.OptionAppLevelToken(strings.TrimSpace(c.AppToken.Reveal())),
	}
	if c.APIURL != "" {
		options = append(options, slackgo.OptionAPIURL(strings.TrimSuffix(c.APIURL, "/")+"/"))
	}
	return &client{api: slackgo.New(strings.TrimSpace(c.Token.Reveal()), options...), tokens: []backout.Secret{c.Token, c.AppToken, c.SigningSecret}}
}

func (c *client) post(ctx context.Context, p post) (channel, ts string, err error) {
	blocks := p.card.blocks
	for _, text := range p.sections {
		// Verbatim: Slack makes no links or mentions of its own from plain text.
		blocks = append(blocks, slackgo.NewSectionBlock(slackgo.NewTextBlockObject(slackgo.MarkdownType, text, false, true), nil, nil))
	}
	options := append(content(p.text, blocks), slackgo.MsgOptionMetadata(slackgo.SlackMetadata{
		EventType: "backout_notice", EventPayload: map[string]any{"id": p.noticeID, "moment": p.moment},
	}))
	if p.thread != "" {
		options = append(options, slackgo.MsgOptionTS(p.thread))
		if p.broadcast {
			options = append(options, slackgo.MsgOptionBroadcast())
		}
	}
	// Without a gate: who delivers notices waits as long as Slack says.
	channel, ts, err = c.api.PostMessageContext(ctx, p.channel, options...)
	if p.thread != "" && noReply(err) {
		p.thread, p.broadcast = "", false
		return c.post(ctx, p)
	}
	if err != nil {
		return "", "", c.fault(ctx, err)
	}
	return channel, ts, nil
}

// noReply tells whether a message takes no replies, for instance because somebody has
// removed it or locked its thread: what was to be one is then posted for itself.
func noReply(err error) bool {
	var answer slackgo.SlackErrorResponse
	return errors.As(err, &answer) && slices.Contains([]string{
		"cannot_reply_to_message", "thread_not_found", "restricted_action_thread_locked", "restricted_action_non_threadable_channel",
	}, answer.Err)
}

// content is a message that Slack shows as it is.
func content(text string, blocks []slackgo.Block) []slackgo.MsgOption {
	return []slackgo.MsgOption{
		slackgo.MsgOptionText(text, false), slackgo.MsgOptionBlocks(blocks...),
		slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false),
		slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(),
	}
}

// call makes one call of a method, unless Slack has said to wait with that method.
func (c *client) call(ctx context.Context, method string, do func() error) error {
	if wait := c.gates.wait(method); wait > 0 {
		return notifier.RetryAfter(errors.New("slack asked to wait with "+method), wait)
	}
	err := do()
	if err == nil {
		return nil
	}
	var limited *slackgo.RateLimitedError
	if errors.As(err, &limited) {
		c.gates.shut(method, limited.RetryAfter)
	}
	return c.fault(ctx, err)
}

// gates keep methods from being called while Slack has said to wait: who goes on
// calling waits longer, and may lose the app.
type gates struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (g *gates) wait(method string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.until[method])
}

func (g *gates) shut(method string, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = map[string]time.Time{}
	}
	g.until[method] = time.Now().Add(d)
}

// fault sorts an error: what passes, what does not and what to do about it. The
// text of the library's error is kept, its value is not.
func (c *client) fault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := errors.New(notifier.Redact(err.Error(), c.tokens...))
	var limited *slackgo.RateLimitedError
	if errors.As(err, &limited) {
		return notifier.RetryAfter(said, limited.RetryAfter)
	}
	var status slackgo.StatusCodeError
	if errors.As(err, &status) {
		if refused(status.Code) {
			return backout.Permanent(fmt.Errorf("%w: is api_url right", said))
		}
		return said
	}
	var answer slackgo.SlackErrorResponse
	if errors.As(err, &answer) {
		if what := advice(answer.Err); what != "" {
			return backout.Permanent(fmt.Errorf("%w: %s", said, what))
		}
	}
	return said
}

func refused(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 300 && status < 500
}

// advice says what to do about an error code of chat.postMessage that does not
// pass by itself; it is empty for the others.
func advice(code string) string {
	switch code {
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "no_permission", "org_login_required":
		return "the token is not accepted: install the app again and replace the token"
	case "missing_scope", "not_allowed_token_type":
		return "the app may not post: give it the bot scope chat:write, install it again and use the bot token (xoxb-…)"
	case "channel_not_found":
		return "there is no such channel for the app: check the id, and invite the app when the channel is private"
	case "not_in_channel":
		return "the app is not in the channel: invite it there (/invite), or give it the scope chat:write.public"
	case "message_not_found", "cant_update_message", "edit_window_closed":
		return "the card cannot be edited any more: somebody removed it, or the workspace allows no edits"
	case "expired_trigger_id", "invalid_trigger_id", "exchanged_trigger_id", "trigger_expired":
		return "the click is too old for a form: press again"
	case "is_archived":
		return "the channel is archived: name another one"
	case "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
		"restricted_action_non_threadable_channel", "restricted_action_thread_locked", "ekm_access_denied", "access_denied", "team_access_not_granted":
		return "the workspace's rules do not let the app post there: ask its administrators, or name another channel"
	case "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "invalid_arguments", "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema", "markdown_text_conflict":
		return "Slack does not take the message: check the slack templates"
	}
	return ""
}
