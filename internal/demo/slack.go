package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/slackfake"
)

// The workspace of the demo, as its config names it.
const (
	slackTeam    = "T0000DEMO"
	slackChannel = "C0000OPS"
	slackUser    = "U0000ANN"
)

// onlyAnn is whose the one account of the demo's workspace is.
type onlyAnn struct{}

// SlackActor implements [handlers.Accounts].
func (onlyAnn) SlackActor(_ context.Context, team, user string) (handlers.Actor, error) {
	if team != slackTeam || user != slackUser {
		return handlers.Actor{}, fmt.Errorf("slack account: %w", backout.ErrNotFound)
	}
	grants := []backout.Grant{{Role: backout.RoleOperator, Everywhere: true}, {Role: backout.RoleApprover, Everywhere: true}}
	return handlers.Actor{Name: "ann", Groups: []string{"sre"}, Via: "slack", Grants: grants}, nil
}

// LinkSlack implements [handlers.Accounts]: nothing can be linked in the demo.
func (onlyAnn) LinkSlack(context.Context, string, string) (string, error) {
	return "", fmt.Errorf("link slack account: %w", backout.ErrNotFound)
}

// startSlack plays Slack on this machine: the Web API for the server, and the channel
// as a page for whoever watches. It returns the API's address.
func (s *story) startSlack() (string, error) {
	w := slackfake.New(slackfake.Options{Team: slackTeam, BotToken: s.token["slack.token"], AppToken: s.token["slack-app.token"], Unlimited: true})
	w.Put(slackfake.User{ID: slackUser, Name: "ann"})
	w.PutChannel(slackfake.Channel{ID: slackChannel, Name: "ops", Member: true})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for Slack's look-alike: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", w.Page(slackChannel, slackUser))
	mux.Handle("/api/", w)
	mux.Handle("/link", w)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: mux}
	s.tasks.Go(func() { _ = server.Serve(listener) })
	s.later(func() {
		w.DropSockets()
		_ = server.Close()
	})
	s.slack = w
	address := "http://" + listener.Addr().String()
	s.slackAt = address + "/"
	return address + "/api/", nil
}

// card says what the rollback's card in the channel says by now, as soon as it says it.
func (s *story) card(ctx context.Context, says string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		changed := s.slack.Changed()
		for _, m := range s.slack.Cards(slackChannel) {
			if strings.Contains(m.Text, says) {
				s.say("slack        its card there was edited %d times; it says: %s", m.Edits, m.Text)
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.say("slack        the card does not say %q", says)
			return
		}
	}
}
