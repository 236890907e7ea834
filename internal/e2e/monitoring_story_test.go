package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// people gives the site a channel of every kind. A channel that serves two
// audiences is told once, so stakeholders have one of their own.
func (s *site) people(hookURL, mailAddr, slackURL string) {
	s.channels = fmt.Sprintf(`  hook: {type: webhook, url: %[1]q, secret: {file: secrets/hook.secret}}
  board: {type: webhook, url: %[1]q, secret: {file: secrets/hook.secret}, headers: {X-Channel: board}}
  mail: {type: email, smtp: %[2]q, from: backout@example.com, to: [ops@example.com], starttls: none}
  chat: {type: slack, channel: C0123456789, api_url: %[3]q, token: {file: secrets/slack.token}}
`, hookURL, mailAddr, slackURL)
	s.audience = "  ops: [hook, mail, chat]\n  stakeholders: [board]\n"
}

// quiet gives the site's audiences a hook that nobody looks into.
func (s *site) quiet() {
	url, _ := hook(s.t)
	s.channels = fmt.Sprintf("  hook: {type: webhook, url: %q, secret: {file: secrets/hook.secret}}\n", url)
	s.audience = "  ops: [hook]\n  stakeholders: [hook]\n"
}

// TestAlertmanagerEndToEnd: Prometheus sees the shop fail after its patch,
// Alertmanager tells, L1 runs and does not help, the clock escalates to L2, the
// shop is back, and everybody who must know has been told.
func TestAlertmanagerEndToEnd(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	mailAddr, mailDir := mailbox(t)
	hookURL, hooks := hook(t)
	slackURL, chat := slack(t)
	shop := newShop(t)
	s := newSite(t, shop.plan(), autoRule, web1)
	s.people(hookURL, mailAddr, slackURL)
	am := freePort(t)
	s.more = "alertmanagers: [{url: \"http://" + am + "\"}]\n"
	srv := s.serve()
	alertmanager(t, am, srv)
	prometheus(t, shop, through(am))

	srv.plan(s.change, "web-1")
	code, stdout, stderr := srv.cli("change", "run", s.change, "--", shop.bin("patch"))
	if code != 0 || !strings.Contains(stdout, "patched") {
		t.Fatalf("change run: exit code %d\n%s%s", code, stdout, stderr)
	}
	patched := time.Now()
	id := srv.awaitRollback(30 * time.Second)
	t.Logf("patched to rollback opened, group_wait 1s: %s", time.Since(patched).Round(time.Millisecond))
	code, stdout, stderr = srv.cli("rollback", "watch", id, "--timeout", "60s")
	if code != 0 {
		t.Fatalf("rollback watch: exit code %d\n%s%s", code, stdout, stderr)
	}
	t.Logf("patched to recovered: %s", time.Since(patched).Round(time.Millisecond))
	for _, want := range []string{"L1", "L2", "recovered"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("rollback watch does not say %q:\n%s", want, stdout)
		}
	}
	if u, r := shop.effects("uninstall"), shop.effects("restore"); u != 1 || r != 1 {
		t.Errorf("uninstall ran %d times, restore %d times, want once each", u, r)
	}
	if err := get("http://"+shop.addr+"/health", 200); err != nil {
		t.Errorf("the shop is not back: %v", err)
	}
	show := srv.mustCLI("change", "show", s.change)
	for _, want := range []string{s.change, "backed out", "web shop 2.0", id, "recovered", "web-1", "ann"} {
		if !strings.Contains(show, want) {
			t.Errorf("change show does not say %q:\n%s", want, show)
		}
	}
	if n := len(srv.rollbacks()); n != 1 {
		t.Errorf("%d rollbacks, want one", n)
	}
	told(t, id, hooks, chat, mailDir)
}

// told wants every moment of the story to have reached everybody.
func told(t *testing.T, id string, hooks, chat *inbox, mailDir string) {
	t.Helper()
	for _, want := range [][]string{
		{string(backout.MomentLevelStarted), "to ops", "L1"},
		{string(backout.MomentLevelStarted), "to ops", "L2"},
		{string(backout.MomentLevelStarted), "to stakeholders", "level 2 has started"},
		{string(backout.MomentRecovered), "to ops"},
	} {
		eventually(t, 20*time.Second, fmt.Sprintf("the hook is told %q", want), func() error {
			got, wrong := hooks.all()
			if len(wrong) > 0 {
				t.Fatalf("complaints of the hook: %q", wrong)
			}
			if !hooks.has(want...) {
				return fmt.Errorf("it was told %q", got)
			}
			return nil
		})
	}
	keys := map[string]bool{}
	got, _ := hooks.all()
	for _, g := range got {
		key, _, _ := strings.Cut(g, " ")
		if keys[key] {
			t.Errorf("notice %s came twice", key)
		}
		keys[key] = true
	}
	eventually(t, 20*time.Second, "Slack has the end, in the thread", func() error {
		got, wrong := chat.all()
		if len(wrong) > 0 {
			t.Fatalf("complaints of Slack: %q", wrong)
		}
		if !chat.has("thread=1700000000.", "RECOVERED by L2") {
			return fmt.Errorf("it was told %q", got)
		}
		return nil
	})
	eventually(t, 20*time.Second, "the end is in the mail", func() error {
		for _, m := range mails(mailDir) {
			if strings.Contains(m, "To: <ops@example.com>") && strings.Contains(m, "RECOVERED by L2") && strings.Contains(m, id) {
				return nil
			}
		}
		return fmt.Errorf("%d mails came", len(mails(mailDir)))
	})
}

// TestPrometheusDirect: told by Prometheus itself, the rollback does not wait for
// Alertmanager; and what both tell counts once.
func TestPrometheusDirect(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	shop := newShop(t)
	s := newSite(t, shop.plan(), autoRule, web1)
	s.quiet()
	srv := s.serve()
	am := freePort(t)
	alertmanager(t, am, srv)
	prom := prometheus(t, shop, through(am), direct(srv))
	srv.plan(s.change, "web-1")
	srv.mustCLI("change", "run", s.change, "--", shop.bin("patch"))
	var fired time.Time
	eventually(t, 30*time.Second, "the alert fires in Prometheus", func() error {
		var err error
		fired, err = firingSince(prom)
		return err
	})
	id := srv.awaitRollback(30 * time.Second)
	eventually(t, 30*time.Second, "L1 has started", func() error { return notYet(read(shop.dir+"/uninstall.at") != "") })
	began := startedAt(t, shop.dir+"/uninstall.at")
	entries, err := srv.client.RollbackLog(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	opened := entries[0].Record.At
	t.Logf("Prometheus marks it firing to first process: %s (to the rollback's first record %s, from there to the process %s)",
		began.Sub(fired).Round(100*time.Microsecond), opened.Sub(fired).Round(100*time.Microsecond), began.Sub(opened).Round(100*time.Microsecond))
	if late := began.Sub(fired); late > 5*time.Second {
		t.Errorf("the first process started %s after the alert fired", late)
	}
	r := srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	if got := r.Trigger.Verdict; got == nil || got.Rule != "ErrorsAfterPatch" {
		t.Errorf("trigger %+v", r.Trigger)
	}
	metrics := srv.metrics()
	eventually(t, 20*time.Second, "Alertmanager has told too", func() error {
		metrics = srv.metrics()
		return notYet(metrics.sum(`backout_http_requests_total{code="200",route="/api/v1/alertmanager"}`) > 0)
	})
	if metrics.sum(`backout_http_requests_total{code="200",route="/api/v2/alerts"}`) == 0 {
		t.Error("Prometheus has not told")
	}
	if list := srv.rollbacks(); len(list) != 1 || len(list[0].Evidence) != 1 {
		t.Errorf("%d rollbacks with evidence %+v, want one with one alert", len(list), list[0].Evidence)
	}
	if n := shop.effects("uninstall"); n != 1 {
		t.Errorf("uninstall ran %d times, want once", n)
	}
}

// startedAt reads when a script began.
func startedAt(t testing.TB, path string) time.Time {
	t.Helper()
	first, _, _ := strings.Cut(read(path), "\n")
	seconds, nanos, _ := strings.Cut(first, ".")
	s, err1 := strconv.ParseInt(seconds, 10, 64)
	n, err2 := strconv.ParseInt(nanos, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("no time in %s: %q", path, first)
	}
	return time.Unix(s, n)
}
