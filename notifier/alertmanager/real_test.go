package alertmanager

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestAlertmanagerTellsTheUsersReceivers: with a real one, a receiver of the user's
// hears of each moment of a rollback, and in the end that it is over, in our words.
func TestAlertmanagerTellsTheUsersReceivers(t *testing.T) {
	heard := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Alerts []struct {
				Status              string
				Labels, Annotations map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("receiver: %v", err)
		}
		for _, a := range body.Alerts {
			heard <- a.Status + " " + a.Labels["alertname"] + ": " + a.Annotations["summary"]
		}
	}))
	defer receiver.Close()
	n := newNotifier(t, Config{URLs: []string{alertmanager(t, receiver.URL)}, Labels: map[string]string{"team": "ops"}})
	for _, step := range []struct {
		moment backout.Moment
		level  int
		want   string
	}{
		{backout.MomentRed, 1, "firing BackoutRollbackRed: "},
		{backout.MomentApproval, 1, "firing BackoutRollbackApprovalNeeded: "},
		{backout.MomentLevelStarted, 1, "firing BackoutRollbackLevelStarted: "},
		{backout.MomentLevelStarted, 1, ""},
		{backout.MomentRecovered, 1, "resolved BackoutRollbackLevelStarted: [CHG0030001] RECOVERED"},
	} {
		about := notice(step.moment, step.level)
		about.At = time.Now().UTC()
		about.RollbackID = `CHG"0030001\r1`
		tell(t, n, about)
		if step.want == "" {
			continue
		}
		hears(t, heard, step.want)
	}
}

// hears waits until the receiver has been told.
func hears(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	late := time.After(20 * time.Second)
	var others []string
	for {
		select {
		case got := <-heard:
			if strings.HasPrefix(got, want) {
				return
			}
			others = append(others, got)
		case <-late:
			t.Fatalf("not heard within 20 s: %s\nbut %q", want, others)
		}
	}
}

// alertmanager runs a real one on a free port until the test ends.
func alertmanager(t *testing.T, receiver string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		const why = "prometheus-alertmanager is missing: apt-get install prometheus-alertmanager"
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "am.yml")
	err = os.WriteFile(file, fmt.Appendf(nil, `route:
  receiver: nobody
  routes:
    - matchers: ['alertname=~"Backout.+"', 'team="ops"']
      receiver: ops
      group_by: [alertname, rollback, level]
      group_wait: 10ms
      group_interval: 100ms
receivers:
  - name: nobody
  - name: ops
    webhook_configs: [{url: %s, send_resolved: true}]
`, receiver), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--cluster.listen-address=")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Alertmanager said: %s", said.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + addr
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("Alertmanager is not ready within 20 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
