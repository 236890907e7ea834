package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsmfake"
)

const itsmSecret = "itsm-secret-0123456789abcdef"

// desk gives the site a ServiceNow that the gate asks, and that keeps the record.
func (s *site) desk() *itsmfake.ServiceNow {
	s.t.Helper()
	sn := itsmfake.NewServiceNow(itsmSecret)
	server := httptest.NewServer(sn)
	s.t.Cleanup(server.Close)
	write(s.t, s.path("secrets/itsm.secret"), itsmSecret, 0o600)
	s.channels = fmt.Sprintf(`  snow:
    type: servicenow
    url: %[1]q
    token_url: %[1]s/oauth_token.do
    client_id: %[2]s
    client_secret: {file: secrets/itsm.secret}
    incidents: true
`, server.URL, itsmfake.Client)
	s.audience = "  ops: [snow]\n  stakeholders: [snow]\n"
	s.more = "itsm: {channel: snow}\n"
	return sn
}

// TestServiceNowEndToEnd: no window opens before people have approved the change in
// ServiceNow; then ServiceNow shows it all, though it is down while the rollback runs,
// which nobody waits for.
func TestServiceNowEndToEnd(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, strings.Replace(step.plan(), "author: paul", "author: paul\n    audience: [ops]", 1), autoRule, web1)
	sn := s.desk()
	srv := s.serve()
	srv.plan(s.change, "web-1")

	refused := func(words ...string) {
		t.Helper()
		code, stdout, stderr := srv.cli("change", "open", s.change)
		for _, w := range words {
			if code != 3 || !strings.Contains(stdout+stderr, w) {
				t.Errorf("open: exit code %d, want 3 and %q:\n%s%s", code, w, stdout, stderr)
			}
		}
	}
	refused(fmt.Sprintf("ServiceNow has no record %q", s.change))
	now := time.Now().UTC()
	const layout = "2006-01-02 15:04:05"
	sn.AddChange(s.change, map[string]string{"approval": "requested", "start_date": now.Add(-time.Hour).Format(layout), "end_date": now.Add(time.Minute).Format(layout)})
	refused(`it says "Requested"`, "is not within that of "+s.change, "has no back-out plan")
	sn.Set(s.change, map[string]string{"approval": "approved", "state": "-2", "end_date": now.Add(12 * time.Hour).Format(layout), "backout_plan": "Call Ana."})
	sn.Fail(itsmfake.LoginPage)
	refused("cannot be asked", "page for people")
	sn.Fail(nil)
	sn.Expire()
	srv.mustCLI("change", "open", s.change)

	sn.Fail(itsmfake.Status(503, "Retry-After", "1"))
	red := shopDown("web-1")
	srv.mustPost(red)
	id := srv.awaitRollback(30 * time.Second)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	step.letGo()
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 30*time.Second)
	sn.Fail(nil)

	eventually(t, 60*time.Second, "ServiceNow shows the end", func() error {
		return notYet(sn.Change(s.change).Columns["close_code"] != "")
	})
	got := sn.Change(s.change)
	if got.Columns["close_code"] != "unsuccessful" || got.Columns["state"] != "-2" || !strings.HasPrefix(got.Columns["backout_plan"], "Call Ana.") {
		t.Errorf("change request %+v", got.Columns)
	}
	inOrder(t, got.Notes, "stays shut", "window is open", "L1 has started", "RECOVERED")
	for i, note := range got.Notes {
		for _, other := range got.Notes[:i] {
			if note == other {
				t.Errorf("written twice: %q", note)
			}
		}
	}
	if all := sn.Incidents(); len(all) != 1 || all[0].Columns["caused_by"] != got.Columns["sys_id"] || len(all[0].Notes) == 0 {
		t.Errorf("incidents %+v", all)
	}
}

// inOrder wants notes with these words, one after the other.
func inOrder(t testing.TB, notes []string, words ...string) {
	t.Helper()
	rest := strings.Join(notes, "\n")
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Fatalf("no note with %q at its place:\n%s", w, strings.Join(notes, "\n----\n"))
		}
		rest = after
	}
}

// TestJiraEndToEnd: the same with an issue of a service desk, in the cloud.
func TestJiraEndToEnd(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	s := newSite(t, strings.Replace(step.plan(), "author: paul", "author: paul\n    audience: [ops]", 1), autoRule, web1)
	s.change = fmt.Sprintf("OPS-%d", time.Now().UnixNano()%1e12)
	j := itsmfake.NewJira(itsmSecret, true, "customfield_3")
	server := httptest.NewServer(j)
	t.Cleanup(server.Close)
	write(t, s.path("secrets/itsm.secret"), itsmSecret, 0o600)
	s.channels = fmt.Sprintf(`  desk:
    type: jira
    url: %q
    username: %s
    password: {file: secrets/itsm.secret}
    fields: {start: customfield_1, end: customfield_2, plan: customfield_3}
    incident: {project: INC}
`, server.URL, itsmfake.User)
	s.audience = "  ops: [desk]\n  stakeholders: [desk]\n"
	s.more = "itsm: {channel: desk}\n"
	srv := s.serve()
	srv.plan(s.change, "web-1")

	const layout = "2006-01-02T15:04:05.000-0700"
	now := time.Now()
	j.AddIssue(s.change, map[string]any{
		"customfield_1": now.Add(-time.Hour).Format(layout), "customfield_2": now.Add(12 * time.Hour).Format(layout),
		"customfield_3": json.RawMessage(`{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"Call Ana."}]}]}`),
	})
	j.Approve(s.change, []itsmfake.Approval{{Name: "CAB", Decision: "approved"}, {Name: "Owner", Decision: "declined", Millis: 1}})
	if code, stdout, stderr := srv.cli("change", "open", s.change); code != 3 || !strings.Contains(stdout+stderr, `it says "declined"`) {
		t.Fatalf("open: exit code %d, want 3\n%s%s", code, stdout, stderr)
	}
	j.Approve(s.change, []itsmfake.Approval{{Name: "CAB", Decision: "approved"}, {Name: "Owner", Decision: "approved", Millis: 2}})
	srv.mustCLI("change", "open", s.change)
	red := shopDown("web-1")
	srv.mustPost(red)
	id := srv.awaitRollback(30 * time.Second)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	step.letGo()
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 30*time.Second)

	var said []string
	eventually(t, 60*time.Second, "Jira shows the end", func() error {
		said = nil
		for _, c := range j.Issue(s.change).Comments {
			said = append(said, c.Text)
		}
		return notYet(strings.Contains(strings.Join(said, "\n"), "RECOVERED"))
	})
	inOrder(t, said, "stays shut", "window is open", "L1 has started", "RECOVERED")
	if links := j.Links(); len(links) != 1 || links[0].Outward != s.change {
		t.Errorf("links %+v", links)
	}
}
