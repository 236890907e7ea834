package app

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/slackedge"
	"github.com/backout-io/backout/notifier/slack"
)

// startSlack serves the interactive Slack channels; decider refuses who may not decide.
// It begins with none and costs nothing then, so that a reload can add one.
func (a *App) startSlack(l *loaded, decider slackedge.Decider) {
	accounts := a.o.Accounts
	switch {
	case accounts != nil:
	case a.login != nil:
		accounts = a.login
	default:
		accounts = nobody{}
	}
	a.slack = slackedge.New(slackedge.Options{
		Reader: a.engine, Decider: decider, Accounts: accounts, Store: a.store.Outbox, Watch: a.engine.WatchRollbacks,
		Server: l.config.ServerName, Sole: l.config.NATS.URL == "", ExternalURL: l.config.ExternalURL, Log: a.o.Log,
		Refused: a.refusedInSlack,
	})
	a.later(func() error { a.slack.Close(); return nil })
	a.slack.Update(l.slackChannels())
	a.edge.Store(a.slack)
}

// answers tells whether who is told by the channel can answer there; not known before
// Slack's side has been started.
func (a *App) answers(channel string) (ok bool, why string) {
	if edge := a.edge.Load(); edge != nil {
		return edge.Reach(channel)
	}
	return false, ""
}

// refusedInSlack keeps an answer of somebody whom nobody knows, or who may not act any
// more, in the log of the rollback. The others are kept by whoever refuses them.
func (a *App) refusedInSlack(ctx context.Context, r slackedge.Refusal) {
	cause := map[string]string{
		slackedge.WhyUnmapped: backout.RefusalUnmapped, slackedge.WhyStranger: backout.RefusalUnmapped, slackedge.WhyInactive: backout.RefusalInactive,
	}[r.Why]
	choice := map[string]backout.Choice{
		slack.ActionApprove: backout.ChoiceApprove, slack.ActionDeny: backout.ChoiceDeny,
		slack.ActionHold: backout.Choice(handlers.VerbHold), slack.ActionEscalate: backout.Choice(handlers.VerbEscalate),
	}[r.Action]
	if cause == "" || choice == "" || r.AskID == "" {
		return
	}
	by := handlers.Actor{Name: r.Person, Via: "slack"}
	if by.Name == "" {
		by.Name = "slack:" + r.Team + "/" + r.User
	}
	a.recordRefused(ctx, by, r.RollbackID, r.AskID, choice, cause, r.Text)
}

// slackChannels are the channels of type slack that outboxConfig has built.
func (l *loaded) slackChannels() map[string]*slack.Notifier {
	out := map[string]*slack.Notifier{}
	for name, ch := range l.channels {
		if n, ok := ch.Notifier.(*slack.Notifier); ok {
			out[name] = n
		}
	}
	return out
}

// nobody has linked any account.
type nobody struct{}

var _ handlers.Accounts = nobody{}

func (nobody) SlackActor(context.Context, string, string) (handlers.Actor, error) {
	return handlers.Actor{}, fmt.Errorf("slack account: %w", backout.ErrNotFound)
}

func (nobody) LinkSlack(context.Context, string, string) (string, error) {
	return "", fmt.Errorf("link slack account: %w", backout.ErrNotFound)
}
