package e2e

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// fill takes all the room of a file system.
func fill(t testing.TB, dir string) (name string) {
	t.Helper()
	name = filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		piece := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
	return name
}

// TestDiskFull: with no room left the intake says 503 and nothing it has
// acknowledged is lost; the running rollback goes on to its end once there is
// room, and the server was started again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needRoot(t, "mount a file system")
	step := newStep(t)
	s := newSite(t, step.plan(), autoRule, web1)
	s.more = "data_dir: disk/data\n"
	mount(t, s.path("disk"), "-o", "size=64m")
	srv := s.serve()
	srv.open("web-1")
	red := shopDown("web-1")
	srv.mustPost(red)
	eventually(t, 20*time.Second, "the step runs", func() error { return notYet(step.began() > 0) })
	id := s.change + "-r1"

	ballast := fill(t, s.path("disk"))
	taken := 0
	eventually(t, 30*time.Second, "the intake says 503", func() error {
		code, body := srv.post(shopDown("web-9"))
		switch code {
		case http.StatusServiceUnavailable:
			return nil
		case http.StatusOK:
			taken++
			return errNotYet
		}
		t.Fatalf("the intake answered %d: %s", code, body)
		return nil
	})
	t.Logf("%d more alerts fitted in before the 503", taken)
	if r, err := srv.client.Rollback(t.Context(), id); err != nil || r.Status != backout.RollbackRunning {
		t.Errorf("on a full disk the rollback is %s, %v, want running", r.Status, err)
	}
	if err := get(srv.url+"/livez", http.StatusOK); err != nil {
		t.Errorf("on a full disk: %v", err)
	}
	step.letGo()
	eventually(t, 20*time.Second, "the step ends on the target", func() error { return notYet(step.finished() > 0) })
	// A small record may still find a place; what is said to be taken must stay.
	second := s.change + "b"
	code, _, _ := srv.cli("change", "create", "--id", second, "--plan", "web-shop", "--target", "web-1", "--opens", "now", "--closes", "+1h")
	eventually(t, 20*time.Second, "the server says that it is not ready", func() error {
		return get(srv.url+"/readyz", http.StatusServiceUnavailable)
	})

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	again := s.roomAgain(srv, red)
	t.Logf("after there is room again, a restart was needed: %v", again != srv)
	srv = again
	srv.awaitStatus(id, backout.RollbackVerifying, 30*time.Second)
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 30*time.Second)
	if step.began() != 1 || step.finished() != 1 {
		t.Errorf("the step began %d times and finished %d times, want once each", step.began(), step.finished())
	}
	if show := srv.mustCLI("change", "show", s.change); !strings.Contains(show, "backed out") {
		t.Errorf("the change is not backed out:\n%s", show)
	}
	if code == 0 {
		srv.mustCLI("change", "show", second)
	}
}

// roomAgain waits until alerts are taken again. The embedded store stops taking
// writes for good after a failed one, so the server may have to be started anew.
func (s *site) roomAgain(srv *server, red alert) *server {
	s.t.Helper()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		select {
		case <-srv.over:
			return s.serve()
		default:
		}
		if code, _ := srv.post(red); code == http.StatusOK {
			return srv
		}
	}
	srv.terminate(30 * time.Second)
	return s.serve()
}
