package hosttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// Access is how a host is reached.
type Access struct {
	// User logs in with Key, a file; KeySecret is its content.
	User, Key string
	KeySecret backout.Secret
	// KnownHosts is a file with the host key of every target.
	KnownHosts string
	// Attempts is a directory that User may write to, where attempts stand.
	Attempts string
	// Port is the same on all addresses.
	Port int
}

// Server is a running sshd.
type Server struct {
	Access
	// Targets are its addresses, one each, named ssh1, ssh2 and so on.
	Targets []backout.Target

	cmd  *exec.Cmd
	argv []string
	log  string
}

// Missing says why a test that needs a real part cannot run. With
// BACKOUT_E2E=require in the environment that is a failure, otherwise a skip.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("BACKOUT_E2E") == "require" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// SSHD starts an sshd on n loopback addresses and ends it with the test. Lines
// of more are added to its configuration, before ours.
func SSHD(t testing.TB, n int, more ...string) *Server {
	t.Helper()
	sshd := "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		Missing(t, "no sshd here: apt-get install openssh-server")
	}
	// Not t.TempDir: every folder above the keys must be readable to the user.
	dir, err := os.MkdirTemp("", "backout-sshd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Server{log: filepath.Join(dir, "log"), Access: Access{
		User: login(t), Key: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), Attempts: filepath.Join(dir, "attempts"),
		Port: freePort(t, "127.0.0.1"),
	}}
	s.keys(t, dir, n)
	s.start(t, sshd, dir, n, more)
	return s
}

// login makes a user without a start-up file that could delay its logins. Who
// is not root logs in as himself.
var login = func() func(testing.TB) string {
	var once sync.Once
	return func(t testing.TB) string {
		t.Helper()
		if os.Geteuid() != 0 {
			u, err := user.Current()
			if err != nil {
				t.Fatal(err)
			}
			return u.Username
		}
		const name = "backout-test"
		once.Do(func() {
			if _, err := user.Lookup(name); err != nil {
				// Another package's test may be making it too.
				_ = exec.Command("useradd", "-m", "-s", "/bin/sh", name).Run()
			}
			// A locked password keeps keys out too, as sshd runs without PAM.
			_ = exec.Command("usermod", "-p", "*", name).Run()
			_ = os.MkdirAll("/run/sshd", 0o755)
		})
		return name
	}
}()

func freePort(t testing.TB, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func address(i int) string { return fmt.Sprintf("127.0.0.%d", 11+i) }

func (s *Server) keys(t testing.TB, dir string, n int) {
	t.Helper()
	for _, name := range []string{"key", "host"} {
		run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(dir, name))
	}
	// A second kind of host key, which no known_hosts line has.
	run(t, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "host", "-f", filepath.Join(dir, "host_ecdsa"))
	run(t, "cp", filepath.Join(dir, "key.pub"), filepath.Join(dir, "authorized_keys"))
	run(t, "chmod", "644", filepath.Join(dir, "authorized_keys"))
	private, err := os.ReadFile(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.KeySecret = backout.SecretValue(string(private))
	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	var known bytes.Buffer
	for i := range n {
		fmt.Fprintf(&known, "[%s]:%d %s", address(i), s.Port, public)
		s.Targets = append(s.Targets, backout.Target{Name: fmt.Sprintf("ssh%d", i+1), Address: net.JoinHostPort(address(i), strconv.Itoa(s.Port)), Transport: "ssh"})
	}
	if err := os.WriteFile(s.KnownHosts, known.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Attempts, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		run(t, "chown", s.User, s.Attempts)
	}
}

func (s *Server) start(t testing.TB, sshd, dir string, n int, more []string) {
	t.Helper()
	lines := append([]string{}, more...)
	for i := range n {
		lines = append(lines, "ListenAddress "+address(i))
	}
	lines = append(lines, "Port "+strconv.Itoa(s.Port), "HostKey "+filepath.Join(dir, "host"), "HostKey "+filepath.Join(dir, "host_ecdsa"),
		"PidFile none", "UsePAM no", "StrictModes no", "AuthorizedKeysFile "+filepath.Join(dir, "authorized_keys"), "PasswordAuthentication no",
		"MaxStartups 500:30:600", "PrintMotd no", "LogLevel VERBOSE", "")
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	s.argv = []string{sshd, "-D", "-f", conf, "-E", s.log}
	s.Restart(t)
	t.Cleanup(func() {
		s.Kill(t)
		if log, err := os.ReadFile(s.log); err == nil && t.Failed() {
			t.Logf("sshd says:\n%s", log)
		}
	})
}

// Restart starts the sshd again after [Server.Kill], on the same addresses and
// with the same keys, and returns when it listens.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.argv[0], s.argv[1:]...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, target := range s.Targets {
		for {
			c, err := net.Dial("tcp", target.Address)
			if err == nil {
				_ = c.Close()
				break
			}
			if time.Now().After(deadline) {
				log, _ := os.ReadFile(s.log)
				t.Fatalf("sshd does not listen: %v\n%s", err, log)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// Kill ends every process of the sshd at once, the listener and those of all
// connections. What runs detached goes on.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	// Stopped it starts no further process while the others are looked for.
	_ = s.cmd.Process.Signal(syscall.SIGSTOP)
	s.Cut(t)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Cut kills the sshd processes of all connections, as a lost network would end
// them. New connections are accepted, and what runs detached goes on.
func (s *Server) Cut(t testing.TB) {
	t.Helper()
	for _, pid := range descendants(s.cmd.Process.Pid) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(comm), "sshd") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// Sessions counts the commands it was asked to run so far.
func (s *Server) Sessions(t testing.TB) int {
	t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(log, []byte("Starting session: "))
}

func descendants(of int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		end := bytes.LastIndex(data, []byte(") "))
		if err != nil || end < 0 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if fields := strings.Fields(string(data[end+2:])); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for queue := children[of]; len(queue) > 0; queue = queue[1:] {
		all = append(all, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return all
}

func run(t testing.TB, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}
