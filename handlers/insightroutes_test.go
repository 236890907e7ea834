package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// told answers what pages and the API show of how things came to be, and remembers what
// it was asked.
type told struct {
	Insight
	f       *fake
	gate    GateResult
	notices []NoticeStatus
}

func (a *told) GateAnswer(_ context.Context, id string) (GateResult, error) {
	return a.gate, a.f.note("gate answer %s", id)
}

func (a *told) RollbackNotices(_ context.Context, id string) ([]NoticeStatus, error) {
	return a.notices, a.f.note("notices of %s", id)
}

// TestInsightRoutes: what is told arrives as it is, whatever its texts are; what is not
// there, and who cannot be asked, is told apart from an empty list.
func TestInsightRoutes(t *testing.T) {
	const gate, notices = "/api/v1/changes/CHG1/gate", "/api/v1/rollbacks/CHG1-r1/notices"
	f := &fake{}
	a := &told{f: f, gate: GateResult{ChangeID: "CHG1"}}
	for i, text := range hostileStrings() {
		text = strings.ToValidUTF8(text, "\ufffd") // as JSON has it
		a.gate.Violations = append(a.gate.Violations, backout.Violation{Check: text, Target: text, Reason: text, Fix: text})
		a.gate.Looks = append(a.gate.Looks, GateLook{Target: text, Check: text, Loses: text, OK: i%2 == 0})
		a.notices = append(a.notices, NoticeStatus{Channel: text, Error: text, Notice: backout.Notice{ID: fmt.Sprint(i), Reason: text}, Delivered: i%2 == 0})
	}
	h := handlerFor(t, f, func(o *Options) { o.Insight = a })
	var gotGate GateResult
	var gotNotices struct{ Items []NoticeStatus }
	for path, into := range map[string]any{gate: &gotGate, notices: &gotNotices} {
		w := do(h, request("GET", path, ""))
		if err := json.Unmarshal(w.Body.Bytes(), into); w.Code != 200 || err != nil {
			t.Fatalf("%s: answered %d, %v", path, w.Code, err)
		}
	}
	if diff := cmp.Diff(a.gate, gotGate) + cmp.Diff(a.notices, gotNotices.Items); diff != "" {
		t.Errorf("-told +arrived:\n%s", diff)
	}

	a.notices = nil
	if w := do(h, request("GET", notices, "")); strings.TrimSpace(w.Body.String()) != `{"items":[]}` {
		t.Errorf("no notices: %s", w.Body)
	}
	for path, without := range map[string]*Handler{gate: h, notices: h} {
		f.err = fmt.Errorf("nothing of it: %w", backout.ErrNotFound)
		wantError(t, do(without, request("GET", path, "")), 404, "not_found", "nothing of it")
		f.err = nil
		wantError(t, do(handlerFor(t, f), request("GET", path, "")), 404, "not_found", "this server does not tell")
	}
	for _, path := range []string{"/api/v1/changes/a%20b/gate", "/api/v1/rollbacks/..%2fx/notices"} {
		asked := len(f.heard())
		if w := do(h, request("GET", path, "")); w.Code != 400 || len(f.heard()) > asked {
			t.Errorf("%s: answered %d, the engine heard %v", path, w.Code, f.heard()[asked:])
		}
	}
}
