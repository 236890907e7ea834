package e2e

import (
	"bufio"
	"bytes"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// sample is the numbers of the server by their whole name.
type sample map[string]float64

// sum adds up every number whose name begins so.
func (s sample) sum(prefix string) float64 {
	total := 0.0
	for name, v := range s {
		if strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

func (srv *server) metricsText() string { return srv.text("/metrics") }

// text is what the server answers to ann.
func (srv *server) text(path string) string {
	srv.site.t.Helper()
	req, err := http.NewRequestWithContext(srv.site.t.Context(), http.MethodGet, srv.url+path, http.NoBody)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+annToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		b.WriteString(in.Text() + "\n")
	}
	if resp.StatusCode != http.StatusOK || in.Err() != nil {
		srv.site.t.Fatalf("%s answered %s, %v", path, resp.Status, in.Err())
	}
	return b.String()
}

func (srv *server) metrics() sample {
	srv.site.t.Helper()
	out := sample{}
	for line := range strings.Lines(srv.metricsText()) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			out[line[:i]] = v
		}
	}
	return out
}

// TestMetrics: what the documented alert rules of Prometheus look at is there
// from the start, counts the story, and is well formed.
func TestMetrics(t *testing.T) {
	t.Parallel()
	step := newStep(t)
	step.letGo()
	s := newSite(t, step.plan(), autoRule, web1)
	srv := s.serve()
	for _, path := range []string{"/livez", "/readyz"} {
		if err := get(srv.url+path, 200); err != nil {
			t.Error(err)
		}
	}
	// What an increase() is taken of is there before its first event.
	for _, name := range []string{
		`backout_rollback_status_entered_total{status="exhausted"}`, `backout_intake_rejected_total{reason="unavailable"}`,
	} {
		if v, ok := srv.metrics()[name]; !ok || v != 0 {
			t.Errorf("at the start %s is %v, %v, want 0", name, v, ok)
		}
	}
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	id := srv.awaitRollback(20 * time.Second)
	srv.awaitStatus(id, backout.RollbackVerifying, 20*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 20*time.Second)
	text, got := srv.metricsText(), srv.metrics()
	for name, want := range map[string]float64{
		`backout_intake_alerts_total{source="alertmanager",status="firing"}`:   1,
		`backout_intake_alerts_total{source="alertmanager",status="resolved"}`: 1,
		`backout_verdicts_total{mode="auto"}`:                                  1,
		`backout_attempts_total`:                                               1,
		`backout_rollbacks_active`:                                             0,
		`backout_rollback_status_entered_total{status="recovered"}`:            1,
		`backout_rollback_duration_seconds_count`:                              1,
		`backout_change_state_entered_total{state="backing_out"}`:              1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %v, want %v", name, v, ok, want)
		}
	}
	for _, file := range []string{"deploy/prometheus/backout-alerts.yml", "docs/metrics.md"} {
		names := metricNames(read(filepath.Join("..", "..", file)))
		if len(names) < 5 {
			t.Errorf("%s names %d metrics: is it there?", file, len(names))
		}
		for _, name := range names {
			if !strings.Contains(text, "# TYPE "+name+" ") {
				t.Errorf("%s names %s, which /metrics does not have", file, name)
			}
		}
	}
	cmd := exec.Command(part(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, said.String())
	}
}

// metricNames lists the names of metrics in a rule file.
func metricNames(rules string) []string {
	seen := map[string]bool{}
	var out []string
	for word := range strings.FieldsFuncSeq(rules, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z')
	}) {
		if strings.HasPrefix(word, "backout_") && !seen[word] {
			seen[word] = true
			out = append(out, word)
		}
	}
	return out
}
