package ssh_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/host/ssh"
)

// TestTargetThatIsAwayMayComeBack: who waits for a reboot asks again after a refused
// connection, and after one that nobody answers.
func TestTargetThatIsAwayMayComeBack(t *testing.T) {
	t.Parallel()
	private, public := keyPair(t, "")
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("127.0.0.1 "+public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := ssh.New(ssh.Options{User: "nobody", Key: backout.SecretValue(private), KnownHosts: known, ConnectTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = shut.Close()
	for address, why := range map[string]string{mute.Addr().String(): "no connection within", shut.Addr().String(): "refused"} {
		h, err := n.Host(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Run(t.Context(), backout.Exec{Argv: []string{"true"}})
		if !errors.Is(err, attempt.ErrUnreachable) || backout.IsPermanent(err) || !strings.Contains(err.Error(), why) {
			t.Errorf("%v (permanent %v), want %q and that it may be tried again", err, backout.IsPermanent(err), why)
		}
	}
}
