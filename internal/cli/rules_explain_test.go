package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// explainer is a server that explains everything alike, and notes what it was asked.
func explainer(t *testing.T) (url string, asked *[]handlers.ExplainRequest) {
	t.Helper()
	asked = &[]handlers.ExplainRequest{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in handlers.ExplainRequest
		if r.URL.Path != "/api/v1/rules/explain" {
			t.Errorf("asked %s", r.URL.Path)
		} else if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		*asked = append(*asked, in)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(handlers.Explained{Rules: []handlers.ExplainedRule{{Rule: "R", Matched: true, Follows: "open", Why: "it matches"}}})
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// TestExplainAsksTheServer for what was seen, and with --server-side for the alerts
// of a file, one by one.
func TestExplainAsksTheServer(t *testing.T) {
	server, asked := explainer(t)
	file := filepath.Join(t.TempDir(), "alerts.json")
	if err := os.WriteFile(file, []byte(`[{"labels":{"alertname":"A"}},{"labels":{"alertname":"B"}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{}
	out, stderr, code := run(t, o, "rules", "explain", "--server", server, "--seen", "00aa", "--change", "CHG1", "--change", "CHG2", "--rule", "R", "--at", "2026-11-23T02:10:00Z")
	if code != 0 || !strings.Contains(out, "\n+ acts  /R ()\n  it matches\n") {
		t.Errorf("%d %q %q", code, out, stderr)
	}
	out, stderr, code = run(t, o, "rules", "explain", "--server", server, "--alert", file, "--server-side", "-o", "json")
	if code != 0 || strings.Count(out, `"why": "it matches"`) != 2 {
		t.Errorf("%d %q %q", code, out, stderr)
	}
	if len(*asked) != 3 {
		t.Fatalf("asked %+v", *asked)
	}
	want := handlers.ExplainRequest{Fingerprint: "00aa", ChangeIDs: []string{"CHG1", "CHG2"}, Rule: "R", At: time.Date(2026, 11, 23, 2, 10, 0, 0, time.UTC)}
	if diff := cmp.Diff(want, (*asked)[0]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if a := (*asked)[2]; a.Alert == nil || a.Alert.Name() != "B" || !a.At.IsZero() {
		t.Errorf("asked %+v", a)
	}
}

// TestExplainReadsChangesAsTheyArePrinted: one, a list, or what change list prints.
func TestExplainReadsChangesAsTheyArePrinted(t *testing.T) {
	for name, raw := range map[string]string{"one": `{"id":"CHG1"}`, "list": `[{"id":"CHG1"}]`, "items": `{"items":[{"id":"CHG1"}]}`} {
		list, err := decodeChanges([]byte(raw))
		if err != nil || len(list) != 1 || list[0].ID != "CHG1" {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
	for _, bad := range []string{"", "{}", "1", `"x"`} {
		if list, err := decodeChanges([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, list)
		}
	}
	var given []backout.Change
	file := filepath.Join(t.TempDir(), "changes.json")
	alert := filepath.Join(t.TempDir(), "alert.json")
	for path, text := range map[string]string{file: `[{"id":"CHG1"},{"id":"CHG2"}]`, alert: `{"labels":{"a":"b"}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, _, code := run(t, Options{RulesExplain: func(_ context.Context, o ExplainOptions) ([]handlers.Explained, error) {
		given = o.Changes
		return nil, nil
	}}, "rules", "explain", "--alert", alert, "--changes", file)
	if code != ExitFailed || len(given) != 2 || given[1].ID != "CHG2" {
		t.Errorf("%d, given %+v", code, given)
	}
}
