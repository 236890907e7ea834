package hosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// rebooted is the exit code by which systemd-nspawn asks to be started again.
const rebooted = 133

// hierarchies are where control groups may be mounted; on hybrid machines systemd
// uses the last two.
var hierarchies = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}

// inGroup becomes the command of its arguments in a control group of its own: two
// machines in one would take each other's units for theirs.
func inGroup(group string, argv []string) []string {
	text := `group=$1; shift
for h in ` + strings.Join(hierarchies, " ") + `; do
[ ! -f "$h/cgroup.procs" ] || { mkdir -p "$h/$group" && echo $$ >"$h/$group/cgroup.procs"; } || exit 1
done
exec "$@"`
	return append([]string{"sh", "-c", text, "sh", group}, argv...)
}

// mind runs the machine until it is switched off, through its reboots.
func (m *Machine) mind(started chan<- error) {
	// The thread must live as long: its end is what ends the machine of a test
	// that is killed.
	runtime.LockOSThread()
	for {
		argv := []string{
			"systemd-nspawn", "--quiet", "--register=no", "--link-journal=no", "--directory=" + m.Root, "--machine=" + m.group, "--boot", "--console=passive",
			"--kill-signal=SIGRTMIN+3", "systemd.show_status=error",
		}
		if m.disk != nil {
			argv = append(argv[:1:1], append([]string{"--bind=" + m.disk.Device}, argv[1:]...)...)
		}
		if _, err := os.Stat("/run/systemd/system"); err != nil {
			argv = inGroup(m.group, slices.Insert(argv, 1, "--keep-unit"))
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = &m.log, &m.log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
		err := m.insert()
		if err == nil {
			err = cmd.Start()
		}
		m.mu.Lock()
		m.nspawn = cmd
		m.mu.Unlock()
		if started != nil {
			started <- err
			started = nil
		}
		if err != nil {
			return
		}
		var exit *exec.ExitError
		err = cmd.Wait()
		if err := m.eject(); err != nil {
			fmt.Fprintln(&m.log, err)
			return
		}
		if !errors.As(err, &exit) || exit.ExitCode() != rebooted {
			return
		}
	}
}

// killLeader kills the machine's PID 1, and with it everything in the machine.
func (m *Machine) killLeader() error {
	for _, pid := range descendants(m.nspawn.Process.Pid) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			// Its id in each namespace, the innermost last.
			if ids := strings.Fields(line); len(ids) > 2 && ids[0] == "NSpid:" && ids[len(ids)-1] == "1" {
				return syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	return errors.New("the machine's PID 1 is not to be found")
}

// poweroff ends the machine in good order, or by force when it takes too long.
func (m *Machine) poweroff() {
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	m.mu.Lock()
	off, running := m.off, m.nspawn != nil && m.nspawn.Process != nil
	if running {
		_ = m.nspawn.Process.Signal(syscall.SIGTERM)
	}
	m.mu.Unlock()
	if !running {
		return
	}
	select {
	case <-off:
	case <-late.C:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.t.Errorf("the machine does not end: %v", m.killLeader())
		_ = m.nspawn.Process.Kill()
		<-off
	}
}

// sweep removes the machine's control groups, the inner ones first.
func (m *Machine) sweep() {
	for _, h := range hierarchies {
		var groups []string
		_ = filepath.WalkDir(filepath.Join(h, m.group), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		slices.Reverse(groups)
		for _, g := range groups {
			_ = os.Remove(g)
		}
	}
	_ = os.Remove(filepath.Join("/run/systemd/nspawn/propagate", m.group))
}
