package hosttest

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/backout-io/backout"
)

// Apart is this machine as seen from a mount namespace: what is mounted there, and
// written to what is mounted there, is gone with the test.
type Apart struct {
	backout.Host
	// Said is the line by which its script said that it is ready.
	Said string

	keeper string
}

// NewApart makes a namespace by a script of root's, which mounts what is to be
// there and then says one line. The commands of h run in it.
func NewApart(t testing.TB, h backout.Host, script string, args ...string) *Apart {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "a mount namespace needs root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		Missing(t, "no unshare here: apt-get install util-linux")
	}
	text := "set -e\nmount --make-rprivate /\n" + script + "\nexec sleep 3600\n"
	keeper := exec.Command("unshare", append([]string{"-m", "sh", "-c", text, "sh"}, args...)...)
	keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var why bytes.Buffer
	keeper.Stderr = &why
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = keeper.Process.Kill()
		_ = keeper.Wait()
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		_ = keeper.Wait()
		Missing(t, "what the test needs cannot be mounted here: "+why.String())
	}
	return &Apart{Host: h, Said: strings.TrimSpace(line), keeper: strconv.Itoa(keeper.Process.Pid)}
}

func (a *Apart) inside(e backout.Exec) backout.Exec {
	e.Argv = append([]string{"nsenter", "--target", a.keeper, "--mount"}, e.Argv...)
	return e
}

// Start implements [backout.Host].
func (a *Apart) Start(ctx context.Context, id string, e backout.Exec) error {
	return a.Host.Start(ctx, id, a.inside(e))
}

// Run implements [backout.Host].
func (a *Apart) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	return a.Host.Run(ctx, a.inside(e))
}

// Sh runs a script there and returns what it said. One that fails fails the test.
func (a *Apart) Sh(t testing.TB, text string, args ...string) string {
	t.Helper()
	r, err := a.Run(t.Context(), backout.Exec{Argv: append([]string{"sh", "-ec", text, "sh"}, args...)})
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("%s: %d %v %s%s", text, r.ExitCode, err, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}
