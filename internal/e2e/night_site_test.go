package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/itsmfake"
	"github.com/backout-io/backout/internal/slackfake"
)

const (
	chatTeam    = "T0001"
	chatChannel = "C0001"
	appToken    = "xapp-0123456789-abcdef"
)

// night is everything around one server: the shop with its monitoring, the people, and
// the channels that they are told by.
type night struct {
	*site
	shop *shop
	// am is the address of Alertmanager.
	am   string
	chat *slackfake.Workspace
	desk *itsmfake.ServiceNow
	// mail is the folder that mails come into.
	mail string
	// ways lead to the three of them.
	ways [3]*link
	// ann, bob and cel are in the group that approves; nobody knows dan.
	ann, bob, cel, dan *onDuty
}

// nightPlan is the shop's plan with a veto window before L1 and two votes before L2,
// which is the last and loses data; Slack proves no login, so that none is asked for.
func nightPlan(s *shop, veto string) string {
	return strings.NewReplacer(
		"    audience: [ops]\n    baseline", "    audience: [deciders, record]\n    baseline",
		"        approval: none\n        audience: [ops]\n", "        approval: "+veto+"\n        audience: [deciders, stakeholders, record]\n",
		"        approval: none\n        loses", "        destructive: true\n        approval: {groups: [sre], votes: 2, step_up: 0s}\n        loses",
		"audience: [ops, stakeholders]", "audience: [deciders, stakeholders, record]",
	).Replace(s.plan())
}

// newNight lays everything out, with the approval of L1; the server does not run yet.
func newNight(t *testing.T, veto string) *night {
	t.Helper()
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	mailAddr, mailDir := mailbox(t)
	shop := newShop(t)
	n := &night{
		site: newSite(t, nightPlan(shop, veto), autoRule, web1), shop: shop, mail: mailDir, am: freePort(t),
		ann: newOnDuty(t, "ann", "U0ANN"), bob: newOnDuty(t, "bob", "U0BOB"), cel: newOnDuty(t, "cel", "U0CEL"), dan: newOnDuty(t, "dan", "U0DAN"),
	}
	n.listen = freePort(t)
	address := "http://" + n.listen
	issuer := authtest.Start(t, address+"/login/callback", n.ann.known(), n.bob.known(), n.cel.known())
	n.chat = slackfake.New(slackfake.Options{Team: chatTeam, BotToken: slackToken, AppToken: appToken})
	n.chat.PutChannel(slackfake.Channel{ID: chatChannel, Name: "ops", Member: true})
	for _, p := range []*onDuty{n.ann, n.bob, n.cel, n.dan} {
		n.chat.Put(slackfake.User{ID: p.slack, Name: p.name})
	}
	n.desk = itsmfake.NewServiceNow(itsmSecret)
	slackServer, deskServer := httptest.NewServer(n.chat), httptest.NewServer(n.desk)
	t.Cleanup(deskServer.Close)
	t.Cleanup(slackServer.Close)
	t.Cleanup(n.chat.DropSockets)
	n.ways = [3]*link{newLink(t, slackServer.Listener.Addr().String()), newLink(t, mailAddr), newLink(t, deskServer.Listener.Addr().String())}
	write(t, n.path("secrets/itsm.secret"), itsmSecret, 0o600)
	write(t, n.path("secrets/app.token"), appToken, 0o600)
	write(t, n.path("secrets/client.secret"), authtest.ClientSecret, 0o600)
	n.channels = fmt.Sprintf(`  chat:
    type: slack
    channel: %s
    team: %s
    interactive: true
    token: {file: secrets/slack.token}
    app_token: {file: secrets/app.token}
    api_url: "http://%s/api/"
  mail: {type: email, smtp: %q, from: backout@example.com, to: [head@example.com], starttls: none}
  snow:
    type: servicenow
    url: "http://%[5]s"
    token_url: "http://%[5]s/oauth_token.do"
    client_id: %[6]s
    client_secret: {file: secrets/itsm.secret}
    incidents: true
`, chatChannel, chatTeam, n.ways[0].addr(), n.ways[1].addr(), n.ways[2].addr(), itsmfake.Client)
	n.audience = "  deciders: [chat]\n  stakeholders: [mail]\n  record: [snow]\n"
	n.auth = fmt.Sprintf(`  oidc: {issuer: %q, client_id: %s, client_secret: {file: secrets/client.secret}, cli_client_id: %s, scopes: [openid, profile]}
  roles:
    - {role: author, groups: [sre], where: everywhere}
    - {role: operator, groups: [sre], where: everywhere}
    - {role: approver, groups: [sre], where: {team: web}}
    - {role: admin, users: [eve], where: everywhere}
`, issuer, authtest.ClientID, authtest.CLIClientID)
	n.more = fmt.Sprintf("itsm: {channel: snow}\nexternal_url: %q\nalertmanagers: [{url: \"http://%s\"}]\n", address, n.am)
	return n
}

// record makes the change's record, which says this of its approval.
func (n *night) record(state string) {
	now := time.Now().UTC()
	const layout = "2006-01-02 15:04:05"
	n.desk.AddChange(n.change, map[string]string{
		"approval": state, "start_date": now.Add(-time.Hour).Format(layout), "end_date": now.Add(12 * time.Hour).Format(layout), "backout_plan": "Call Ana.",
	})
}
