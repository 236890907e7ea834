package local_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/local"
)

// TestRestartOfTheServiceLeavesItsStep runs an attempt in a service with the lines
// of deploy/backout.service, and restarts that.
func TestRestartOfTheServiceLeavesItsStep(t *testing.T) {
	m := hosttest.Systemd(t)
	shipped, err := os.ReadFile("../../../deploy/backout.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := regexp.MustCompile(`(?m)^LoadCredential=.*\n`).ReplaceAllString(string(shipped), "")
	unit = regexp.MustCompile(`(?m)^ExecStart=.*$`).ReplaceAllString(unit, "ExecStart=/usr/local/bin/backout\nEnvironment="+childEnv+"=/var/lib/backout/attempts")
	if err := os.WriteFile(filepath.Join(m.Root, "etc/systemd/system/backout.service"), []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.Root, "usr/local/bin/backout"), self, 0o755); err != nil {
		t.Fatal(err)
	}
	m.Do(t, "mkdir", "-p", "/etc/backout")
	m.Do(t, "systemctl", "daemon-reload")
	m.Do(t, "systemctl", "start", "backout")

	// With DynamicUser= the state directory is a link into this one.
	dir := filepath.Join(m.Root, "var/lib/private/backout/attempts")
	attempt := func() backout.AttemptReport { // as files: its processes are of another machine
		h, err := local.New(local.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		return state(t, h, "a1")
	}
	out := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "a1", "out"))
		return string(text)
	}
	eventually(t, "the step's first output", func() bool { return out() == "begun\n" })
	before := m.Do(t, "systemctl", "show", "--property=MainPID", "backout")
	m.Do(t, "systemctl", "restart", "backout")
	if after := m.Do(t, "systemctl", "show", "--property=MainPID", "backout"); after == before {
		t.Fatalf("it was not restarted: %s", after)
	}
	if err := os.WriteFile(dir+".gate", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the step's end", func() bool { return attempt().State == backout.AttemptFinished })
	if r := attempt(); r.ExitCode != 7 || time.Since(r.FinishedAt) > time.Minute || out() != "begun\nended\n" {
		t.Errorf("%+v %q", r, out())
	}
	if log := m.Do(t, "journalctl", "--unit=backout", "--output=cat"); strings.Count(log, "started <nil>") != 2 || strings.Count(log, "{"+string(backout.AttemptRunning)+" ") != 2 {
		t.Errorf("both services must have found the step running; they say:\n%s", log)
	}
}
