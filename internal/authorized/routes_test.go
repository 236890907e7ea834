package authorized_test

import (
	"context"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/dashboard"
)

// Where a route may be used by somebody whose role holds for a label only.
const (
	// anywhere is for routes that show what belongs to nobody, or leave out the rest.
	anywhere = "anywhere"
	// there is for routes that are about targets: where these have the label.
	there = "there"
	// server is for routes that are about the server as a whole.
	server = "server"
)

// matrix says of every route which roles may use it, and where. body is one that the
// route takes, about what the web team has.
var matrix = map[string]struct{ roles, where, body string }{
	"GET /{$}":                 {"all", anywhere, ""},
	"GET /live":                {"all", anywhere, ""},
	"GET /assets/{name}":       {"anybody", "", ""},
	"POST /pause":              {"operator approver author admin", server, "do=pause&reason=storm"},
	"GET /rollbacks":           {"all", anywhere, ""},
	"GET /rollbacks/{id}":      {"all", there, ""},
	"GET /rollbacks/{id}/live": {"all", there, ""},

	"GET /rollbacks/{id}/records/{seq}": {"all", there, ""},
	"GET /changes/{id}/records/{seq}":   {"all", there, ""},

	"GET /changes":            {"all", anywhere, ""},
	"GET /live/changes":       {"all", anywhere, ""},
	"GET /live/rollbacks":     {"all", anywhere, ""},
	"GET /changes/{id}/live":  {"all", there, ""},
	"GET /readiness":          {"all", anywhere, ""},
	"GET /readiness/live":     {"all", anywhere, ""},
	"POST /changes/{id}/gate": {"author", there, "back=readiness"},

	"GET /changes/{id}":     {"all", there, ""},
	"GET /drift/{digest}":   {"all", there, ""},
	"GET /settings":         {"all", anywhere, ""},
	"GET /settings/examine": {"operator approver author", server, ""},
	// The service of tokens asks by itself.
	"POST /settings/tokens/revoke": {"person", "", "id=0123456789abcdef"},

	"GET /livez":                {"anybody", "", ""},
	"GET /readyz":               {"anybody", "", ""},
	"GET /metrics":              {"all", anywhere, ""},
	"POST /api/v1/alertmanager": {"sender", "", ""},
	"POST /api/v2/alerts":       {"sender", "", ""},
	// A signature, which no token makes up for.
	"POST /slack/interactions": {"signed", "", ""},
	"GET /api/v2/status":       {"all", anywhere, ""},

	"GET /api/v1/changes":                     {"all", anywhere, ""},
	"POST /api/v1/changes":                    {"author", there, `{"id":"X","targets":["web-1"]}`},
	"GET /api/v1/changes/{id}":                {"all", there, ""},
	"GET /api/v1/changes/{id}/log":            {"all", there, ""},
	"GET /api/v1/changes/{id}/gate":           {"all", there, ""},
	"POST /api/v1/changes/{id}/gate":          {"author", there, ""},
	"POST /api/v1/changes/{id}/open":          {"author", there, ""},
	"POST /api/v1/changes/{id}/extend":        {"author", there, `{"closes":"2030-01-01T00:00:00Z"}`},
	"POST /api/v1/changes/{id}/close":         {"author", there, ""},
	"POST /api/v1/changes/{id}/cancel":        {"author", there, ""},
	"POST /api/v1/changes/{id}/patch-started": {"author", there, ""},
	"POST /api/v1/changes/{id}/patch-ended":   {"author", there, `{"exit_code":0}`},

	"POST /api/v1/changes/{id}/baseline":         {"author", there, ""},
	"GET /api/v1/changes/{id}/baseline/{target}": {"all", there, ""},
	"GET /api/v1/changes/{id}/delta/{target}":    {"all", there, ""},
	"POST /api/v1/changes/{id}/drift":            {"operator approver author", there, ""},
	"GET /api/v1/drift/{digest}":                 {"all", there, ""},
	"GET /api/v1/holds":                          {"all", anywhere, ""},
	"POST /api/v1/holds/release":                 {"operator approver", there, `{"change_id":"WEB","target":"web-1","reason":"fixed"}`},

	"GET /api/v1/rollbacks":                       {"all", anywhere, ""},
	"POST /api/v1/rollbacks":                      {"approver", there, `{"change_id":"WEB","targets":["web-1"],"reason":"red"}`},
	"GET /api/v1/rollbacks/{id}":                  {"all", there, ""},
	"GET /api/v1/rollbacks/{id}/log":              {"all", there, ""},
	"GET /api/v1/rollbacks/{id}/events":           {"all", there, ""},
	"GET /api/v1/rollbacks/{id}/notices":          {"all", there, ""},
	"GET /api/v1/rollbacks/{id}/output/{attempt}": {"all", there, ""},
	"POST /api/v1/rollbacks/{id}/vote":            {"approver", there, `{"ask_id":"q1","choice":"approve"}`},
	"POST /api/v1/rollbacks/{id}/act":             {"operator approver", there, `{"verb":"abort"}`},
	"POST /rollbacks/{id}/answer":                 {"approver", there, "answer=approve&ask_id=q1"},

	"GET /rules":                                   {"all", anywhere, ""},
	"GET /rules/live":                              {"all", anywhere, ""},
	"GET /rules/rule":                              {"all", anywhere, ""},
	"GET /rules/replay":                            {"all", server, ""},
	"POST /rules/replay":                           {"all", server, "since=7d&until=now"},
	"GET /rules/explain":                           {"all", anywhere, ""},
	"POST /rules/explain":                          {"all", there, "change=WEB&alert=%5B%7B%22labels%22%3A%7B%22alertname%22%3A%22X%22%7D%7D%5D"},
	"GET /api/v1/rules":                            {"all", anywhere, ""},
	"POST /api/v1/rules/explain":                   {"all", there, `{"alert":{"firing":true,"starts_at":"2026-01-01T00:00:00Z","labels":{"alertname":"X"},"annotations":{},"ends_at":"2027-01-01T00:00:00Z"},"change_ids":["WEB"]}`},
	"POST /api/v1/rules/{rule}/promote":            {"approver author", server, `{"mode":"auto","reason":"twenty agreed"}`},
	"POST /api/v1/changes/{id}/rules/{rule}/judge": {"approver author", there, `{"agree":true,"reason":"it was the patch"}`},
	"GET /api/v1/history":                          {"all", server, ""},

	"GET /api/v1/targets":       {"all", anywhere, ""},
	"GET /api/v1/monitoring":    {"all", anywhere, ""},
	"GET /api/v1/runners":       {"all", anywhere, ""},
	"GET /api/v1/notices":       {"all", anywhere, ""},
	"POST /api/v1/notices/test": {"admin", server, `{"channel":"ops"}`},
	"GET /api/v1/pause":         {"all", anywhere, ""},
	"POST /api/v1/pause":        {"operator approver author admin", server, ""},
	"POST /api/v1/resume":       {"operator approver", server, ""},
	"GET /api/v1/backup":        {"admin", server, ""},
	"POST /-/reload":            {"admin", server, ""},

	// The service of tokens asks by itself: internal/tokens tests it.
	"GET /api/v1/tokens":              {"person", "", ""},
	"POST /api/v1/tokens":             {"person", "", `{}`},
	"POST /api/v1/tokens/{id}/revoke": {"person", "", ""},
}

// serverFor is a whole server, of which everybody has the grants under their name.
func serverFor(t *testing.T, people map[string][]backout.Grant) (*authorized.Fake, *handlers.Handler) {
	t.Helper()
	f, s := authorized.Wrapped(authorized.Options{})
	var api []handlers.Token
	for name, grants := range people {
		api = append(api, handlers.Token{Name: name, Grants: grants, Secret: secret(name)})
	}
	auth, err := handlers.NewAuth(api, []handlers.Token{{Name: "am", Secret: secret("am")}})
	if err != nil {
		t.Fatal(err)
	}
	pages := dashboard.New(dashboard.Options{Services: s, Tokens: f})
	return f, handlers.New(handlers.Options{
		Changes: s.Changes, Baselines: s.Baselines, Rollbacks: s.Rollbacks, Rules: s.Rules, Control: s.Control, Insight: s.Insight,
		Tokens: f, Auth: auth, Pages: pages.Pages(),
	})
}

func secret(name string) backout.Secret { return backout.SecretValue("the secret of " + name) }

// ask asks the route as somebody: about what the web team has.
func ask(h *handlers.Handler, rt handlers.Route, body, as string) int {
	path := strings.NewReplacer(
		"rollbacks/{id}", "rollbacks/WEB-r1", "{id}", "WEB", "{target}", "web-1", "{attempt}", "WEB-r1.L1.s1.t1.a1", "{rule}", "r", "{seq}", "1",
		"{digest}", "sha256:"+strings.Repeat("0", 64), "{$}", "", "/rules/rule", "/rules/rule?name=r", "history", "history?since=2026-01-01T00:00:00Z",
	).Replace(rt.Path)
	r := httptest.NewRequest(rt.Method, "http://127.0.0.1:8420"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(rt.Path, "/rules") || strings.HasPrefix(rt.Path, "/rollbacks") || strings.HasPrefix(rt.Path, "/settings") || rt.Path == "/pause" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+secret(as).Reveal())
	}
	w := &firstWord{ResponseRecorder: httptest.NewRecorder()}
	ctx, hangUp := context.WithCancel(r.Context())
	defer hangUp()
	if strings.HasSuffix(rt.Path, "/live") || strings.HasPrefix(rt.Path, "/live/") {
		w.heard = hangUp
	}
	h.ServeHTTP(w, r.WithContext(ctx))
	return w.Code
}

// firstWord hangs up on a stream once it has said anything.
type firstWord struct {
	*httptest.ResponseRecorder
	heard func()
}

func (w *firstWord) Write(p []byte) (int, error) {
	if w.heard != nil {
		w.heard()
	}
	return w.ResponseRecorder.Write(p)
}

// refused tells whether the answer is that of somebody who may not.
func refused(code int) bool { return code == 401 || code == 403 }

// lookups are what may be asked to find out what a request is about.
var lookups = []string{"Change", "Rollback", "DriftReport"}

// TestEveryRouteForEveryRole walks the mux. A route that is not in the matrix fails,
// and so does a role that may do more or less than it says.
func TestEveryRouteForEveryRole(t *testing.T) {
	web, db := map[string]string{"team": "web"}, map[string]string{"team": "db"}
	people := map[string][]backout.Grant{"nobody": nil, "nowhere": {{Role: backout.RoleAdmin}}}
	for _, role := range append(backout.Roles(), "root") {
		people[string(role)+" everywhere"] = []backout.Grant{{Role: role, Everywhere: true}}
		people[string(role)+" web"] = []backout.Grant{{Role: role, Labels: web}}
		people[string(role)+" db"] = []backout.Grant{{Role: role, Labels: db}}
	}
	_, walked := serverFor(t, people)
	seen := map[string]bool{}
	for _, rt := range walked.Routes() {
		name := rt.Method + " " + rt.Path
		seen[name] = true
		want, ok := matrix[name]
		if !ok {
			t.Errorf("%s: nobody said who may use it: add it to the matrix", name)
			continue
		}
		f, h := serverFor(t, people)
		for _, who := range append(slices.Sorted(maps.Keys(people)), "", "a stranger") {
			f.Calls()
			role, where, _ := strings.Cut(who, " ")
			may := allows(want.roles, want.where, role, where)
			if people[who] == nil && who != "nobody" {
				may = want.roles == "anybody"
			}
			code := ask(h, rt, want.body, who)
			if refused(code) == may || may && code >= 400 && want.roles != "anybody" {
				t.Errorf("%s by %q: answered %d, want allowed %v", name, who, code, may)
			}
			reader := len(people[who]) > 0 && allows("all", anywhere, role, where)
			if calls := f.Calls(); !may && slices.ContainsFunc(calls, func(call string) bool {
				// A no stands on the page that it was said to, for who may read that.
				return !slices.Contains(lookups, call) && !(reader && rt.Method == "POST" && authorized.Reads(call))
			}) {
				t.Errorf("%s by %q: reached %v", name, who, calls)
			}
		}
	}
	for name := range matrix {
		if !seen[name] {
			t.Errorf("%s is in the matrix and no route", name)
		}
	}
}

func allows(roles, where, role, holds string) bool {
	switch {
	case roles == "anybody", roles == "person":
		return true
	case roles == "sender", roles == "signed", !slices.Contains(backout.Roles(), backout.Role(role)), roles != "all" && !slices.Contains(strings.Fields(roles), role):
		return false
	}
	return holds == "everywhere" || where == anywhere || where == there && holds == "web"
}
