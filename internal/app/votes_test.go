package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/password"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/slack"
)

// A thousand people, by the way they decide. Those in a browser sign in with a password,
// which is slow on purpose, so they are few.
const (
	byToken, byPage = 396, 4
	bySocket        = 300
	byRequest       = 300
	voters          = byToken + byPage + bySocket + byRequest
)

// thousand is a server that a thousand people can ask, and two Slack workspaces: one that
// speaks by Socket Mode, and one that posts signed requests.
type thousand struct {
	t      *testing.T
	app    *app.App
	socket *slackfake.Workspace
	signed *slackfake.Workspace
	linked linked
}

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5"

func newThousand(t *testing.T) *thousand {
	t.Helper()
	c := &thousand{t: t, linked: linked{}}
	c.socket = slackfake.New(slackfake.Options{Team: "T0001", BotToken: "xoxb-bot" + strings.Repeat("x", 16), AppToken: "xapp-app" + strings.Repeat("x", 16), Unlimited: true})
	c.signed = slackfake.New(slackfake.Options{Team: "T0002", BotToken: "xoxb-bot" + strings.Repeat("x", 16), SigningSecret: signingSecret, Unlimited: true})
	var urls []any
	for i, w := range []*slackfake.Workspace{c.socket, c.signed} {
		w.PutChannel(slackfake.Channel{ID: fmt.Sprint("C000", i+1), Member: true})
		server := httptest.NewServer(w)
		t.Cleanup(server.Close)
		t.Cleanup(w.DropSockets)
		urls = append(urls, server.URL)
	}
	for i := range bySocket {
		c.account(c.socket, fmt.Sprint("socket-", i))
	}
	for i := range byRequest {
		c.account(c.signed, fmt.Sprint("request-", i))
	}
	config := slackFiles(t, "http://127.0.0.1:1")
	dir := filepath.Dir(config)
	hash, err := password.Hash("one of a thousand")
	if err != nil {
		t.Fatal(err)
	}
	var tokens, users strings.Builder
	for i := range byToken {
		file := fmt.Sprintf("token-%d.token", i)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(tokenOf(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&tokens, "    - {name: token-%d, groups: [sre], token: {file: %s}}\n", i, file)
	}
	for i := range byPage {
		fmt.Fprintf(&users, "    - {name: page-%d, groups: [sre], password_hash: %q}\n", i, hash)
	}
	if err := os.WriteFile(filepath.Join(dir, "signing.token"), []byte(signingSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`listen: 127.0.0.1:0
data_dir: data
server_name: one
auth:
  roles:
    - {role: approver, groups: [sre], where: everywhere}
    - {role: operator, groups: [sre], where: everywhere}
  tokens:
    - {name: ann, groups: [sre], token: {file: ann.token}}
%s  users:
%sintake:
  tokens: [{name: alertmanager, token: {file: bot.token}}]
inventory: [inventory.yaml]
channels:
  socket: {type: slack, token: {file: bot.token}, app_token: {file: app.token}, interactive: true, team: T0001, channel: C0001, api_url: "%s/api/"}
  signed: {type: slack, token: {file: bot.token}, signing_secret: {file: signing.token}, interactive: true, team: T0002, channel: C0002, api_url: "%s/api/"}
audiences:
  ops: [socket, signed]
`, tokens.String(), users.String(), urls[0], urls[1])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.app = serveSlack(t, config, c.linked)
	t.Cleanup(func() {
		if err := c.app.Close(); err != nil {
			t.Error(err)
		}
	})
	c.signed.SetRequestURL("http://" + c.app.Addr() + "/slack/interactions")
	return c
}

func tokenOf(i int) string { return fmt.Sprintf("a-token-of-a-person-%06d", i) }

func (c *thousand) account(w *slackfake.Workspace, name string) {
	w.Put(slackfake.User{ID: "U" + name, Name: name})
	c.linked["U"+name] = handlers.Actor{Name: name, Groups: []string{"sre"}}
}

// card waits for the workspace's card with the button.
func (c *thousand) card(w *slackfake.Workspace, channel string) slackfake.Message {
	c.t.Helper()
	var card slackfake.Message
	await(c.t, w, "a card to approve in "+channel, func() bool {
		for _, m := range w.Cards(channel) {
			if slices.Contains(m.Buttons(), slack.ActionApprove) {
				card = m
				return true
			}
		}
		return false
	})
	return card
}

// session signs somebody in.
func (c *thousand) session(name string) string {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/api/v1/login", strings.NewReader(`{"name":"`+name+`","password":"one of a thousand"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.app.Handler().ServeHTTP(w, r)
	_, rest, ok := strings.Cut(w.Body.String(), `"token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if w.Code != http.StatusOK || !ok {
		c.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return token
}

// vote decides over HTTP: who calls itself a program of backout is the command line.
func (c *thousand) vote(ctx context.Context, token, agent string, r backout.Rollback, choice backout.Choice) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.app.Addr()+"/api/v1/rollbacks/"+r.ID+"/vote",
		strings.NewReader(fmt.Sprintf(`{"ask_id":%q,"choice":%q,"reason":"now"}`, r.Ask.ID, choice)))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", agent)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

// press presses approve on a card until it is answered: whoever sees Slack's warning
// presses again, as the card says; the button may have gone by then.
func (c *thousand) press(w *slackfake.Workspace, user string, m slackfake.Message) {
	for range 10 {
		if _, err := w.ClickValue(c.t.Context(), user, m.Channel, m.TS, slack.ActionApprove, "backout_actions", m.Value(slack.ActionApprove)); err == nil {
			return
		}
	}
	c.t.Errorf("%s was never answered", user)
}

// again lets those press again who are not in the log; each of them must have been told
// to. It tells whether there was one.
func (c *thousand) again(inLog map[string]string, cards []slackfake.Message) bool {
	c.t.Helper()
	type voter struct {
		w    *slackfake.Workspace
		name string
		card slackfake.Message
	}
	var missing []voter
	for i := range bySocket {
		missing = append(missing, voter{c.socket, fmt.Sprint("socket-", i), cards[0]})
	}
	for i := range byRequest {
		missing = append(missing, voter{c.signed, fmt.Sprint("request-", i), cards[1]})
	}
	missing = slices.DeleteFunc(missing, func(v voter) bool { return inLog[v.name] != "" })
	for _, v := range missing {
		await(c.t, v.w, v.name+" is told to press again", func() bool {
			return slices.ContainsFunc(v.w.Ephemerals("U"+v.name), func(e slackfake.Ephemeral) bool { return strings.Contains(strings.ToLower(e.Text), "press again") })
		})
		c.t.Logf("%s presses again", v.name)
		c.press(v.w, "U"+v.name, v.card)
	}
	return len(missing) > 0
}

// log reads who decided, and by which way; how many votes counted, and how many answers
// the question got.
func (c *thousand) log(by *client.Client, id string) (votes, answers int, ways map[string]string) {
	c.t.Helper()
	log, err := by.RollbackLog(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	ways = map[string]string{}
	for _, entry := range log {
		for _, ev := range entry.Record.Events {
			switch ev := ev.(type) {
			case backout.Voted:
				votes++
				ways[ev.Vote.User] = ev.Vote.Via
			case backout.VoteRefused:
				ways[ev.Vote.User] = ev.Vote.Via
			case backout.Answered:
				answers++
			}
		}
	}
	return votes, answers, ways
}

// TestAThousandDecisionsByEveryWay: the command line, the API, sessions, Slack's socket
// and Slack's signed requests decide at once on one question of a whole server. One wins,
// and the log has all thousand.
func TestAThousandDecisionsByEveryWay(t *testing.T) {
	c := newThousand(t)
	ann := as(t, c.app, benchToken+"3")
	r, err := ann.StartRollback(t.Context(), handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web-1"}, Reason: "it is slow"})
	if err != nil || r.Ask == nil {
		t.Fatalf("%+v, %v", r.Ask, err)
	}
	cards := []slackfake.Message{c.card(c.socket, "C0001"), c.card(c.signed, "C0002")}
	await(t, c.socket, "a connection", func() bool { return c.socket.Sockets() == 1 })
	var sessions []string
	for i := range byPage {
		sessions = append(sessions, c.session(fmt.Sprint("page-", i)))
	}
	var all sync.WaitGroup
	begin := make(chan struct{})
	statuses := make([]int, byToken+byPage)
	for i := range byToken + byPage {
		token, agent, choice := "", []string{"backout/1", "curl/8"}[i%2], []backout.Choice{backout.ChoiceApprove, backout.ChoiceDeny}[i/2%2]
		if i < byToken {
			token = tokenOf(i)
		} else {
			token = sessions[i-byToken]
		}
		all.Go(func() {
			<-begin
			statuses[i] = c.vote(t.Context(), token, agent, r, choice)
		})
	}
	press := func(w *slackfake.Workspace, user string, m slackfake.Message) {
		<-begin
		c.press(w, user, m)
	}
	for i := range bySocket {
		all.Go(func() { press(c.socket, fmt.Sprint("Usocket-", i), cards[0]) })
	}
	for i := range byRequest {
		all.Go(func() { press(c.signed, fmt.Sprint("Urequest-", i), cards[1]) })
	}
	close(begin)
	all.Wait()
	votes, answers, ways := c.log(ann, r.ID)
	for range 10 {
		if !c.again(ways, cards) {
			break
		}
		votes, answers, ways = c.log(ann, r.ID)
	}
	counts := map[string]int{}
	for _, way := range ways {
		counts[way]++
	}
	t.Logf("%d people, by %v", len(ways), counts)
	if votes != 1 || answers != 1 || len(ways) != voters {
		t.Errorf("%d votes counted, %d answers, %d of %d people in the log", votes, answers, len(ways), voters)
	}
	won := 0
	for i, status := range statuses {
		switch status {
		case http.StatusOK:
			won++
		case http.StatusConflict, http.StatusPreconditionFailed, http.StatusGone:
		default:
			t.Errorf("vote %d was answered with %d", i, status)
		}
	}
	if won > 1 {
		t.Errorf("%d are told over HTTP that they decided", won)
	}
}
