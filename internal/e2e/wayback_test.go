package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/notifier/webhook"
)

// shipped is a plan of deploy/plans with other names, addresses and times. What is
// replaced must stand there.
func shipped(t testing.TB, name string, pairs ...string) string {
	t.Helper()
	data, err := os.ReadFile("../../deploy/plans/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("deploy/plans/%s.yaml does not say %q any more", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// rebuilder is a stand-in for AWX that has the job of the plans.
func rebuilder(t testing.TB) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v2/job_templates/12/" || r.Method != http.MethodGet || r.Header.Get("Authorization") == "" {
			t.Errorf("%s %s was asked", r.Method, r.URL)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"id": 12}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// told gives the site audiences whose notices come whole.
func (s *site) told() *inbox {
	box := &inbox{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m webhook.Body
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			box.complain("body: %v", err)
		}
		box.add("%s to %s: %s\n%s", m.Notice.Moment, m.Notice.Audience, m.Subject, m.Text)
	}))
	s.t.Cleanup(srv.Close)
	s.channels = fmt.Sprintf("  hook: {type: webhook, url: %q, secret: {file: secrets/hook.secret}}\n", srv.URL)
	s.audience = "  ops: [hook]\n  stakeholders: [hook]\n"
	return box
}

// awaitNotice waits until a notice has arrived that has all the words.
func (b *inbox) awaitNotice(t testing.TB, within time.Duration, words ...string) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("a notice says %q", words), func() error {
		if b.has(words...) {
			return nil
		}
		got, _ := b.all()
		return fmt.Errorf("there are\n%s", strings.Join(got, "\n----\n"))
	})
}

// story is one change of one target under a plan of deploy/plans.
type story struct {
	*server
	t    *testing.T
	name string // of the plan
	box  *inbox
	red  alert
}

// newStory runs a server with the plan and one target.
func newStory(t *testing.T, name, plan string, target backout.Target, a hosttest.Access) *story {
	t.Helper()
	s := newSite(t, plan, autoRule, fmt.Sprintf("targets:\n  - {name: web-1, address: %q}\n", target.Address))
	write(t, s.path("secrets/awx.token"), "awx-token-0123456789abcdef", 0o600)
	s.approvers = ", {name: bob, groups: [sre], token: {file: secrets/bob.token}}, {name: cel, groups: [sre], token: {file: secrets/cel.token}}"
	s.more = fmt.Sprintf("ssh: {user: root, key: {file: %q}, known_hosts: %q, port: %d}\n", a.Key, a.KnownHosts, a.Port)
	st := &story{t: t, name: name, box: s.told()}
	st.server = s.serve()
	t.Cleanup(st.tells)
	st.mustCLI("change", "create", "--id", s.change, "--title", "shop 2.0", "--plan", name, "--opens", "now", "--closes", "+1h", "--watch", "1h",
		"--owner", "ann", "--target", "web-1")
	return st
}

// tells logs how far a story came that has failed.
func (st *story) tells() {
	if !st.t.Failed() {
		return
	}
	for _, args := range [][]string{{"rollback", "show", st.site.change + "-r1"}, {"rollback", "log", st.site.change + "-r1"}} {
		// The test's own context has ended by now.
		cmd := exec.Command(binary(st.t), args...)
		cmd.Env = append(os.Environ(), "BACKOUT_SERVER="+st.url, "BACKOUT_TOKEN="+annToken)
		out, err := cmd.CombinedOutput()
		st.t.Logf("backout %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// says runs the command line and wants its exit code and these words.
func (st *story) says(code int, args []string, words ...string) string {
	st.t.Helper()
	got, stdout, stderr := st.cli(args...)
	said := stdout + stderr
	if got != code {
		st.t.Fatalf("backout %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			st.t.Errorf("backout %s does not say %q:\n%s", strings.Join(args, " "), w, said)
		}
	}
	return said
}

// gate asks the gate, and wants its exit code and these words.
func (st *story) gate(code int, words ...string) {
	st.t.Helper()
	st.says(code, []string{"gate", st.site.change, "--all"}, words...)
}

// patch opens the window, patches and begins the watch, and knows what the patch did.
func (st *story) patch(command string, changed ...string) {
	st.t.Helper()
	st.says(0, []string{"change", "run", st.site.change, "--", command})
	eventually(st.t, 60*time.Second, "what the patch changed is known", func() error {
		code, stdout, stderr := st.cli("baseline", "diff", st.site.change, "web-1")
		for _, word := range changed {
			if code != 0 || !strings.Contains(stdout, word) {
				return fmt.Errorf("exit code %d, no %q in\n%s%s", code, word, stdout, stderr)
			}
		}
		return nil
	})
}

// turnsRed has the monitoring say so.
func (st *story) turnsRed() string {
	st.t.Helper()
	st.red = shopDown("web-1")
	st.mustPost(st.red)
	return st.awaitRollback(30 * time.Second)
}

// turnsGreen has the monitoring say so once the service is well.
func (st *story) turnsGreen(within time.Duration, well func() error) {
	st.t.Helper()
	eventually(st.t, within, "the service is well again", func() error {
		err := well()
		if err != nil {
			r, e := st.client.Rollback(st.t.Context(), st.site.change+"-r1")
			return fmt.Errorf("%w; the rollback is %s at level %d, %s, %v", err, r.Status, r.Level, r.Reason, e)
		}
		return nil
	})
	st.mustPost(st.red.resolved())
}

// recovered waits for the end of the rollback, which has a verdict on its drift.
func (st *story) recovered(id string, level int, within time.Duration) backout.Rollback {
	st.t.Helper()
	r := st.awaitStatus(id, backout.RollbackRecovered, within)
	if r.Level != level {
		st.t.Errorf("recovered at level %d, want %d", r.Level, level)
	}
	return r
}
