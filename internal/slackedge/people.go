package slackedge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/notifier/slack"
)

const (
	// profileLife is how long what Slack says of an account counts; somebody who was
	// deactivated can act no longer than that.
	profileLife = time.Minute
	// profileWait bounds the question, which stands between a click and its answer.
	profileWait = time.Second
	// maxProfiles bounds the memory.
	maxProfiles = 4096
)

// people remembers for a minute what Slack says of accounts.
type people struct {
	mu    sync.Mutex
	known map[string]seenProfile
}

type seenProfile struct {
	slack.Profile
	at time.Time
}

func (p *people) profile(ctx context.Context, n *slack.Notifier, user string) (slack.Profile, error) {
	key := n.Team() + "/" + user
	p.mu.Lock()
	seen, ok := p.known[key]
	p.mu.Unlock()
	if ok && time.Since(seen.at) < profileLife {
		return seen.Profile, nil
	}
	ctx, cancel := context.WithTimeout(ctx, profileWait)
	defer cancel()
	got, err := n.Profile(ctx, user)
	if err != nil {
		return got, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxProfiles || p.known == nil {
		p.known = map[string]seenProfile{}
	}
	p.known[key] = seenProfile{got, time.Now()}
	return got, nil
}

// no is a refusal on its way to whoever asked.
type no struct {
	why, text string
	// label and url are a way on.
	label, url string
}

func (n *no) Error() string { return n.text }

func refuse(why, format string, args ...any) *no {
	return &no{why: why, text: fmt.Sprintf(format, args...)}
}

// who tells whose the account is, or refuses it: an account of another workspace, one
// that nobody has linked, one whose person may not act any more. Nothing but the link
// that a signed-in person has made counts; names and addresses in Slack do not.
func (e *Edge) who(ctx context.Context, n *slack.Notifier, in slack.Interaction) (handlers.Actor, error) {
	if in.Team != n.Team() {
		return handlers.Actor{}, refuse(WhyStranger, "Your account belongs to another workspace; only members of this one may decide here. Nothing was changed.")
	}
	actor, err := e.o.Accounts.SlackActor(ctx, in.Team, in.User)
	switch {
	case errors.Is(err, backout.ErrNotFound):
		return actor, e.unmapped(ctx, in)
	case errors.Is(err, backout.ErrRefused), errors.Is(err, backout.ErrForbidden):
		return actor, refuse(WhyInactive, "Your account may not act any more. Nothing was changed.")
	case err != nil:
		return actor, fmt.Errorf("find out whose the account is: %w", err)
	case actor.Name == "":
		return actor, refuse(WhyUnmapped, "Nobody knows whose your account is. Nothing was changed.")
	}
	actor.Via, actor.LoginAt = "slack", time.Time{}
	return actor, nil
}

func (e *Edge) unmapped(ctx context.Context, in slack.Interaction) error {
	said := refuse(WhyUnmapped, "Your Slack account is linked to nobody yet, so nothing was changed. Sign in once to link it, then press again.")
	url, err := e.o.Accounts.LinkSlack(ctx, in.Team, in.User)
	if err != nil || url == "" {
		said.text = "Your Slack account is linked to nobody, so nothing was changed. Decide on the dashboard or with the backout command."
		return said
	}
	said.label, said.url = "Link account", url
	return said
}

// active asks Slack whether the account still is. Whoever wants to start something is
// refused while Slack does not say; holding and denying are never in the way.
func (e *Edge) active(ctx context.Context, n *slack.Notifier, in slack.Interaction) error {
	p, err := e.people.profile(ctx, n, in.User)
	switch {
	case err != nil && (in.Action == slack.ActionHold || in.Action == slack.ActionDeny):
		e.o.Log.Warn("slack does not say whether an account is active; it may hold and deny", "user", in.User, "error", err)
		return nil
	case err != nil:
		return refuse(WhyDown, "Slack does not say whether your account is still active, so nothing was changed. Press again, or decide on the dashboard.")
	case p.Deleted:
		return refuse(WhyInactive, "Your account is deactivated. Nothing was changed.")
	case p.Stranger || p.Team != "" && p.Team != n.Team():
		return refuse(WhyStranger, "Your account belongs to another workspace; only members of this one may decide here. Nothing was changed.")
	}
	return nil
}
