package app_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier/slack"
)

const slackChannel = "C0001"

// slackFiles writes the config of a server with an interactive channel and one live
// change, whose level wants the vote of bob unless change says otherwise.
func slackFiles(t *testing.T, url string, change ...func(*backout.Approval)) (config string) {
	t.Helper()
	dir := t.TempDir()
	approval := backout.Approval{
		Mode: backout.ApprovalRequired, Votes: 1, Groups: []string{"sre"}, Expires: backout.Duration(time.Hour), OnExpiry: backout.ExpiryDeny,
	}
	for _, fn := range change {
		fn(&approval)
	}
	for name, text := range map[string]string{
		"inventory.yaml": "targets:\n  - {name: web-1, transport: local}\n", "ann.token": benchToken + "3", "bob.token": benchToken + "4",
		"bot.token": "xoxb-bot", "app.token": "xapp-app",
		"backout.yaml": fmt.Sprintf(`listen: 127.0.0.1:0
data_dir: data
server_name: one
auth:
  tokens:
    - {name: ann, groups: [sre], token: {file: ann.token}}
    - {name: bob, groups: [sre], token: {file: bob.token}}
intake:
  tokens: [{name: alertmanager, token: {file: bot.token}}]
inventory: [inventory.yaml]
channels:
  chat: {type: slack, token: {file: bot.token}, app_token: {file: app.token}, interactive: true, team: T0001, channel: %s, api_url: "%s/api/"}
audiences:
  ops: [chat]
`, slackChannel, url),
	} {
		if strings.HasSuffix(name, ".token") && len(text) < 16 {
			text += strings.Repeat("x", 16)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seedStore(t, filepath.Join(dir, "data"), func(s *store.Store) {
		at := time.Now().UTC().Add(-time.Minute)
		frozen := planhash.Freeze(backout.Plan{
			Name: "web", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
			Verify: backout.Verify{Every: backout.Duration(time.Hour), HoldFor: backout.Duration(time.Minute)},
			Levels: []backout.Level{{
				Name: "L1", EscalateAfter: backout.Duration(time.Hour), Audience: []string{"ops"},
				Approval: approval,
				Steps:    []backout.Step{{Name: "undo", Uses: "command", With: []byte(`{"argv":["true"]}`), OnOverdue: backout.OverdueStop}},
			}},
		})
		spec := backout.ChangeSpec{
			ID: "CHG1", Targets: []string{"web-1"}, Plan: "web", Owner: "paul",
			Window: backout.Window{Opens: at, Closes: at.Add(48 * time.Hour), Watch: backout.Duration(time.Hour)},
		}
		_, err := s.Changes.Append(t.Context(), "CHG1", 0, backout.Record{Op: "seed", By: "test", At: at, Events: []backout.Event{
			backout.Planned{Spec: spec, By: "paul"}, backout.GatePassed{PlanHash: frozen.Hash, Targets: spec.Targets}, backout.WindowOpened{Frozen: frozen},
		}})
		if err != nil {
			t.Fatal(err)
		}
	})
	return filepath.Join(dir, "backout.yaml")
}

func serveSlack(t *testing.T, config string, accounts handlers.Accounts) *app.App {
	t.Helper()
	a, err := app.New(t.Context(), app.Options{Config: config, Attempts: filepath.Join(filepath.Dir(config), "attempts"), Accounts: accounts})
	if err == nil {
		err = a.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func as(t *testing.T, a *app.App, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: "http://" + a.Addr(), Token: backout.SecretValue(token)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await looks again at each change of the workspace, and every so often.
func await(t *testing.T, w *slackfake.Workspace, what string, holds func() bool) {
	t.Helper()
	limit, tick := time.NewTimer(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		changed := w.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s did not come about; the channel has %+v", what, w.Messages(slackChannel))
		}
	}
}

// slackSite is a workspace and a server's config that knows it. The name of its one
// account is somebody's, the account nobody's.
func slackSite(t *testing.T) (*slackfake.Workspace, string) {
	t.Helper()
	w := slackfake.New(slackfake.Options{Team: "T0001", BotToken: "xoxb-bot" + strings.Repeat("x", 16), AppToken: "xapp-app" + strings.Repeat("x", 16)})
	w.PutChannel(slackfake.Channel{ID: slackChannel, Member: true})
	w.Put(slackfake.User{ID: "U1", Name: "bob"})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	t.Cleanup(w.DropSockets)
	return w, slackFiles(t, server.URL)
}

// cardsOf are the messages of the channel that are cards.
func cardsOf(w *slackfake.Workspace) []slackfake.Message {
	return slices.DeleteFunc(w.Cards(slackChannel), func(m slackfake.Message) bool { return m.Blocks[0].Type != "header" })
}

// linked is whose an account is: the user's id is the key.
type linked map[string]handlers.Actor

func (l linked) SlackActor(_ context.Context, _, user string) (handlers.Actor, error) {
	if actor, ok := l[user]; ok {
		actor.Grants = []backout.Grant{{Role: backout.RoleApprover, Everywhere: true}}
		return actor, nil
	}
	return handlers.Actor{}, backout.ErrNotFound
}

func (linked) LinkSlack(context.Context, string, string) (string, error) {
	return "https://backout.example/link", nil
}

// TestSlackClicksDecide: who started the rollback is refused, somebody else's click
// starts the level.
func TestSlackClicksDecide(t *testing.T) {
	w, config := slackSite(t)
	w.Put(slackfake.User{ID: "U2", Name: "ann"})
	a := serveSlack(t, config, linked{"U1": {Name: "bob", Groups: []string{"sre"}}, "U2": {Name: "ann", Groups: []string{"sre"}}})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ann := as(t, a, benchToken+"3")
	r, err := ann.StartRollback(t.Context(), handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web-1"}, Reason: "it is slow"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, w, "a card", func() bool { return len(cardsOf(w)) == 1 && w.Sockets() == 1 })
	m := cardsOf(w)[0]
	if _, err := w.Click(t.Context(), "U2", slackChannel, m.TS, slack.ActionApprove); err != nil {
		t.Fatal(err)
	}
	await(t, w, "four eyes", func() bool {
		said := w.Ephemerals("U2")
		return len(said) == 1 && strings.Contains(said[0].Text, "somebody else must approve")
	})
	if _, err := w.Click(t.Context(), "U1", slackChannel, m.TS, slack.ActionApprove); err != nil {
		t.Fatal(err)
	}
	await(t, w, "no button to approve", func() bool {
		m := cardsOf(w)[0]
		return !slices.Contains(m.Buttons(), slack.ActionApprove)
	})
	if r, err = ann.Rollback(t.Context(), r.ID); err != nil || r.Level != 0 {
		t.Errorf("level %d, %v", r.Level, err)
	}
}

// TestSlackCardFollowsTheRollback: the whole server posts the card, refuses whom it
// does not know, finds the card again after a restart and takes the buttons away once
// somebody has decided elsewhere.
func TestSlackCardFollowsTheRollback(t *testing.T) {
	w, config := slackSite(t)
	if problems := app.Doctor(t.Context(), config); problems.Fatal() != nil {
		t.Fatal(problems)
	}
	a := serveSlack(t, config, nil)
	r, err := as(t, a, benchToken+"3").StartRollback(t.Context(), handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web-1"}, Reason: "it is slow"})
	if err != nil {
		t.Fatal(err)
	}
	cards := func() []slackfake.Message { return cardsOf(w) }
	card := func() slackfake.Message { return append(cards(), slackfake.Message{})[0] }
	shows := func(button string) bool { m := card(); return slices.Contains(m.Buttons(), button) }
	await(t, w, "a card to approve", func() bool { return shows(slack.ActionApprove) && w.Sockets() == 1 })
	m := card()
	if _, err := w.Click(t.Context(), "U1", slackChannel, m.TS, slack.ActionApprove); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a polite no", func() bool { return len(w.Ephemerals("U1")) == 1 })
	log, err := as(t, a, benchToken+"3").RollbackLog(t.Context(), r.ID)
	if err != nil || !slices.ContainsFunc(log, func(e handlers.LogEntry) bool {
		no, ok := e.Record.Events[0].(backout.VoteRefused)
		return ok && no.Cause == backout.RefusalUnmapped && no.Vote.User == "slack:T0001/U1"
	}) {
		t.Errorf("the refused vote is not in the rollback's log: %v", err)
	}
	await(t, w, "the thread", func() bool { return len(w.Messages(slackChannel)) > 1 }) // so the receipt is stored
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = serveSlack(t, config, nil)
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	bob := as(t, a, benchToken+"4")
	if r, err = bob.Rollback(t.Context(), r.ID); err != nil || r.Ask == nil {
		t.Fatalf("%+v %v", r.Ask, err)
	}
	if _, err := bob.Vote(t.Context(), r.ID, r.Ask.ID, backout.ChoiceApprove, ""); err != nil {
		t.Fatal(err)
	}
	await(t, w, "no button to approve", func() bool { return !shows(slack.ActionApprove) })
	if n := len(cards()); n != 1 {
		t.Errorf("%d cards", n)
	}
}

// TestAVetoWindowWaitsForSlacksConnection: the card arrives, but no answer could.
func TestAVetoWindowWaitsForSlacksConnection(t *testing.T) {
	w := slackfake.New(slackfake.Options{
		Team: "T0001", BotToken: "xoxb-bot" + strings.Repeat("x", 16), AppToken: "xapp-app" + strings.Repeat("x", 16), AppScopes: []string{},
	})
	w.PutChannel(slackfake.Channel{ID: slackChannel, Member: true})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	a := serveSlack(t, slackFiles(t, server.URL, func(p *backout.Approval) {
		*p = backout.Approval{Mode: backout.ApprovalVeto, Veto: backout.Duration(time.Hour)}
	}), nil)
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ann := as(t, a, benchToken+"3")
	r, err := ann.StartRollback(t.Context(), handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web-1"}, Reason: "it is slow"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, w, "the clock that stands still", func() bool {
		r, err = ann.Rollback(t.Context(), r.ID)
		return err == nil && r.Ask != nil && !r.Ask.DownAt.IsZero()
	})
	if !strings.Contains(r.Ask.DownReason, "connections:write") {
		t.Errorf("it says %q", r.Ask.DownReason)
	}
	await(t, w, "a card that says so", func() bool {
		all := cardsOf(w)
		return len(all) == 1 && strings.Contains(all[0].Text, "stands still")
	})
}
