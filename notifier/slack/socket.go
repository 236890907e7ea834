package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// Socket tells whether the channel's interactions come through Socket Mode.
func (n *Notifier) Socket() bool { return !n.config.AppToken.IsZero() }

// SameSocket tells whether one connection serves both channels.
func (n *Notifier) SameSocket(other *Notifier) bool {
	return n.config.AppToken.Reveal() == other.config.AppToken.Reveal() && n.config.APIURL == other.config.APIURL
}

// Listener hears what comes through Socket Mode.
type Listener struct {
	// Interaction answers one interaction, which came in the named envelope; it may be
	// called from several goroutines. An error leaves it unanswered: the person sees a
	// warning and presses again.
	Interaction func(ctx context.Context, envelope string, payload []byte) (Reply, error)
	// State is told of every change: nil when a connection is open, [ErrConnecting] when
	// one is being opened, why it is not otherwise.
	State func(error)
	// Patience is how long the pause before the next try may be. The library's grow to
	// minutes, in which nobody could press anything although the way is open again.
	Patience time.Duration
}

// maxHandled is how many interactions of one connection are answered at once.
const maxHandled = 64

// Listen keeps a Socket Mode connection open until ctx ends, opening it anew whenever
// it is lost. It returns early when the next try would come later than the listener's
// patience, with the time that Slack asked for, or with a permanent error when trying
// again cannot cure it.
func (n *Notifier) Listen(ctx context.Context, l Listener) error {
	client := socketmode.New(n.desk.api, socketmode.OptionReadLimit(1<<20),
		// The library logs content; what matters comes as events.
		socketmode.OptionLog(silent{}))
	ctx, cancel := context.WithCancel(ctx)
	s := &socket{n: n, client: client, l: l, slots: make(chan struct{}, maxHandled)}
	defer s.tasks.Wait()
	defer cancel()
	ended := make(chan error, 1)
	s.tasks.Go(func() { ended <- client.RunContext(ctx) })
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			err = n.socketFault(ctx, err)
			l.State(err)
			return err
		case ev := <-client.Events:
			if err := s.event(ctx, ev); err != nil {
				return err
			}
		}
	}
}

// socket is one connection while it is kept.
type socket struct {
	n      *Notifier
	client *socketmode.Client
	l      Listener
	slots  chan struct{}
	tasks  sync.WaitGroup
}

// event takes what the library tells. An error says that the next try would come too
// late.
func (s *socket) event(ctx context.Context, ev socketmode.Event) error {
	state := func(err error) {
		if ctx.Err() == nil {
			s.l.State(err)
		}
	}
	switch ev.Type {
	case socketmode.EventTypeHello:
		state(nil)
	case socketmode.EventTypeConnectionError:
		if why, ok := ev.Data.(*slackgo.ConnectionErrorEvent); ok {
			err := s.n.socketFault(ctx, why.ErrorObj)
			state(err)
			if why.Backoff > s.l.Patience {
				return err
			}
		}
	case socketmode.EventTypeConnecting:
		state(ErrConnecting)
	case socketmode.EventTypeDisconnect:
		state(errLost)
	case socketmode.EventTypeIncomingError:
		// What is no JSON is left out, and the connection stays. So it does after what is
		// of an unknown kind, of which another event tells.
		if why, ok := ev.Data.(*slackgo.IncomingEventError); !ok || !malformed(why.ErrorObj) {
			state(errLost)
		}
	case socketmode.EventTypeInteractive:
		if ev.Request != nil {
			s.answer(ctx, *ev.Request)
		}
	case socketmode.EventTypeEventsAPI, socketmode.EventTypeSlashCommand:
		if ev.Request != nil {
			_ = s.client.AckCtx(ctx, ev.Request.EnvelopeID, nil)
		}
	}
	return nil
}

// ErrConnecting says that a connection is being opened, for the first time or anew.
var ErrConnecting = errors.New("the connection to Slack is being opened")

var errLost = errors.New("the connection to Slack was lost, it is being opened anew")

func malformed(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
}

// answer lets an interaction be answered, and acknowledges it then.
func (s *socket) answer(ctx context.Context, req socketmode.Request) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	s.tasks.Go(func() {
		defer func() { <-s.slots }()
		if reply, err := s.l.Interaction(ctx, req.EnvelopeID, req.Payload); err == nil {
			_ = s.client.AckCtx(ctx, req.EnvelopeID, rawReply(reply))
		}
	})
}

func rawReply(r Reply) any {
	if len(r) == 0 {
		return nil
	}
	return json.RawMessage(r)
}

// silent is a log that nobody reads.
type silent struct{}

// Output takes a line.
func (silent) Output(int, string) error { return nil }

// socketFault says what to do about a connection that cannot be opened. A missing
// scope is tried again for ever, so it must be said.
func (n *Notifier) socketFault(ctx context.Context, err error) error {
	if err == nil {
		return errors.New("the connection to Slack ended")
	}
	said := notifier.Redact(err.Error(), n.desk.tokens...)
	if u := strings.Index(said, "ticket="); u >= 0 {
		said = said[:u] + "…"
	}
	switch code := said; {
	case strings.Contains(code, "missing_scope"), strings.Contains(code, "not_allowed_token_type"):
		return fmt.Errorf("socket mode: %s: the app_token must be an app-level token (xapp-…) with the scope connections:write", said)
	case strings.Contains(code, "invalid_auth"), strings.Contains(code, "not_authed"), strings.Contains(code, "token_revoked"), strings.Contains(code, "account_inactive"):
		return backout.Permanent(fmt.Errorf("socket mode: %s: the app_token is not accepted: make a new app-level token and replace it", said))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := fmt.Errorf("socket mode: %s", said)
	var limited *slackgo.RateLimitedError
	if errors.As(err, &limited) {
		return notifier.RetryAfter(failed, limited.RetryAfter)
	}
	return failed
}
