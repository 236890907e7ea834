package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/backout-io/backout"
)

// Channel is the channel's id.
func (n *Notifier) Channel() string { return n.channel }

// Interactive tells whether the channel's cards have buttons.
func (n *Notifier) Interactive() bool { return n.config.Interactive }

// Team is the workspace's id.
func (n *Notifier) Team() string { return n.config.Team }

// SameApp tells whether both channels are served by one installed app: what Slack
// limits, it limits for both.
func (n *Notifier) SameApp(other *Notifier) bool {
	return n.config.Token.Reveal() == other.config.Token.Reveal() && n.config.APIURL == other.config.APIURL
}

// Update makes a message that was posted before show the card. Errors are sorted as
// those of Notify.
func (n *Notifier) Update(ctx context.Context, ts string, card Card) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := n.desk.call(ctx, "chat.update", func() error {
		_, _, _, err := n.desk.api.UpdateMessageContext(ctx, n.channel, ts, content(card.Text, card.blocks)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("update the card in slack channel %s: %w", n.channel, err)
	}
	return nil
}

// Whisper shows one person alone a line in the channel, and a link when there is one.
// The line is plain text.
func (n *Notifier) Whisper(ctx context.Context, user, text, label, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	blocks := []slackgo.Block{slackgo.NewSectionBlock(plainText(text, 3000), nil, nil)}
	if url != "" {
		open := slackgo.NewButtonBlockElement(actionOpen, "", plainText(label, 75)).WithURL(url)
		blocks = append(blocks, slackgo.NewActionBlock("", open))
	}
	err := n.desk.call(ctx, "chat.postEphemeral", func() error {
		_, err := n.desk.api.PostEphemeralContext(ctx, n.channel, user, content(escapedClip(text, 3000), blocks)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("answer in slack channel %s: %w", n.channel, err)
	}
	return nil
}

// Profile is what Slack says of an account.
type Profile struct {
	Team    string
	Deleted bool
	// Stranger accounts are another workspace's, Guest ones restricted.
	Stranger, Guest bool
}

// Profile asks Slack about an account.
func (n *Notifier) Profile(ctx context.Context, user string) (Profile, error) {
	var out Profile
	err := n.desk.call(ctx, "users.info", func() error {
		u, err := n.desk.api.GetUserInfoContext(ctx, user)
		if err == nil {
			out = Profile{Team: u.TeamID, Deleted: u.Deleted, Stranger: u.IsStranger, Guest: u.IsRestricted || u.IsUltraRestricted}
		}
		return err
	})
	if err != nil {
		return out, fmt.Errorf("ask slack about an account: %w", err)
	}
	return out, nil
}

// Form asks somebody for a reason.
type Form struct {
	// Action is what the reason is for, one of the card's actions.
	Action  string
	Subject Subject
	Title   string
	Text    string
	Submit  string
}

// reasonBlock and reasonInput name the form's one input.
const (
	reasonBlock = "reason"
	reasonInput = "text"
)

// Ask opens a form for whoever pressed a button. The trigger is good for three
// seconds.
func (n *Notifier) Ask(ctx context.Context, trigger string, f Form) error {
	input := slackgo.NewPlainTextInputBlockElement(plainText("Why?", 150), reasonInput)
	input.Multiline, input.MaxLength = true, 500
	view := modal(f.Title, slackgo.NewSectionBlock(plainText(f.Text, 3000), nil, nil),
		slackgo.NewInputBlock(reasonBlock, plainText("Reason", 2000), nil, input))
	view.Submit, view.CallbackID = plainText(f.Submit, 24), f.Action
	view.PrivateMetadata = n.channel + "\n" + f.Subject.String()
	err := n.desk.call(ctx, "views.open", func() error {
		_, err := n.desk.api.OpenViewContext(ctx, trigger, view)
		return err
	})
	if err != nil {
		return fmt.Errorf("open a form: %w", err)
	}
	return nil
}

func modal(title string, blocks ...slackgo.Block) slackgo.ModalViewRequest {
	return slackgo.ModalViewRequest{
		Type: slackgo.VTModal, Title: plainText(title, 24), Close: plainText("Close", 24), Blocks: slackgo.Blocks{BlockSet: blocks},
	}
}

// Verify tells whether a request is Slack's: its signature fits the body, and it is
// not older than five minutes ([backout.ErrStale]). It does not tell whether it was sent before.
func (n *Notifier) Verify(header http.Header, body []byte) error {
	if n.config.SigningSecret.IsZero() {
		return fmt.Errorf("%w: no signing secret is configured", backout.ErrForbidden)
	}
	verifier, err := slackgo.NewSecretsVerifier(header, strings.TrimSpace(n.config.SigningSecret.Reveal()))
	if errors.Is(err, slackgo.ErrExpiredTimestamp) {
		return fmt.Errorf("%w: the request is older than five minutes, or a clock is wrong", backout.ErrStale)
	}
	if err == nil {
		_, _ = verifier.Write(body)
		err = verifier.Ensure()
	}
	if err != nil {
		return fmt.Errorf("%w: the signature is not Slack's", backout.ErrForbidden)
	}
	return nil
}

func sayBlock(text string) slackgo.Block {
	return slackgo.NewSectionBlock(plainText(text, 3000), nil, nil)
}
