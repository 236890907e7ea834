package slackfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// app calls the Web API with nothing but the standard library: the simulator is held
// against Slack's documentation, not against a client.
type app struct {
	t   *testing.T
	url string
}

func newApp(t *testing.T, o Options) (*Workspace, *app) {
	t.Helper()
	o.Team, o.BotToken, o.AppToken = "T1", "xoxb", "xapp"
	w := New(o)
	w.PutChannel(Channel{ID: "C1", Name: "ops", Member: true})
	w.PutChannel(Channel{ID: "C2", Name: "other"})
	w.PutChannel(Channel{ID: "C3", Name: "secret", Private: true})
	w.Put(User{ID: "U1", Name: "ana"})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return w, &app{t, server.URL}
}

func (a *app) call(token, method string, args url.Values) (map[string]any, *http.Response) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/api/"+method, strings.NewReader(args.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&out)
	return out, resp
}

func (a *app) code(token, method string, args url.Values) string {
	a.t.Helper()
	out, _ := a.call(token, method, args)
	code, _ := out["error"].(string)
	return code
}

func TestWhatSlackRefuses(t *testing.T) {
	_, a := newApp(t, Options{Scopes: []string{"chat:write"}, Unlimited: true})
	post := func(kv ...string) url.Values {
		v := url.Values{"channel": {"C1"}, "text": {"x"}}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v
	}
	block := func(b string) url.Values { return post("blocks", "["+b+"]") }
	long := func(n int) string { return strings.Repeat("é", n) }
	button := func(text, value string) string {
		return fmt.Sprintf(`{"type":"button","action_id":"a","text":{"type":"plain_text","text":%q},"value":%q}`, text, value)
	}
	actions := func(elements string) url.Values { return block(`{"type":"actions","elements":[` + elements + `]}`) }
	for _, c := range []struct {
		name, token, method string
		args                url.Values
		want                string
	}{
		{"no token", "", "chat.postMessage", post(), "not_authed"},
		{"wrong token", "xoxb-2", "chat.postMessage", post(), "invalid_auth"},
		{"app token for the bot", "xapp", "chat.postMessage", post(), "not_allowed_token_type"},
		{"missing scope", "xoxb", "users.info", url.Values{"user": {"U1"}}, "missing_scope"},
		{"unknown channel", "xoxb", "chat.postMessage", post("channel", "C9"), "channel_not_found"},
		{"not invited", "xoxb", "chat.postMessage", post("channel", "C2"), "not_in_channel"},
		{"private and not invited", "xoxb", "chat.postMessage", post("channel", "C3"), "channel_not_found"},
		{"nothing to say", "xoxb", "chat.postMessage", post("text", ""), "no_text"},
		{"long text", "xoxb", "chat.postMessage", post("text", long(40001)), "msg_too_long"},
		{"no such thread", "xoxb", "chat.postMessage", post("thread_ts", "1.2"), "thread_not_found"},
		{"no such message", "xoxb", "chat.update", post("ts", "1.2"), "message_not_found"},
		{"header", "xoxb", "chat.postMessage", block(`{"type":"header","text":{"type":"plain_text","text":"` + long(151) + `"}}`), "invalid_blocks"},
		{"header in markup", "xoxb", "chat.postMessage", block(`{"type":"header","text":{"type":"mrkdwn","text":"x"}}`), "invalid_blocks"},
		{"section", "xoxb", "chat.postMessage", block(`{"type":"section","text":{"type":"mrkdwn","text":"` + long(3001) + `"}}`), "invalid_blocks"},
		{"empty section", "xoxb", "chat.postMessage", block(`{"type":"section"}`), "invalid_blocks"},
		{"51 blocks", "xoxb", "chat.postMessage", block(strings.TrimSuffix(strings.Repeat(`{"type":"divider"},`, 51), ",")), "invalid_blocks"},
		{"26 buttons", "xoxb", "chat.postMessage", actions(strings.TrimSuffix(strings.Repeat(button("x", "")+",", 26), ",")), "invalid_blocks"},
		{"button's text", "xoxb", "chat.postMessage", actions(button(long(76), "")), "invalid_blocks"},
		{"button's value", "xoxb", "chat.postMessage", actions(button("x", long(2001))), "invalid_blocks"},
		{"two buttons of one id", "xoxb", "chat.postMessage", actions(button("x", "") + "," + button("y", "")), "invalid_blocks"},
		{"unknown block", "xoxb", "chat.postMessage", block(`{"type":"banner"}`), "invalid_blocks"},
		{"stranger's ephemeral", "xoxb", "chat.postEphemeral", post("user", "U9"), "user_not_in_channel"},
		{"no trigger", "xoxb", "views.open", url.Values{"view": {"{}"}}, "invalid_trigger_id"},
		{"good", "xoxb", "chat.postMessage", actions(button("x", "y")), ""},
	} {
		if got := a.code(c.token, c.method, c.args); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTriggersAreGoodOnceAndNotForLong(t *testing.T) {
	w, a := newApp(t, Options{Unlimited: true})
	view := `{"type":"modal","title":{"type":"plain_text","text":"t"},"blocks":[{"type":"divider"}]}`
	trigger := func() string {
		var p struct {
			TriggerID string `json:"trigger_id"`
		}
		if err := json.Unmarshal(w.about("U1", map[string]any{}), &p); err != nil {
			t.Fatal(err)
		}
		return p.TriggerID
	}
	one := trigger()
	open := func(id string) string {
		return a.code("xoxb", "views.open", url.Values{"trigger_id": {id}, "view": {view}})
	}
	if got := open(one); got != "" {
		t.Errorf("fresh: %s", got)
	}
	if got := open(one); got != "exchanged_trigger_id" {
		t.Errorf("again: %s", got)
	}
	old := trigger()
	w.locked(func() { w.triggers[old] = time.Now().Add(-4 * time.Second) })
	if got := open(old); got != "expired_trigger_id" {
		t.Errorf("old: %s", got)
	}
	if len(w.Open("U1")) != 1 {
		t.Errorf("%d views", len(w.Open("U1")))
	}
}

func TestRates(t *testing.T) {
	w, a := newApp(t, Options{})
	post := url.Values{"channel": {"C1"}, "text": {"x"}}
	for i := range postBurst {
		if got := a.code("xoxb", "chat.postMessage", post); got != "" {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	out, resp := a.call("xoxb", "chat.postMessage", post)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || out["error"] != "ratelimited" {
		t.Errorf("%d %v %v", resp.StatusCode, resp.Header, out)
	}
	w.Limit("users.info", time.Minute)
	if _, resp := a.call("xoxb", "users.info", url.Values{"user": {"U1"}}); resp.Header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
	if _, resp := a.call("xoxb", "auth.test", nil); resp.Header.Get("X-OAuth-Scopes") == "" || resp.Header.Get("Date") == "" {
		t.Errorf("headers %v", resp.Header)
	}
}

func TestClicksNeedAnApp(t *testing.T) {
	w, a := newApp(t, Options{})
	out, _ := a.call("xoxb", "chat.postMessage", url.Values{"channel": {"C1"}, "blocks": {
		`[{"type":"actions","elements":[{"type":"button","action_id":"go","text":{"type":"plain_text","text":"Go"}}]}]`,
	}})
	ts, _ := out["ts"].(string)
	if _, err := w.Click(t.Context(), "U1", "C1", ts, "go"); err == nil {
		t.Error("nobody is connected, and the click was taken")
	}
	if _, err := w.Click(t.Context(), "U1", "C1", ts, "stop"); err == nil {
		t.Error("there is no such button")
	}
}
