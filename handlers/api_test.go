package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

const goodSpec = `{"id":"CHG0030001","title":"openssl","targets":["web-1"],"plan":"web","window":{"opens":"2026-11-23T02:00:00Z","closes":"2026-11-23T04:00:00+01:00","watch":"2h"}}`

// TestEachRouteAsksItsService: method and path, body, and what the engine hears.
func TestEachRouteAsksItsService(t *testing.T) {
	for _, tc := range []struct {
		method, path, body string
		status             int
		heard              string
	}{
		{"GET", "/api/v1/changes", "", 200, `list changes "" ""`},
		{"GET", "/api/v1/changes?state=watching&target=web-1", "", 200, `list changes "watching" "web-1"`},
		{"POST", "/api/v1/changes", goodSpec, 201, "plan CHG0030001 by local"},
		{"GET", "/api/v1/changes/CHG1", "", 200, "change CHG1"},
		{"GET", "/api/v1/changes/CHG1/log", "", 200, "change log CHG1"},
		{"POST", "/api/v1/changes/CHG1/gate", "", 200, "gate CHG1 by local"},
		{"POST", "/api/v1/changes/CHG1/open", "{}", 200, "open CHG1 by local"},
		{"POST", "/api/v1/changes/CHG1/extend", `{"closes":"2026-11-23T05:00:00+01:00","reason":"slow"}`, 200, "extend CHG1 by local to 2026-11-23T04:00:00Z: slow"},
		{"POST", "/api/v1/changes/CHG1/close", `{"reason":"done"}`, 200, "close CHG1 by local: done"},
		{"POST", "/api/v1/changes/CHG1/cancel", "", 200, "cancel CHG1 by local: "},
		{"POST", "/api/v1/changes/CHG1/patch-started", "", 200, "patch started CHG1 by local"},
		{"POST", "/api/v1/changes/CHG1/patch-ended", `{"exit_code":3}`, 200, "patch ended CHG1 by local: 3 []"},
		{"POST", "/api/v1/changes/CHG1/patch-ended", `{"exit_code":0,"targets":["web-1","web-2"]}`, 200, "patch ended CHG1 by local: 0 [web-1 web-2]"},
		{"POST", "/api/v1/changes/CHG1/baseline", "", 200, "capture CHG1 by local"},
		{"GET", "/api/v1/changes/CHG1/baseline/web-1", "", 200, "baseline CHG1 web-1"},
		{"GET", "/api/v1/changes/CHG1/delta/fe80::1", "", 200, "delta CHG1 fe80::1"},
		{"POST", "/api/v1/changes/CHG1/drift", "", 200, "drift CHG1 [] by local"},
		{"POST", "/api/v1/changes/CHG1/drift", `{"targets":["a","fe80::1"]}`, 200, "drift CHG1 [a fe80::1] by local"},
		{"GET", "/api/v1/drift/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "", 200, "drift report sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
		{"GET", "/api/v1/holds", "", 200, "holds false"},
		{"GET", "/api/v1/holds?all=true", "", 200, "holds true"},
		{"POST", "/api/v1/holds/release", `{"change_id":"CHG1","target":"web-1","reason":"fixed"}`, 200, "release CHG1 web-1 by local: fixed"},
		{"GET", "/api/v1/rollbacks", "", 200, `list rollbacks "" false`},
		{"GET", "/api/v1/rollbacks?change=CHG1&active=true", "", 200, `list rollbacks "CHG1" true`},
		{"GET", "/api/v1/rollbacks?unreviewed=true", "", 200, `list rollbacks "" false unreviewed`},
		{"POST", "/api/v1/rollbacks", `{"change_id":"CHG1","targets":["a","b"],"level":"L2","reason":"bad"}`, 201, "start CHG1 [a b] L2 by local: bad"},
		{"GET", "/api/v1/rollbacks/CHG1-r1", "", 200, "rollback CHG1-r1"},
		{"GET", "/api/v1/rollbacks/CHG1-r1/log", "", 200, "rollback log CHG1-r1"},
		{"GET", "/api/v1/rollbacks/CHG1-r1/output/CHG1-r1.L1.s1.t1.a1", "", 200, "output CHG1-r1 CHG1-r1.L1.s1.t1.a1"},
		{"POST", "/api/v1/rollbacks/CHG1-r1/vote", `{"ask_id":"q","choice":"deny","reason":"no"}`, 200, "vote deny on CHG1-r1 q by local [] via api: no"},
		{"POST", "/api/v1/rollbacks/CHG1-r1/act", `{"verb":"hold","reason":"wait"}`, 200, "act hold on CHG1-r1 by local: wait"},
		{"POST", "/api/v1/rollbacks/CHG1-r1/act", `{"verb":"break_glass","ask_id":"q1","reason":"alone"}`, 200, "act break_glass on CHG1-r1 by local: alone"},
		{"POST", "/api/v1/rollbacks/CHG1-r1/act", `{"verb":"review","reason":"it was right"}`, 200, "act review on CHG1-r1 by local: it was right"},
		{"POST", "/api/v1/rollbacks/CHG1-r1/act", `{"verb":"resolve","attempt_id":"x.a1","verdict":"did_not"}`, 200, "act resolve on CHG1-r1 by local: x.a1did_not"},
		{"GET", "/api/v1/rules", "", 200, "list rules"},
		{"POST", "/api/v1/rules/web:Red.1/promote", `{"mode":"auto","reason":"right","hash":"01"}`, 200, "promote web:Red.1 to auto by local: right01"},
		{"POST", "/api/v1/changes/CHG1/rules/Red/judge", `{"agree":false,"reason":"noise"}`, 200, "judge Red on CHG1 by local: false noise"},
		{"GET", "/api/v1/targets", "", 200, "targets"},
		{"GET", "/api/v1/notices", "", 200, "notices"},
		{"POST", "/api/v1/notices/test", `{"channel":"mail"}`, 200, "notify test mail by local"},
		{"POST", "/api/v1/notices/test", `{"channel":"mail","moment":"red","level":"L2","audience":"ops","dry_run":true}`, 200, "notify test mailredL2ops by local"},
		{"GET", "/api/v1/pause", "", 200, "pause state"},
		{"POST", "/api/v1/pause", `{"reason":"storm"}`, 200, "pause by local: storm"},
		{"POST", "/api/v1/resume", "", 200, "resume by local: "},
		{"POST", "/-/reload", "", 204, "reload"},
	} {
		f := &fake{}
		w := do(handlerFor(t, f), request(tc.method, tc.path, tc.body))
		if got := strings.Join(f.heard(), "; "); w.Code != tc.status || got != tc.heard {
			t.Errorf("%s %s: answered %d %s, the engine heard %q", tc.method, tc.path, w.Code, w.Body, got)
		}
	}
}

func TestBadRequestsAre400NamingTheMistake(t *testing.T) {
	for _, tc := range []struct{ path, body, part string }{
		{"changes", ``, "a JSON body is needed"},
		{"changes", `{"id":"CHG1","tragets":["a"]}`, `unknown field "tragets"`},
		{"changes", `{"id":"CHG1","window":{"opns":"x"}}`, `unknown field "opns"`},
		{"changes", `{"id":"CHG1","window":{"opens":"tomorrow"}}`, `"tomorrow" is not a time`},
		{"changes", `{"id":"CHG1","window":{"watch":"2 hours"}}`, `duration "2 hours": want a number and a unit`},
		{"changes", `{"id":"CHG1","targets":"a"}`, "targets: must be an array, not string"},
		{"changes", `{"id":7}`, "id: must be a string, not number"},
		{"changes", `[]`, "the body must be an object, not array"},
		{"changes", `{"id":"CHG1"} {}`, "something follows the JSON body"},
		{"changes", `{"id":"CHG1"`, "not JSON: the body ends too early"},
		{"changes", `{"id":"CHG1",}`, "not JSON: invalid character '}'"},
		{"changes", `{}`, `id "": want 1 to 64`},
		{"changes", `{"id":"a b"}`, `id "a b"`},
		{"changes", `{"id":">"}`, `id ">"`},
		{"changes", `{"id":"../../etc"}`, `id "../../etc"`},
		{"changes/CHG1/extend", `{}`, "closes: missing"},
		{"changes/CHG1/patch-ended", `{}`, "exit_code: missing"},
		{"changes/CHG1/patch-ended", `{"exit_code":0,"targets":[]}`, "leave it out when patching is over on all"},
		{"changes/CHG1/patch-ended", `{"exit_code":0,"targets":["web-1",""]}`, "targets: want the names"},
		{"changes/CHG1/close", `{"why":"x"}`, `unknown field "why"`},
		{"changes/CHG1/open", `{"force":true}`, `unknown field "force"`},
		{"rollbacks", `{"change_id":"CHG1","targets":[]}`, "none never means all"},
		{"rollbacks", `{"targets":["a"]}`, "change_id"},
		{"rollbacks/R1/vote", `{"choice":"approve"}`, "ask_id: missing"},
		{"rollbacks/R1/vote", `{"ask_id":"q","choice":"yes"}`, `choice "yes": want approve or deny`},
		{"rollbacks/R1/act", `{"verb":"kill"}`, `verb "kill": want hold`},
		{"rollbacks/R1/act", `{"verb":"resolve"}`, "attempt_id"},
		{"rollbacks/R1/act", `{"verb":"resolve","attempt_id":"a1","verdict":"maybe"}`, `verdict "maybe"`},
		{"rollbacks/R1/act", `{"verb":"hold","verdict":"failed"}`, "belong to resolve"},
		{"rollbacks/R1/act", `{"verb":"hold","since":"2026-01-02T02:03:00Z"}`, "belongs to release, resume and escalate"},
		{"rollbacks/R1/act", `{"verb":"release","unheld":true}`, "belongs to escalate"},
		{"rollbacks/R1/act", `{"verb":"escalate","unheld":true,"since":"2026-01-02T02:03:00Z"}`, "one of them"},
		{"rollbacks/R1/act", `{"verb":"break_glass","reason":"alone"}`, "ask_id: missing"},
		{"rollbacks/R1/act", `{"verb":"break_glass","ask_id":"q1","reason":" "}`, "reason: missing"},
		{"rollbacks/R1/act", `{"verb":"review"}`, "reason: missing"},
		{"rollbacks/R1/act", `{"verb":"review","reason":"ok","attempt_id":"a1"}`, "belong to resolve"},
		{"rules/Red/promote", `{"mode":"autom","reason":"x"}`, `mode "autom": want shadow, ask or auto`},
		{"rules/Red/promote", `{"reason":"x"}`, `mode "": want shadow, ask or auto`},
		{"rules/Red/promote", `{"mode":"ask","reason":" "}`, "reason: missing"},
		{"rules/Red/promote", `{"mode":"ask","reason":"` + strings.Repeat("x", 2001) + `"}`, "reason: 2001 bytes, want at most 2000"},
		{"rules/Red/promote", `{"mode":"ask","reason":"x","score":{}}`, `unknown field "score"`},
		{"rules/R%20d/promote", `{"mode":"ask","reason":"x"}`, `rule "R d": not the name of a rule`},
		{"changes/CHG1/rules/Red/judge", `{"reason":"x"}`, "agree: missing"},
		{"changes/CHG1/rules/Red/judge", `{"agree":true}`, "reason: missing"},
		{"changes/CHG1/rules/%3E/judge", `{"agree":true,"reason":"x"}`, `rule ">"`},
		{"notices/test", `{}`, "none never means all"},
		{"changes/CHG1/baseline", `{"force":true}`, `unknown field "force"`},
		{"changes/CHG1/drift", `{"targets":["*"]}`, `"*" is not the name of a target`},
		{"changes/CHG1/drift", `{"targets":[""]}`, `"" is not the name of a target`},
		{"holds/release", `{"target":"a","reason":"x"}`, "change_id"},
		{"holds/release", `{"change_id":"CHG1","reason":"x"}`, "none never means all"},
		{"holds/release", `{"change_id":"CHG1","target":"a","reason":" "}`, "reason: missing"},
	} {
		f := &fake{}
		w := do(handlerFor(t, f), post("/api/v1/"+tc.path, tc.body))
		wantError(t, w, 400, "invalid", tc.part)
		if len(f.heard()) > 0 {
			t.Errorf("%s %s reached the engine: %v", tc.path, tc.body, f.heard())
		}
	}
	for path, part := range map[string]string{
		"/api/v1/changes?states=open":            `unknown query parameter "states"`,
		"/api/v1/changes?state=opened":           `unknown state "opened"`,
		"/api/v1/changes?state=open&state=ready": "given twice",
		"/api/v1/rollbacks?active=maybe":         `active "maybe"`,
		"/api/v1/rollbacks?unreviewed=maybe":     `unreviewed "maybe"`,
		"/api/v1/rollbacks?change=*":             `change "*"`,
		"/api/v1/changes/%3E":                    `id ">"`,
		"/api/v1/changes/a%20b":                  `id "a b"`,
		"/api/v1/changes/a%2Fb":                  `id "a/b"`,
		"/api/v1/changes/%2e%2e%2fx":             `id "../x"`,
		"/api/v1/rollbacks/R1/output/*":          `attempt "*"`,
		"/api/v1/changes/C1/baseline/%2e%2e":     `target ".."`,
		"/api/v1/changes/C1/delta/a%2Fb":         `target "a/b"`,
		"/api/v1/drift/sha256:00":                `digest "sha256:00"`,
		"/api/v1/drift/CHG1":                     `digest "CHG1"`,
		"/api/v1/holds?all=maybe":                `all "maybe"`,
		"/api/v1/holds?every=true":               `unknown query parameter "every"`,
	} {
		f := &fake{}
		wantError(t, do(handlerFor(t, f), request("GET", path, "")), 400, "invalid", part)
		if len(f.heard()) > 0 {
			t.Errorf("%s reached the engine: %v", path, f.heard())
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	h := handlerFor(t, &fake{}, func(o *Options) { o.Limits.MaxRequest = 100 })
	wantError(t, do(h, request("POST", "/api/v1/pause", `{"reason":"`+strings.Repeat("x", 100)+`"}`)), 413, "too_large", "")
	r := request("POST", "/api/v1/pause", `{"reason":"x"}`)
	r.Header.Set("Content-Type", "text/plain")
	wantError(t, do(h, r), 415, "content_type", "text/plain")
}

// TestEverySentinelHasItsStatus: the table, by name.
func TestEverySentinelHasItsStatus(t *testing.T) {
	refused := &backout.RefusedError{Violations: []backout.Violation{{Check: "plan", Reason: "no plan", Fix: "name one"}}}
	problems := backout.Problems{{File: "rules.yaml", Line: 3, Column: 2, What: "unknown key", Fix: "did you mean match"}}
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{backout.ErrNotFound, 404, "not_found"},
		{backout.ErrConflict, 409, "conflict"},
		{backout.ErrExists, 409, "exists"},
		{backout.ErrFinal, 409, "final"},
		{backout.ErrStale, 409, "stale"},
		{backout.ErrRefused, 422, "refused"},
		{refused, 422, "refused"},
		{backout.ErrPaused, 423, "paused"},
		{backout.ErrInvalid, 400, "invalid"},
		{backout.ErrUnavailable, 503, "unavailable"},
		{context.DeadlineExceeded, 503, "unavailable"},
		{problems, 422, "problems"},
		{errors.New("disk: sector 7 of /dev/sda"), 500, "internal"},
	} {
		w := do(handlerFor(t, &fake{err: fmt.Errorf("open change: %w", tc.err)}), request("POST", "/api/v1/changes/CHG1/open", ""))
		body := errorOf(t, w)
		if w.Code != tc.status || body.Code != tc.code {
			t.Errorf("%v: answered %d %q, want %d %q", tc.err, w.Code, body.Code, tc.status, tc.code)
		}
		if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", tc.err, w.Header().Get("Retry-After"))
		}
		if tc.status == 500 && strings.Contains(body.Message, "sector") {
			t.Errorf("a bug tells the client its inside: %s", body.Message)
		}
		if errors.Is(tc.err, error(refused)) && (len(body.Violations) != 1 || body.Violations[0].Fix != "name one") {
			t.Errorf("violations %+v", body.Violations)
		}
		if tc.code == "problems" && (len(body.Problems) != 1 || body.Problems[0].Line != 3) {
			t.Errorf("problems %+v", body.Problems)
		}
	}
}

func TestAGatesNoIsAnAnswerToWhoAskedTheGate(t *testing.T) {
	f := &fake{err: &backout.RefusedError{Violations: []backout.Violation{{Check: "plan", Reason: "no plan"}}}}
	w := do(handlerFor(t, f), request("POST", "/api/v1/changes/CHG1/gate", ""))
	var result GateResult
	if err := json.Unmarshal(w.Body.Bytes(), &result); err != nil || w.Code != 200 || result.Passed || len(result.Violations) != 1 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	for _, path := range []string{"changes", "changes/C1/log", "rollbacks", "rollbacks/R1/log", "targets", "notices", "holds"} {
		if w := do(handlerFor(t, &fake{}), request("GET", "/api/v1/"+path, "")); strings.TrimSpace(w.Body.String()) != `{"items":[]}` {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
}

func TestStepOutputIsPlainTextWhateverItHolds(t *testing.T) {
	f := &fake{output: []byte("<script>alert(1)</script>\xff\x00\x1b[2J")}
	w := do(handlerFor(t, f), request("GET", "/api/v1/rollbacks/R1/output/R1.L1.s1.t1.a1", ""))
	if w.Body.String() != string(f.output) || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
}

func TestHealthSaysWhatIsMissing(t *testing.T) {
	f := &fake{notReady: errors.New("streams are being replayed")}
	h := handlerFor(t, f, withTokens(t))
	if w := do(h, request("GET", "/livez", "")); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("livez %d %q", w.Code, w.Body)
	}
	wantError(t, do(h, request("GET", "/readyz", "")), 503, "unavailable", "streams are being replayed")
	f.notReady = nil
	if w := do(h, request("GET", "/readyz", "")); w.Code != 200 {
		t.Errorf("readyz %d", w.Code)
	}
}
