package e2e

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestIntakeGuide: the files that docs/intake.md shows are taken by those they are for.
func TestIntakeGuide(t *testing.T) {
	t.Parallel()
	amtool, promtool := part(t, "amtool", "prometheus-alertmanager"), part(t, "promtool", "prometheus")
	text, err := os.ReadFile("../../docs/intake.md")
	if err != nil {
		t.Fatal(err)
	}
	c := newCA(t)
	for name, template := range map[string]x509.Certificate{
		"server": {IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, "am-1": {DNSNames: []string{"am-1.example.org"}}, "prom-1": {DNSNames: []string{"prom-1.example.org"}},
	} {
		c.sign(name, template)
	}
	write(t, c.path("server-ca.crt"), "", 0o644)
	write(t, c.path("secrets/alice"), annToken, 0o600)
	write(t, c.path("secrets/grafana"), "grafana-secret-0123456789", 0o600)
	found := 0
	shown := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```yaml\n# ([a-z.]+)[^\n]*\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		name := block[1]
		if shown[name] != "" {
			name = fmt.Sprintf("%d-%s", len(shown), name)
		}
		shown[name] = block[2]
		write(t, c.path(name), block[2], 0o600)
	}
	for name := range shown {
		var said []byte
		path := filepath.Join(c.dir, name)
		switch {
		case strings.HasSuffix(name, "backout.yaml"):
			code, out, _ := run(t, nil, "check", "--config", path)
			said = []byte(out)
			if code != 0 {
				err = fmt.Errorf("exit code %d", code)
			}
		case name == "alertmanager.yml":
			said, err = exec.Command(amtool, "check-config", path).CombinedOutput() //nolint:gosec // the test's own file
		case name == "prometheus.yml":
			said, err = exec.Command(promtool, "check", "config", path).CombinedOutput() //nolint:gosec // the test's own file
		case name == "web.yml": // with the first backout.yaml
		default:
			continue
		}
		found++
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, said)
			err = nil
		}
	}
	if found != 5 {
		t.Errorf("%d files were tried, want 5", found)
	}
}

// TestIntakeGuidesScript: the shell lines that sign a request are taken as they stand.
func TestIntakeGuidesScript(t *testing.T) {
	t.Parallel()
	part(t, "curl", "curl")
	part(t, "openssl", "openssl")
	text, err := os.ReadFile("../../docs/intake.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/intake.md has no shell lines")
	}
	s := plain(t)
	write(t, s.path("secret"), "script-secret-0123456789", 0o600)
	s.intake = "  senders: [{name: script, hmac: {scheme: backout, secret: {file: secret}}}]\n"
	srv := s.serve()
	cmd := exec.Command("sh", "-eu", "-c", strings.ReplaceAll(string(block[1]), "https://backout.example.org:8420", srv.url)) //nolint:gosec // the project's own text
	cmd.Dir = s.dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if metrics := srv.metricsText(); !strings.Contains(metrics, `backout_intake_alerts_total{source="script",status="firing"} 1`) {
		t.Errorf("the alert was not counted as the script's")
	}
}
