package slack

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/slackfake"
)

func TestDoctorSaysWhatIsMissing(t *testing.T) {
	all := slackfake.Scopes()
	without := func(scope string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == scope })
	}
	for _, c := range []struct {
		name    string
		options slackfake.Options
		change  func(*Config)
		says    string // empty means all is well
		warning bool
	}{
		{name: "well"},
		{name: "wrong token", change: func(c *Config) { c.Token = backout.SecretValue("xoxb-other") }, says: "does not take the token: invalid_auth"},
		{name: "nobody there", change: func(c *Config) { c.APIURL = "http://127.0.0.1:1/api/" }, says: "Slack cannot be asked"},
		{name: "wrong team", change: func(c *Config) { c.Team = "T0666" }, says: "the token is for the workspace T0001"},
		{name: "no users:read", options: slackfake.Options{Scopes: without("users:read")}, says: "lacks the scope users:read"},
		{name: "no chat:write", options: slackfake.Options{Scopes: without("chat:write")}, says: "lacks the scope chat:write"},
		{name: "not invited", change: func(c *Config) { c.Channel = "C0002" }, says: "the app is not in channel C0002"},
		{name: "may post anywhere", options: slackfake.Options{Scopes: append(slices.Clone(all), "chat:write.public")}, change: func(c *Config) { c.Channel = "C0002" }},
		{name: "private", change: func(c *Config) { c.Channel = "C0003" }, says: "sees no channel C0003"},
		{name: "cannot look", options: slackfake.Options{Scopes: without("channels:read")}, says: "cannot be seen", warning: true},
		{name: "clock", options: slackfake.Options{Skew: 7 * time.Minute}, says: "off Slack's", warning: true},
		{name: "socket's scope", options: slackfake.Options{AppScopes: []string{}}, says: "(needs connections:write, has )"},
		{name: "socket's token", change: func(c *Config) { c.AppToken = backout.SecretValue("xoxb-bot") }, says: "app_token must be an app-level token"},
	} {
		c.options.Team, c.options.BotToken, c.options.AppToken, c.options.Unlimited = "T0001", "xoxb-bot", "xapp-app", true
		w := slackfake.New(c.options)
		w.PutChannel(slackfake.Channel{ID: "C0001", Member: true})
		w.PutChannel(slackfake.Channel{ID: "C0002"})
		w.PutChannel(slackfake.Channel{ID: "C0003", Private: true})
		server := httptest.NewServer(w)
		config := Config{
			Token: backout.SecretValue("xoxb-bot"), AppToken: backout.SecretValue("xapp-app"), Team: "T0001", Channel: "C0001",
			Interactive: true, APIURL: server.URL + "/api/",
		}
		if c.change != nil {
			c.change(&config)
		}
		n, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		found := n.Examine(t.Context())
		server.Close()
		switch {
		case c.says == "" && len(found) > 0:
			t.Errorf("%s: found %v", c.name, found)
		case c.says != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.says) || found[0].Warning != c.warning || found[0].Fix == ""):
			t.Errorf("%s: found %v, want one with %q", c.name, found, c.says)
		}
		if strings.Contains(found.Error(), "xapp-") && !strings.Contains(found.Error(), "(xapp-…)") || strings.Contains(found.Error(), "xoxb-bot") {
			t.Errorf("%s: a token is shown: %v", c.name, found)
		}
		if len(w.Calls("chat.postMessage")) > 0 {
			t.Errorf("%s: the doctor posts", c.name)
		}
	}
}

func TestManifestHasWhatIsNeeded(t *testing.T) {
	for address, want := range map[string]struct {
		socket bool
		url    string
	}{
		"":                             {true, ""},
		"https://backout.example.com/": {false, "https://backout.example.com/slack/interactions"},
	} {
		data, err := Manifest(address)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			OAuth struct {
				Scopes struct{ Bot []string }
			} `json:"oauth_config"`
			Settings struct {
				Socket        bool `json:"socket_mode_enabled"`
				Interactivity struct {
					On  bool   `json:"is_enabled"`
					URL string `json:"request_url"`
				}
			}
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		s := m.Settings
		if s.Socket != want.socket || !s.Interactivity.On || s.Interactivity.URL != want.url {
			t.Errorf("%q: %+v", address, s)
		}
		for _, scope := range slackfake.Scopes() {
			if !slices.Contains(m.OAuth.Scopes.Bot, scope) {
				t.Errorf("%q: no %s", address, scope)
			}
		}
	}
	for _, bad := range []string{"http://backout.example.com", "backout.example.com", "https://u:p@x", "https://x/?a=b"} {
		if _, err := Manifest(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
