package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// alertmanager runs a real Alertmanager at addr that posts to the server; routes are
// lines below its route.
func alertmanager(t testing.TB, addr string, srv *server, routes ...string) *process {
	t.Helper()
	program := part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "am.yml"), fmt.Sprintf(`route:
  receiver: backout
  group_by: [alertname, instance]
  group_wait: 1s
  group_interval: 1s
%sreceivers:
  - name: backout
    webhook_configs:
      - url: %s/api/v1/alertmanager
        send_resolved: true
        http_config:
          authorization: {type: Bearer, credentials: %s}
`, indented("  ", routes), srv.url, intakeToken), 0o600)
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "am.yml"), "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--cluster.listen-address=")
	p := start(t, cmd)
	eventually(t, 30*time.Second, "Alertmanager is ready", func() error { return get("http://"+addr+"/-/ready", http.StatusOK) })
	return p
}

func indented(by string, lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(by + l + "\n")
	}
	return b.String()
}

// prometheus runs a real Prometheus that scrapes the shop as web-1:80 and sends
// its alerts to these places, entries below alerting.alertmanagers. It returns
// its address.
func prometheus(t testing.TB, s *shop, alertmanagers ...string) string {
	t.Helper()
	addr := freePort(t)
	runPrometheus(t, prometheusFiles(t, s, alertmanagers...), addr)
	return addr
}

// prometheusFiles writes the files of a Prometheus and returns their directory.
func prometheusFiles(t testing.TB, s *shop, alertmanagers ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rules.yml"), `groups:
  - name: shop
    interval: 200ms
    rules:
      - alert: ShopDown
        expr: shop_healthy == 0
        labels: {severity: critical}
        annotations: {summary: the shop cannot read its orders}
`, 0o644)
	var to strings.Builder
	for _, a := range alertmanagers {
		to.WriteString("    - " + strings.ReplaceAll(strings.TrimSpace(a), "\n", "\n      ") + "\n")
	}
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [rules.yml]
alerting:
  alertmanagers:
%sscrape_configs:
  - job_name: shop
    static_configs:
      - targets: [%q]
        labels: {instance: "web-1:80"}
`, to.String(), s.addr), 0o600)
	return dir
}

// runPrometheus runs one on its files and returns once it has scraped the shop.
func runPrometheus(t testing.TB, dir, addr string) *process {
	t.Helper()
	program := part(t, "prometheus", "prometheus")
	p := start(t, exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--rules.alert.resend-delay=1s"))
	eventually(t, 30*time.Second, "Prometheus has scraped the shop", func() error {
		body, err := fetch("http://" + addr + "/api/v1/query?query=shop_healthy")
		if err != nil {
			return err
		}
		return notYet(strings.Contains(body, `"instance":"web-1:80"`))
	})
	return p
}

func fetch(url string) (string, error) {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// firingSince asks Prometheus when its alert began to fire.
func firingSince(addr string) (time.Time, error) {
	body, err := fetch("http://" + addr + "/api/v1/alerts")
	if err != nil {
		return time.Time{}, err
	}
	var answer struct {
		Data struct {
			Alerts []struct {
				State    string
				ActiveAt time.Time
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return time.Time{}, err
	}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			return a.ActiveAt, nil
		}
	}
	return time.Time{}, errNotYet
}

// direct is the entry that sends Prometheus' alerts to the server itself.
func direct(srv *server) string {
	return fmt.Sprintf(`api_version: v2
scheme: http
path_prefix: ""
authorization: {type: Bearer, credentials: %s}
static_configs: [{targets: [%q]}]`, intakeToken, strings.TrimPrefix(srv.url, "http://"))
}

// through is the entry of an Alertmanager.
func through(addr string) string {
	return fmt.Sprintf("static_configs: [{targets: [%q]}]", addr)
}
