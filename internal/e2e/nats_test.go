package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// natsServer runs a real NATS server of its own, with more lines in its configuration,
// and returns its address.
func natsServer(t testing.TB, more ...string) string {
	t.Helper()
	program := programs.nats.build(t, "nats-server", "github.com/nats-io/nats-server/v2")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "nats.conf"), fmt.Sprintf("max_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n%s", filepath.Join(dir, "data"), strings.Join(more, "")), 0o644)
	start(t, exec.Command(program, "-c", filepath.Join(dir, "nats.conf"), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", dir))
	var url string
	eventually(t, 30*time.Second, "NATS says where it listens", func() error {
		files, _ := filepath.Glob(filepath.Join(dir, "*.ports"))
		if len(files) == 0 {
			return errNotYet
		}
		_, after, _ := strings.Cut(read(files[0]), "nats://")
		address, _, found := strings.Cut(after, `"`)
		url = "nats://" + address
		return notYet(found)
	})
	return url
}

// TestOwnNATS: on the user's own NATS the same story has the same end, and after
// a kill the next server goes on.
func TestOwnNATS(t *testing.T) {
	t.Parallel()
	shop := newShop(t)
	s := newSite(t, shop.plan(), autoRule, web1)
	s.quiet()
	s.more = "nats: {url: \"" + natsServer(t) + "\"}\n"
	srv := s.serve()
	srv.plan(s.change, "web-1")
	srv.mustCLI("change", "run", s.change, "--", shop.bin("patch"))
	red := shopDown("web-1")
	srv.mustPost(red)
	id := srv.awaitRollback(20 * time.Second)
	eventually(t, 20*time.Second, "L1 has run", func() error { return notYet(shop.effects("uninstall") > 0) })
	srv.kill()

	srv = s.serve()
	eventually(t, 30*time.Second, "L2 has run", func() error { return notYet(shop.effects("restore") > 0) })
	srv.mustPost(red.resolved())
	srv.awaitStatus(id, backout.RollbackRecovered, 30*time.Second)
	if u, r := shop.effects("uninstall"), shop.effects("restore"); u != 1 || r != 1 {
		t.Errorf("uninstall ran %d times, restore %d times, want once each", u, r)
	}
	if _, err := os.Stat(s.path("data/jetstream")); err == nil {
		t.Error("the embedded store was used beside the own NATS")
	}
}
