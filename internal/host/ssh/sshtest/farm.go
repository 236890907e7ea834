// Package sshtest simulates many targets behind SSH: a real SSH server on an address
// of its own for each, in a process of its own, that answers the attempt protocol
// without running anything. So what a step costs here is measured apart from what it
// costs there, over a network as slow as wanted.
package sshtest

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/backout-io/backout"
)

// farmEnv makes a test's program the farm instead.
const farmEnv = "BACKOUT_TEST_FARM"

// Farm is a number of simulated targets.
type Farm struct {
	Targets []backout.Target
	// Key, also in the file KeyFile, lets User in; KnownHosts names the file with the
	// host keys.
	User       string
	Key        backout.Secret
	KeyFile    string
	KnownHosts string

	cmd  *exec.Cmd
	in   *os.File
	said *bufio.Scanner
}

// address is the i-th target's, in 127.0.0.0/8.
func address(i int) string { return fmt.Sprintf("127.7.%d.%d", i/200, i%200+1) }

// Start starts n targets whose answers take rtt longer than the loopback's, and ends
// them with the test. The test's TestMain must call [Main] first.
func Start(t testing.TB, n int, rtt time.Duration) *Farm {
	t.Helper()
	dir := t.TempDir()
	f := &Farm{User: "backout", KnownHosts: filepath.Join(dir, "known_hosts"), KeyFile: filepath.Join(dir, "user")}
	userKey, userPublic := newKey(t)
	hostKey, hostPublic := newKey(t)
	f.Key = backout.SecretValue(string(userKey))
	port := freePort(t)
	var known strings.Builder
	for i := range n {
		fmt.Fprintf(&known, "[%s]:%d %s", address(i), port, ssh.MarshalAuthorizedKey(hostPublic))
		f.Targets = append(f.Targets, backout.Target{
			Name: fmt.Sprintf("sim-%04d", i), Address: net.JoinHostPort(address(i), strconv.Itoa(port)), Transport: "ssh",
		})
	}
	write(t, f.KnownHosts, []byte(known.String()))
	// In life it was not written just now, and need not be read at every dial.
	if old := time.Now().Add(-time.Hour); os.Chtimes(f.KnownHosts, old, old) != nil {
		t.Fatal("the file of host keys cannot be given another time")
	}
	write(t, f.KeyFile, userKey)
	write(t, filepath.Join(dir, "host"), hostKey)
	write(t, filepath.Join(dir, "user.pub"), ssh.MarshalAuthorizedKey(userPublic))
	f.run(t, fmt.Sprintf("%d %d %d %s", n, port, rtt.Microseconds(), dir))
	return f
}

func (f *Farm) run(t testing.TB, arg string) {
	t.Helper()
	read, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f.cmd, f.in = exec.Command(os.Args[0]), in
	f.cmd.Env = append(os.Environ(), farmEnv+"="+arg)
	f.cmd.Stdin, f.cmd.Stderr = read, os.Stderr
	out, err := f.cmd.StdoutPipe()
	if err == nil {
		err = f.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	f.said = bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = f.in.Close()
		_ = f.cmd.Wait()
	})
	f.await(t, "ready")
}

func (f *Farm) await(t testing.TB, word string) []string {
	t.Helper()
	for f.said.Scan() {
		if fields := strings.Fields(f.said.Text()); len(fields) > 0 && fields[0] == word {
			return fields[1:]
		}
	}
	t.Fatalf("the simulated targets ended before they said %q", word)
	return nil
}

// Started waits until an attempt has begun on every target since the last Finish,
// and returns when the first and the last did.
func (f *Farm) Started(t testing.TB) (first, last time.Time) {
	t.Helper()
	fields := f.await(t, "started")
	at := func(i int) time.Time {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Unix(0, n)
	}
	return at(0), at(1)
}

// Finish ends every attempt well.
func (f *Farm) Finish(t testing.TB) {
	t.Helper()
	if _, err := fmt.Fprintln(f.in, "finish"); err != nil {
		t.Fatal(err)
	}
	f.await(t, "finished")
}

// Asked counts how often a boot id was asked for so far: the last thing that arming
// does.
func (f *Farm) Asked(t testing.TB) int {
	t.Helper()
	if _, err := fmt.Fprintln(f.in, "asked"); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(f.await(t, "asked")[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Cut ends every connection.
func (f *Farm) Cut(t testing.TB) {
	t.Helper()
	if _, err := fmt.Fprintln(f.in, "cut"); err != nil {
		t.Fatal(err)
	}
	f.await(t, "cut")
}

func newKey(t testing.TB) ([]byte, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), key
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", address(0)+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
