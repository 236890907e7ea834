package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/local"
)

// childEnv makes the test binary a process that starts an attempt and waits to
// be killed.
const childEnv = "BACKOUT_TEST_LOCAL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func child(dir string) {
	h, err := local.New(local.Options{Dir: dir})
	if err == nil {
		err = h.Start(context.Background(), "a1", shell(`echo begun; until [ -e "$GATE" ]; do sleep 0.02; done; echo ended; exit 7`, "GATE", dir+".gate"))
	}
	fmt.Println("started", err)
	if err == nil {
		fmt.Println(h.Probe(context.Background(), "a1"))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

func shell(script string, env ...string) backout.Exec {
	e := backout.Exec{Argv: []string{"sh", "-c", script}, Env: map[string]string{}}
	for i := 0; i+1 < len(env); i += 2 {
		e.Env[env[i]] = env[i+1]
	}
	return e
}

func newHost(t testing.TB) (*local.Host, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "attempts")
	h, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, dir
}

// eventually polls what another process does; nothing here can be waited for in
// any other way.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func attach(t testing.TB, h backout.Host, id string) (backout.AttemptReport, string) {
	t.Helper()
	var out bytes.Buffer
	r, err := h.Attach(t.Context(), id, 0, &out)
	if err != nil {
		t.Fatal(err)
	}
	return r, out.String()
}

func state(t testing.TB, h backout.Host, id string) backout.AttemptReport {
	t.Helper()
	r, err := h.Probe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHostHere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "attempts")
	hosttest.Suite{
		Host: func(t testing.TB) backout.Host {
			h, err := local.New(local.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			})
			return h
		},
		Attempts: dir, Work: t.TempDir(),
	}.Run(t)
}

func TestEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("BACKOUT_TEST_SECRET", "leaked")
	h, _ := newHost(t)
	e := backout.Exec{Argv: []string{"env"}, Env: map[string]string{"BACKOUT_LEVEL": "L1\n$(id)'"}, Dir: "/tmp"}
	if err := h.Start(t.Context(), "a1", e); err != nil {
		t.Fatal(err)
	}
	_, out := attach(t, h, "a1")
	if strings.Contains(out, "leaked") || !strings.Contains(out, "BACKOUT_LEVEL=L1\n$(id)'\n") || !strings.Contains(out, "LC_ALL=C\n") {
		t.Errorf("environment:\n%s", out)
	}
	want, err := exec.Command("ls", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), "a2", backout.Exec{Argv: []string{"ls", "/proc/self/fd"}}); err != nil {
		t.Fatal(err)
	}
	if _, out := attach(t, h, "a2"); out != string(want) {
		t.Errorf("open descriptors of a command: %q, want %q", out, want)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// TestForgetRemovesWhatCrashesLeft: directories of idle supervisors that are gone,
// but not of one that is about to be ready.
func TestForgetRemovesWhatCrashesLeft(t *testing.T) {
	h, dir := newHost(t)
	if err := h.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	armed, err := filepath.Glob(filepath.Join(dir, ".idle-*"))
	if err != nil || len(armed) != 1 {
		t.Fatal(armed, err)
	}
	for _, name := range []string{".idle-old", ".idle-young", ".gone.1.a"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	for _, path := range []string{filepath.Join(dir, ".idle-old"), armed[0]} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Forget(t.Context(), "never"); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if want := []string{armed[0], filepath.Join(dir, ".idle-young")}; err != nil || len(left) != 2 || !slices.Contains(left, want[0]) || !slices.Contains(left, want[1]) {
		t.Errorf("left: %v, want %v", left, want)
	}
}

// TestStopRacesAStart checks that whichever is first, nothing runs after a stop.
func TestStopRacesAStart(t *testing.T) {
	h, _ := newHost(t)
	for i := range 30 {
		id := fmt.Sprint("a", i)
		if err := h.Arm(t.Context()); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() {
			if err := h.Start(t.Context(), id, backout.Exec{Argv: []string{"sleep", "600"}}); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := h.Stop(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if r, err := h.Attach(ctx, id, 0, io.Discard); err != nil || r.State != backout.AttemptFinished || r.ExitCode != 143 {
			t.Fatalf("%s: %+v, %v", id, r, err)
		}
	}
}

func TestStopKillsWhatIgnoresIt(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds of grace")
	}
	t.Parallel()
	h, _ := newHost(t)
	if err := h.Start(t.Context(), "a1", shell(`trap '' TERM; echo deaf; while :; do sleep 0.1; done`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _ = h.Attach(ctx, "a1", 0, writer(func([]byte) { cancel() }))
	// The caller's patience does not matter to the target.
	impatient, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if err := h.Stop(impatient, "a1"); err == nil {
		t.Error("stop ended although the group lives")
	}
	if r, _ := attach(t, h, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 128+int(syscall.SIGKILL) {
		t.Errorf("%+v", r)
	}
}

func TestWorkOutlivesClose(t *testing.T) {
	h, dir := newHost(t)
	gate := filepath.Join(dir, "..", "gate")
	if err := h.Start(t.Context(), "a1", shell(`until [ -e "$GATE" ]; do sleep 0.01; done; exit 3`, "GATE", gate)); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), "a2", shell("true")); err == nil {
		t.Error("a closed host started something")
	}
	next, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if r := state(t, next, "a1"); r.State != backout.AttemptRunning {
		t.Fatalf("%+v", r)
	}
	if err := next.Forget(t.Context(), "a1"); err == nil {
		t.Error("a running attempt was forgotten")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, _ := attach(t, next, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 3 {
		t.Errorf("%+v", r)
	}
	idle, err := filepath.Glob(filepath.Join(dir, ".idle-*"))
	if err != nil || len(idle) != 0 {
		t.Errorf("left behind: %v %v", idle, err)
	}
}

func TestKilledBackoutLeavesItsAttemptToTheNext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "attempts")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	if n, err := stdout.Read(line); err != nil || !strings.HasPrefix(string(line[:n]), "started <nil>\n") {
		t.Fatalf("child: %q %v", line[:n], err)
	}
	// The whole group, as a terminal or a service manager may end it.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	h, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if r := state(t, h, "a1"); r.State != backout.AttemptRunning {
		t.Fatalf("after kill -9 of its backout: %+v", r)
	}
	if err := os.WriteFile(dir+".gate", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, out := attach(t, h, "a1")
	if r.State != backout.AttemptFinished || r.ExitCode != 7 || out != "begun\nended\n" {
		t.Errorf("%+v %q", r, out)
	}
	if r := state(t, h, "a1"); r.State != backout.AttemptFinished {
		t.Errorf("%+v", r)
	}
	// The idle supervisor of the killed one has ended by itself.
	eventually(t, "the killed one's idle supervisor", func() bool {
		out, _ := exec.Command("pgrep", "-f", "^sh -s$").Output()
		for pid := range strings.FieldsSeq(string(out)) {
			if cwd, _ := os.Readlink("/proc/" + pid + "/cwd"); strings.HasPrefix(cwd, dir) {
				return false
			}
		}
		return true
	})
}

func TestUnknownAfterAReboot(t *testing.T) {
	h, dir := newHost(t)
	if err := os.MkdirAll(filepath.Join(dir, "a1"), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Fields(string(self)[strings.LastIndex(string(self), ")"):])[20]
	claim := fmt.Sprintf("11111111-2222-3333-4444-555555555555 %d %s\n", os.Getpid(), start)
	if err := os.WriteFile(filepath.Join(dir, "a1", "claim"), []byte(claim), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := state(t, h, "a1"); r.State != backout.AttemptUnknown || r.Detail != "rebooted" {
		t.Errorf("%+v", r)
	}
}

// cut leaves an attempt whose process was killed between its claim and its
// command, and returns the host of the process after it.
func cut(t *testing.T, id string) (next *local.Host, dir string) {
	t.Helper()
	h, dir := newHost(t)
	if err := h.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle, err := filepath.Glob(filepath.Join(dir, ".idle-*"))
	if err != nil || len(idle) != 1 {
		t.Fatal(idle, err)
	}
	// What Start does first; then its process is gone.
	if err := os.Rename(idle[0], filepath.Join(dir, id)); err != nil {
		t.Fatal(err)
	}
	if r := state(t, h, id); r.State != backout.AttemptRunning {
		t.Errorf("while it may begin: %+v", r)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return another(t, dir), dir
}

// another is the host as a further process sees it.
func another(t *testing.T, dir string) *local.Host {
	t.Helper()
	next, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = next.Close() })
	return next
}

// TestStartThatWasCutAfterItsClaimBeginsOnce: it is known that nothing was done, so
// nobody is asked; and of many that start it then, in two processes, one does.
func TestStartThatWasCutAfterItsClaimBeginsOnce(t *testing.T) {
	next, dir := cut(t, "a1")
	if r := state(t, next, "a1"); r.State != backout.AttemptNotStarted {
		t.Errorf("%+v", r)
	}
	effects := filepath.Join(t.TempDir(), "effects")
	other := another(t, dir)
	var all sync.WaitGroup
	for range 8 {
		for _, h := range []*local.Host{next, other} {
			all.Go(func() {
				if err := h.Start(t.Context(), "a1", shell("echo x >>"+effects)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if r, _ := attach(t, next, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 0 {
		t.Errorf("%+v", r)
	}
	if data, err := os.ReadFile(effects); string(data) != "x\n" {
		t.Errorf("effects %q, %v", data, err)
	}
}

// TestOnlyOneLooksAtWhatNeverBegan: a start that would set it aside waits for the
// one that is about to, and then for whoever is at what that has left.
func TestOnlyOneLooksAtWhatNeverBegan(t *testing.T) {
	next, dir := cut(t, "a1")
	second, other := cut(t, "a1")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	lock := func(path string) *os.File {
		f, err := os.Open(path)
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, then := lock(filepath.Join(dir, "a1")), lock(filepath.Join(other, "a1"))
	started := make(chan error, 1)
	go func() { started <- next.Start(t.Context(), "a1", shell("exit 6")) }()
	waits := func(f *os.File) {
		t.Helper()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
		eventually(t, "the start to wait", func() bool {
			select {
			case err := <-started:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			locks, err := os.ReadFile("/proc/locks")
			return err == nil && slices.ContainsFunc(strings.Split(string(locks), "\n"), func(line string) bool {
				return strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode)
			})
		})
	}
	waits(first)
	// What the one before it does, and that one's claim is cut too.
	if err := errors.Join(os.Rename(first.Name(), filepath.Join(dir, ".gone.1.a1")), os.Rename(then.Name(), first.Name()), first.Close()); err != nil {
		t.Fatal(err)
	}
	waits(then)
	if err := then.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if r, _ := attach(t, next, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 6 {
		t.Errorf("%+v", r)
	}
}

// TestStartOfWhatNeverBeganMayItselfBeCut: at any moment before its own claim, and
// the next one begins the attempt.
func TestStartOfWhatNeverBeganMayItselfBeCut(t *testing.T) {
	next, dir := cut(t, "a1")
	if err := next.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	// In its way: setting aside what never began fails.
	obstacle := filepath.Join(dir, fmt.Sprintf(".gone.%d.a1", os.Getpid()))
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := next.Start(t.Context(), "a1", shell("exit 0")); err == nil {
		t.Fatal("it was set aside: this test tests nothing")
	}
	if r := state(t, next, "a1"); r.State != backout.AttemptNotStarted {
		t.Errorf("after a start that was cut: %+v", r)
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := another(t, dir).Start(t.Context(), "a1", shell("exit 6")); err != nil {
		t.Fatal(err)
	}
	if r, _ := attach(t, next, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 6 {
		t.Errorf("%+v", r)
	}
}

// TestHostThatIsNotUsedNeedsNoDirectory: the server of a machine without local
// targets has none that it could write to.
func TestHostThatIsNotUsedNeedsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := local.New(local.Options{Dir: filepath.Join(file, "attempts")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Start(t.Context(), "a1", shell("true")); err == nil || !strings.Contains(err.Error(), "attempts directory") || !strings.Contains(err.Error(), file) {
		t.Errorf("the first use: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "attempts")
	unused, err := local.New(local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	if err := unused.Forget(t.Context(), "a1"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made before its first use")
	}
}

func TestStopOfWhatWasCutAfterItsClaim(t *testing.T) {
	next, _ := cut(t, "a1")
	if err := next.Stop(t.Context(), "a1"); err != nil {
		t.Fatal(err)
	}
	if err := next.Start(t.Context(), "a1", shell("exit 0")); err != nil {
		t.Error(err)
	}
	if r := state(t, next, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 143 {
		t.Errorf("%+v", r)
	}
}

func TestStartSurvivesTheEndOfItsIdleSupervisor(t *testing.T) {
	h, dir := newHost(t)
	if err := h.Arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle, err := filepath.Glob(filepath.Join(dir, ".idle-*"))
	if err != nil || len(idle) != 1 {
		t.Fatal(idle, err)
	}
	data, err := os.ReadFile(filepath.Join(idle[0], "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(data))[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the idle shell's end", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	if err := h.Start(t.Context(), "a1", shell("echo ran")); err != nil {
		t.Fatal(err)
	}
	if r, out := attach(t, h, "a1"); r.State != backout.AttemptFinished || out != "ran\n" {
		t.Errorf("%+v %q", r, out)
	}
}

func TestRunTellsWhatItSaw(t *testing.T) {
	h, _ := newHost(t)
	r, err := h.Run(t.Context(), backout.Exec{Argv: []string{"sh", "-c", "cat; echo bad >&2; exit 9"}, Stdin: []byte("in")})
	if err != nil || r.ExitCode != 9 || string(r.Stdout) != "in" || string(r.Stderr) != "bad\n" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = h.Run(t.Context(), shell("head -c 3000000 /dev/zero; exit 1"))
	if err != nil || r.ExitCode != 1 || len(r.Stdout) != 1<<20 {
		t.Errorf("%d bytes, code %d, %v", len(r.Stdout), r.ExitCode, err)
	}
	if _, err := h.Run(t.Context(), shell("kill -9 $$")); err == nil {
		t.Error("a killed command has no exit code")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := h.Run(ctx, shell("sleep 600")); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("run past its context: %v after %v", err, time.Since(began))
	}
	boot, err := h.BootID(t.Context())
	if err != nil || len(boot) != 36 {
		t.Errorf("boot id %q %v", boot, err)
	}
}
