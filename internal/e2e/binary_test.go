package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/browsertest"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// built is a program that is built at most once in a test run.
type built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

// bins is where the programs are built; it ends with the test run.
var bins string

// programs are the programs that tests run.
var programs struct{ backout, nats built }

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "backout-e2e-")
	if err != nil {
		panic(err)
	}
	bins = dir
	defer func() { _ = os.RemoveAll(dir) }()
	defer authtest.Clean()
	defer browsertest.Clean()
	return m.Run()
}

func (b *built) build(t testing.TB, name, pkg string) string {
	t.Helper()
	b.once.Do(func() {
		b.path = filepath.Join(bins, name)
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", b.path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		b.out, b.err = cmd.CombinedOutput()
	})
	if b.err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, b.err, b.out)
	}
	return b.path
}

// binary is the product, built as it is released.
func binary(t testing.TB) string {
	t.Helper()
	return programs.backout.build(t, "backout", "github.com/backout-io/backout/cmd/backout")
}

// part finds a real part, or ends the test.
func part(t testing.TB, command, debian string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, command))
	}
	if err != nil {
		hosttest.Missing(t, command+" is missing: apt-get install "+debian)
	}
	return path
}

// needRoot ends the test of a person who may not do what it needs.
func needRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "only root may "+why+": run the tests as root")
	}
}

// eventually polls what other processes do, until done returns nil.
func eventually(t testing.TB, within time.Duration, what string, done func() error) {
	t.Helper()
	if err := poll(within, what, done); err != nil {
		t.Fatal(err)
	}
}

// poll asks until done returns nil, or the time is up.
func poll(within time.Duration, what string, done func() error) error {
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		err := done()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s: %w", within, what, err)
		}
	}
}

var errNotYet = errors.New("not yet")

// notYet is nil once ok.
func notYet(ok bool) error {
	if ok {
		return nil
	}
	return errNotYet
}

// output is what a process prints, read while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is a program that runs until the test ends.
type process struct {
	cmd  *exec.Cmd
	said output
	over chan struct{}
	err  error
	// silent keeps what it said out of a failed test's output.
	silent atomic.Bool
}

// start runs a program and shows what it said when the test fails.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, over: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.said
	}
	cmd.Stderr = &p.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.over)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.over
		if t.Failed() && !p.silent.Load() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), p.said.telling())
		}
	})
	return p
}

// ended tells whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// kill ends the process with SIGKILL, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.over
}

// tail is the last lines of it.
func (o *output) tail(n int) string {
	lines := strings.SplitAfter(o.telling(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// telling leaves out what a test's own polling adds.
func (o *output) telling() string {
	var b strings.Builder
	for line := range strings.Lines(o.String()) {
		if !strings.Contains(line, `"msg":"request"`) || !strings.Contains(line, `"method":"GET"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// wait waits for the end and returns the exit code; -1 stands for a signal.
func (p *process) wait(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.over:
	case <-time.After(within):
		t.Fatalf("%s still runs after %s; it said:\n%s", filepath.Base(p.cmd.Path), within, p.said.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// read returns a file's content, "" while it is not there.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}

// lines counts the lines of a file that are exactly this.
func lines(path, line string) int {
	n := 0
	for got := range strings.Lines(read(path)) {
		if strings.TrimRight(got, "\n") == line {
			n++
		}
	}
	return n
}

func write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
