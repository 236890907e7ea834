package slackfake

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// triggerLife is how long a view may be opened after what somebody did.
const triggerLife = 3 * time.Second

// request is one call: its arguments, whatever form they came in.
type request struct {
	method string
	args   map[string]string
}

// answer is what a method says beside ok.
type answer map[string]any

func no(code string, messages ...string) answer {
	a := answer{"ok": false, "error": code}
	if len(messages) > 0 {
		a["response_metadata"] = map[string]any{"messages": messages}
	}
	return a
}

type method struct {
	scope string // "" needs none
	run   func(*Workspace, request) answer
}

// methods are what this workspace knows, with the scope that each needs.
var methods = map[string]method{
	"auth.test":             {"", (*Workspace).authTest},
	"apps.connections.open": {"connections:write", (*Workspace).openConnection},
	"chat.postMessage":      {"chat:write", (*Workspace).postMessage},
	"chat.update":           {"chat:write", (*Workspace).update},
	"chat.postEphemeral":    {"chat:write", (*Workspace).postEphemeral},
	"conversations.info":    {"channels:read", (*Workspace).conversation},
	"conversations.members": {"channels:read", (*Workspace).conversationMembers},
	"users.info":            {"users:read", (*Workspace).userInfo},
	"views.open":            {"", (*Workspace).openView},
	"views.publish":         {"", (*Workspace).publishView},
}

// ServeHTTP answers the Web API under /api/ and Socket Mode under /link.
func (w *Workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/link" {
		w.sockets.serve(rw, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/api/")
	m, known := methods[name]
	if !ok || !known || r.Method != http.MethodPost && r.Method != http.MethodGet {
		http.NotFound(rw, r)
		return
	}
	req, token := read(r, name)
	if name == "apps.connections.open" {
		req.args["host"] = r.Host
	}
	var say answer
	var wait time.Duration
	down := false
	w.locked(func() {
		now := time.Now()
		if down = w.down; down {
			w.calls = append(w.calls, Call{name, "down", now})
			return
		}
		if wait = w.wait(name, req.args["channel"], now); wait > 0 {
			w.calls = append(w.calls, Call{name, "ratelimited", now})
			return
		}
		say = w.answer(m, req, token)
		code, _ := say["error"].(string)
		if code == "" {
			code = "ok"
		}
		w.calls = append(w.calls, Call{name, code, now})
	})
	rw.Header().Set("Date", w.now().UTC().Format(http.TimeFormat))
	if down {
		http.Error(rw, "down", http.StatusServiceUnavailable)
		return
	}
	if wait > 0 {
		rw.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		rw.WriteHeader(http.StatusTooManyRequests)
		say = no("ratelimited")
	} else if token == w.o.BotToken {
		rw.Header().Set("X-OAuth-Scopes", strings.Join(w.o.Scopes, ","))
	}
	if say["ok"] == nil {
		say["ok"] = true
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(rw).Encode(say)
}

// read takes arguments from a form or from JSON; what is no string stays JSON.
func read(r *http.Request, name string) (request, string) {
	req := request{method: name, args: map[string]string{}}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var args map[string]json.RawMessage
		_ = json.Unmarshal(body, &args)
		for k, v := range args {
			var s string
			if json.Unmarshal(v, &s) != nil {
				s = string(v)
			}
			req.args[k] = s
		}
		return req, token
	}
	form, _ := url.ParseQuery(string(body))
	for k := range form {
		req.args[k] = form.Get(k)
	}
	if token == "" {
		token = req.args["token"]
	}
	return req, token
}

func (w *Workspace) answer(m method, req request, token string) answer {
	scopes, want := w.o.Scopes, w.o.BotToken
	if req.method == "apps.connections.open" {
		scopes, want = w.o.AppScopes, w.o.AppToken
	}
	switch {
	case token == "":
		return no("not_authed")
	case token != want && (token == w.o.BotToken || token == w.o.AppToken):
		return no("not_allowed_token_type")
	case token != want:
		return no("invalid_auth")
	case m.scope != "" && !slices.Contains(scopes, m.scope):
		a := no("missing_scope")
		a["needed"], a["provided"] = m.scope, strings.Join(scopes, ",")
		return a
	case w.failing[req.method] != "":
		return no(w.failing[req.method])
	}
	return m.run(w, req)
}

func (w *Workspace) authTest(request) answer {
	return answer{"url": "https://example.slack.com/", "team": "Example", "user": "backout", "team_id": w.o.Team, "user_id": "UBACKOUT", "bot_id": "BBACKOUT"}
}

func (w *Workspace) openConnection(req request) answer {
	return answer{"url": "ws://" + req.args["host"] + "/link?ticket=" + w.sockets.ticket()}
}

// writable says why the app cannot write to a channel.
func (w *Workspace) writable(channel string) (code string) {
	c, ok := w.channels[channel]
	switch {
	case !ok || c.Private && !c.Member:
		return "channel_not_found"
	case !c.Member && !slices.Contains(w.o.Scopes, "chat:write.public"):
		return "not_in_channel"
	}
	return ""
}

// content reads the text and blocks of a message.
func content(req request) ([]Block, answer) {
	blocks, problems := readBlocks(req.args["blocks"], maxMessageBlocks)
	switch {
	case len(problems) > 0:
		return nil, no("invalid_blocks", problems...)
	case req.args["text"] == "" && len(blocks) == 0:
		return nil, no("no_text")
	case utf8.RuneCountInString(req.args["text"]) > maxText:
		return nil, no("msg_too_long")
	}
	return blocks, nil
}

func (w *Workspace) postMessage(req request) answer {
	if code := w.writable(req.args["channel"]); code != "" {
		return no(code)
	}
	blocks, refused := content(req)
	if refused != nil {
		return refused
	}
	thread := req.args["thread_ts"]
	if thread != "" && w.find(req.args["channel"], thread) < 0 {
		return no("thread_not_found")
	}
	m := Message{
		Channel: req.args["channel"], TS: w.nextTS(), Thread: thread, Broadcast: req.args["reply_broadcast"] == "true",
		Text: req.args["text"], Blocks: blocks, Metadata: req.args["metadata"], PostedAt: time.Now(),
	}
	w.messages = append(w.messages, m)
	return answer{"channel": m.Channel, "ts": m.TS, "message": map[string]any{"text": m.Text}}
}

func (w *Workspace) find(channel, ts string) int {
	return slices.IndexFunc(w.messages, func(m Message) bool { return m.Channel == channel && m.TS == ts })
}

func (w *Workspace) update(req request) answer {
	i := w.find(req.args["channel"], req.args["ts"])
	if i < 0 {
		return no("message_not_found")
	}
	blocks, refused := content(req)
	if refused != nil {
		return refused
	}
	m := &w.messages[i]
	m.Text, m.Blocks, m.EditedAt = req.args["text"], blocks, time.Now()
	m.Edits++
	return answer{"channel": m.Channel, "ts": m.TS, "text": m.Text}
}

func (w *Workspace) postEphemeral(req request) answer {
	if code := w.writable(req.args["channel"]); code != "" {
		return no(code)
	}
	if _, ok := w.users[req.args["user"]]; !ok {
		return no("user_not_in_channel")
	}
	blocks, refused := content(req)
	if refused != nil {
		return refused
	}
	w.ephemerals = append(w.ephemerals, Ephemeral{Channel: req.args["channel"], User: req.args["user"], Text: req.args["text"], Blocks: blocks})
	return answer{"message_ts": w.nextTS()}
}

func (w *Workspace) conversation(req request) answer {
	c, ok := w.channels[req.args["channel"]]
	if !ok || c.Private && !c.Member {
		return no("channel_not_found")
	}
	return answer{"channel": map[string]any{"id": c.ID, "name": c.Name, "is_private": c.Private, "is_member": c.Member}}
}

func (w *Workspace) conversationMembers(req request) answer {
	if _, ok := w.channels[req.args["channel"]]; !ok {
		return no("channel_not_found")
	}
	return answer{"members": slices.Sorted(maps.Keys(w.users)), "response_metadata": map[string]any{"next_cursor": ""}}
}

func (w *Workspace) userInfo(req request) answer {
	u, ok := w.users[req.args["user"]]
	if !ok {
		return no("user_not_found")
	}
	return answer{"user": map[string]any{
		"id": u.ID, "team_id": u.Team, "name": u.Name, "deleted": u.Deleted, "is_restricted": u.Guest, "is_stranger": u.Team != w.o.Team,
	}}
}

func (w *Workspace) openView(req request) answer {
	opened, ok := w.triggers[req.args["trigger_id"]]
	switch {
	case !ok:
		return no("invalid_trigger_id")
	case opened.IsZero():
		return no("exchanged_trigger_id")
	case time.Since(opened) > triggerLife:
		return no("expired_trigger_id")
	}
	v, problems := readView(json.RawMessage(req.args["view"]))
	if len(problems) > 0 || v.Type != "modal" {
		return no("invalid_arguments", problems...)
	}
	w.triggers[req.args["trigger_id"]] = time.Time{}
	v.ID, v.User, v.Opened = newID("V"), userOf(req.args["trigger_id"]), time.Now()
	w.views[v.ID] = v
	return answer{"view": map[string]any{"id": v.ID, "type": v.Type}}
}

func (w *Workspace) publishView(req request) answer {
	v, problems := readView(json.RawMessage(req.args["view"]))
	if len(problems) > 0 || v.Type != "home" {
		return no("invalid_arguments", problems...)
	}
	v.ID, v.User = "home."+req.args["user_id"], "home."+req.args["user_id"]
	w.views[v.ID] = v
	return answer{"view": map[string]any{"id": v.ID, "type": v.Type}}
}
