package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRestart measures the real process on a store with a long history:
// from its start until it says that it is ready, and how much memory that took.
func BenchmarkRestart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "backout")
	build := exec.Command("go", "build", "-o", program, "github.com/backout-io/backout/cmd/backout")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	nothing := restartFiles(b)
	b.Run("nothing", func(b *testing.B) { restarts(b, program, nothing, syscall.SIGTERM) })
	dir := restartFiles(b)
	h := writeHistory(b, dir, scaled(historyChanges), scaled(historyActive))
	b.Logf("%d events in %d records, %d rollbacks, %d of them active", h.events.Load(), h.records.Load(), h.rollback.Load(), h.active)
	if !short() {
		// No server takes a million records within the store's window of
		// duplicates, whose identities it reads and keeps.
		<-time.After(2 * time.Minute)
	}
	// The first start has no snapshot, and leaves one.
	first := restart(b, program, dir, syscall.SIGTERM)
	b.Run("log only", func(b *testing.B) { report(b, first) })
	b.Run("snapshot", func(b *testing.B) { restarts(b, program, dir, syscall.SIGTERM) })
	b.Run("snapshot, killed", func(b *testing.B) { restarts(b, program, dir, syscall.SIGKILL) })
}

func restartFiles(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	const text = `listen: 127.0.0.1:0
data_dir: data
server_name: bench
intake:
  tokens: [{name: alertmanager, token: {file: intake.token}}]
auth:
  tokens: [{name: ann, token: {file: ann.token}}]
`
	for name, text := range map[string]string{"backout.yaml": text, "intake.token": benchToken, "ann.token": benchToken + "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// restarted is what one start took.
type restarted struct {
	ready      time.Duration
	cpu        float64 // processor time until then, in seconds
	peak, rest float64 // resident memory in MiB
}

// restarts starts it again and again, and reports the worst.
func restarts(b *testing.B, program, dir string, end syscall.Signal) {
	b.Helper()
	restart(b, program, dir, end) // so that each start follows this end
	var worst restarted
	for b.Loop() {
		r := restart(b, program, dir, end)
		worst.ready, worst.cpu = max(worst.ready, r.ready), max(worst.cpu, r.cpu)
		worst.peak, worst.rest = max(worst.peak, r.peak), max(worst.rest, r.rest)
	}
	report(b, worst)
}

func report(b *testing.B, r restarted) {
	b.Helper()
	b.ReportMetric(r.ready.Seconds(), "ready-s")
	b.ReportMetric(r.cpu, "cpu-s")
	b.ReportMetric(r.peak, "peak-MiB")
	b.ReportMetric(r.rest, "later-MiB")
	b.ReportMetric(0, "ns/op")
}

var servingAt = regexp.MustCompile(`msg=serving.* address=(\S+)`)

// restart starts the program, waits until it is ready, looks at its memory then
// and after some seconds, and ends it.
func restart(b *testing.B, program, dir string, end syscall.Signal) restarted {
	b.Helper()
	cmd := exec.Command(program, "serve", "--config", filepath.Join(dir, "backout.yaml"))
	logs, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var r restarted
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if at := servingAt.FindStringSubmatch(lines.Text()); at != nil {
			waitReady(b, at[1])
			r.ready, r.cpu = time.Since(began), processorOf(b, cmd.Process.Pid)
			break
		}
	}
	<-time.After(5 * time.Second)
	r.peak, r.rest = residents(b, cmd.Process.Pid)
	if err := cmd.Process.Signal(end); err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, logs)
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !(errors.As(err, &exit) && end == syscall.SIGKILL) {
		b.Fatal(err)
	}
	return r
}

func waitReady(b *testing.B, addr string) {
	b.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; {
		res, err := http.Get("http://" + addr + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	b.Fatal("never ready")
}

// processorOf is what the process has had so far, in seconds.
func processorOf(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), ") ") // the name may have blanks
	fields := strings.Fields(after)
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // Linux counts in hundredths
}

// residents reads the most and the present resident memory of a process, in MiB.
func residents(b *testing.B, pid int) (peak, now float64) {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmHWM:":
			peak = kib / 1024
		case "VmRSS:":
			now = kib / 1024
		}
	}
	return peak, now
}
