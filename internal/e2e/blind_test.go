package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// watchdogRule is an alert that always fires, as the public mixins have it.
const watchdogRule = `  - name: meta
    interval: 200ms
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none}
`

// TestBlindMonitoring: Prometheus dies while a rollback is verified, and Alertmanager
// says of every alert that it is over. Nothing counts as recovered until Prometheus is
// back; then it does. When Alertmanager dies, nobody says anything, and that is
// noticed too.
func TestBlindMonitoring(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	hookURL, hooks := hook(t)
	mailAddr, _ := mailbox(t)
	slackURL, chat := slack(t)
	shop := newShop(t)
	s := newSite(t, strings.NewReplacer("hold_for: 1s", "hold_for: 15s", "escalate_after: 3s", "escalate_after: 17s", "escalate_after: 60s", "escalate_after: 10m").Replace(shop.plan()), autoRule, web1)
	s.people(hookURL, mailAddr, slackURL)
	s.more = "monitoring: {watchdog: ['alertname=\"Watchdog\"'], missing_after: 1m, audience: [ops]}\n"
	srv := s.serve()
	addr, promAddr := freePort(t), freePort(t)
	am := alertmanager(t, addr, srv, `routes: [{matchers: [alertname="Watchdog"], receiver: backout, group_wait: 0s, group_interval: 1s, repeat_interval: 2s}]`)
	files := prometheusFiles(t, shop, through(addr))
	rules, err := os.ReadFile(filepath.Join(files, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(files, "rules.yml"), string(rules)+watchdogRule, 0o644)
	prom := runPrometheus(t, files, promAddr)
	eventually(t, 30*time.Second, "the watchdog is heard", func() error {
		status, err := srv.client.Monitoring(t.Context())
		return firstOf(err, notYet(!status.LastSeen.IsZero()))
	})

	srv.plan(s.change, "web-1")
	srv.mustCLI("change", "run", s.change, "--", shop.bin("patch"))
	id := srv.awaitRollback(30 * time.Second)
	eventually(t, 60*time.Second, "L2 has restored the snapshot", func() error { return notYet(shop.effects("restore") > 0) })
	kill(t, prom)
	awaitBlind(t, srv, true, 30*time.Second)
	began := time.Now()
	eventually(t, 30*time.Second, "the target is red for it", func() error {
		r, err := srv.client.Rollback(t.Context(), id)
		return firstOf(err, notYet(err == nil && strings.Contains(r.Targets[0].Red, "monitoring is blind since")))
	})
	blindIsShown(t, srv)
	eventually(t, 20*time.Second, "people are told", func() error {
		return notYet(hooks.has(string(backout.MomentMonitoringBlind), "to ops") && chat.has("MONITORING IS BLIND"))
	})
	for time.Since(began) < 20*time.Second { // longer than hold_for
		if r, err := srv.client.Rollback(t.Context(), id); err != nil || r.Status != backout.RollbackVerifying {
			t.Fatalf("%s, %v", r.Status, err)
		}
		time.Sleep(time.Second)
	}

	runPrometheus(t, files, promAddr)
	awaitBlind(t, srv, false, 30*time.Second)
	back := time.Now()
	srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	if held := time.Since(back); held < 14*time.Second {
		t.Errorf("recovered %s after monitoring was back, hold_for is 15s", held)
	}
	eventually(t, 20*time.Second, "people are told", func() error {
		return notYet(hooks.has(string(backout.MomentMonitoringBack), "to ops"))
	})

	kill(t, am)
	awaitBlind(t, srv, true, 100*time.Second)
	if got, wrong := hooks.all(); len(wrong) > 0 {
		t.Errorf("complaints of the hook: %q; it was told %q", wrong, got)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func kill(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.over
}

func awaitBlind(t *testing.T, srv *server, want bool, within time.Duration) {
	t.Helper()
	began := time.Now()
	eventually(t, within, "monitoring is as it should be", func() error {
		status, err := srv.client.Monitoring(t.Context())
		return firstOf(err, notYet(status.Blind == want))
	})
	t.Logf("blind is %v after %s", want, time.Since(began).Round(100*time.Millisecond))
}

// blindIsShown: everywhere but where an orchestrator would restart the server for it.
func blindIsShown(t *testing.T, srv *server) {
	t.Helper()
	if err := get(srv.url+"/readyz", 200); err != nil {
		t.Errorf("readyz: %v", err)
	}
	if code, stdout, _ := srv.cli("monitoring"); code != 1 || !strings.Contains(stdout, "monitoring is blind since") {
		t.Errorf("backout monitoring: exit code %d, %s", code, stdout)
	}
	if got := srv.metrics().sum("backout_monitoring_blind"); got != 1 {
		t.Errorf("backout_monitoring_blind is %v", got)
	}
	if page := srv.text("/"); !strings.Contains(page, "Monitoring is blind:") || strings.Contains(page, "Nothing is red") {
		t.Errorf("the page:\n%s", page)
	}
}
