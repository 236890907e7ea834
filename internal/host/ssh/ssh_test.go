package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(s *hosttest.Server) ssh.Options {
	return ssh.Options{User: s.User, Key: s.KeySecret, KnownHosts: s.KnownHosts, Port: s.Port, Dir: s.Attempts, ConnectTimeout: 20 * time.Second}
}

func network(t testing.TB, o ssh.Options) *ssh.Network {
	t.Helper()
	n, err := ssh.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func host(t testing.TB, n *ssh.Network, target backout.Target) *ssh.Host {
	t.Helper()
	h, err := n.Host(target.Address)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func shell(script string, env ...string) backout.Exec {
	e := backout.Exec{Argv: []string{"sh", "-c", script}, Env: map[string]string{}}
	for i := 0; i+1 < len(env); i += 2 {
		e.Env[env[i]] = env[i+1]
	}
	return e
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

func TestHostsWithoutSystemd(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	work := s.Attempts + "/work"
	hosttest.Look(t, host(t, network(t, options(s)), s.Targets[0]), `mkdir "$DIR"`, "DIR", work)
	hosttest.Suite{
		Host:     func(t testing.TB) backout.Host { return host(t, network(t, options(s)), s.Targets[0]) },
		Attempts: s.Attempts, Work: work,
	}.Run(t)
}

// TestBootIDCostsOneSessionOfAConnection, and is asked for again with the next.
func TestBootIDCostsOneSessionOfAConnection(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	h := host(t, network(t, options(s)), s.Targets[0])
	want, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(sessions int) {
		t.Helper()
		for range 5 {
			if id, err := h.BootID(t.Context()); err != nil || id != strings.TrimSpace(string(want)) {
				t.Fatalf("%q, %v", id, err)
			}
		}
		if got := s.Sessions(t); got != sessions {
			t.Errorf("%d sessions, want %d", got, sessions)
		}
	}
	ask(1)
	s.Cut(t)
	// What finds the connection gone makes a new one, on which nobody has asked.
	if _, err := h.Run(t.Context(), shell("true")); err != nil && !errors.Is(err, attempt.ErrUnreachable) {
		t.Fatal(err)
	}
	before := s.Sessions(t)
	ask(before + 1)
}

// gate lets a running step go on: the step's user cannot see t.TempDir.
func open(t testing.TB, gate string) {
	t.Helper()
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCutConnectionDoesNotEndTheStep(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	n := network(t, options(s))
	h := host(t, n, s.Targets[0])
	gate := s.Attempts + "/gate"
	if err := h.Start(t.Context(), "a1", shell(`echo first; until [ -e "$GATE" ]; do sleep 0.05; done; echo last; exit 5`, "GATE", gate)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	var once sync.Once
	_, err := h.Attach(t.Context(), "a1", 0, writer(func(p []byte) {
		got.Write(p)
		once.Do(func() { go s.Cut(t) })
	}))
	if !errors.Is(err, attempt.ErrUnreachable) {
		t.Fatalf("attach over a cut connection: %v", err)
	}
	if got.String() != "first\n" {
		t.Errorf("before the cut: %q", got.String())
	}
	if r := state(t, h, "a1"); r.State != backout.AttemptRunning {
		t.Fatalf("after the cut: %+v", r)
	}
	open(t, gate)
	r, err := h.Attach(t.Context(), "a1", int64(got.Len()), &got)
	if err != nil || r.State != backout.AttemptFinished || r.ExitCode != 5 || got.String() != "first\nlast\n" {
		t.Errorf("%+v %v %q", r, err, got.String())
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestAttachEndsWithContextAndLeavesNothingOnTheTarget(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	n := network(t, options(s))
	h := host(t, n, s.Targets[0])
	if err := h.Start(t.Context(), "a1", shell(`echo up; sleep 600`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := h.Attach(ctx, "a1", 0, writer(func([]byte) { cancel() }))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if r := state(t, h, "a1"); r.State != backout.AttemptRunning {
		t.Fatalf("%+v", r)
	}
	if err := h.Stop(t.Context(), "a1"); err != nil {
		t.Fatal(err)
	}
	if r, _ := attach(t, h, "a1"); r.State != backout.AttemptFinished || r.ExitCode != 128+int(syscall.SIGTERM) {
		t.Errorf("%+v", r)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for left := loggedIn(s); len(left) > 0; left = loggedIn(s) {
		if time.Now().After(deadline) {
			t.Fatalf("left on the target: %v", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// loggedIn lists the processes that came by this server: sshd tells them so.
func loggedIn(s *hosttest.Server) []string {
	var left []string
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		environ, _ := os.ReadFile(path)
		if strings.Contains(string(environ), "SSH_CONNECTION=127.0.0.1 ") && strings.Contains(string(environ), fmt.Sprintf(" %d\x00", s.Port)) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return left
}

func TestHostKeysArePinned(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	other := hosttest.SSHD(t, 1)
	strange, err := os.ReadFile(other.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	line := strings.Replace(string(strange), ":"+strconv.Itoa(other.Port), ":"+strconv.Itoa(s.Port), 1)
	empty := filepath.Join(t.TempDir(), "empty")
	for path, content := range map[string]string{wrong: line, empty: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{wrong: "is not the one in", empty: "ssh-keyscan -p " + strconv.Itoa(s.Port) + " 127.0.0.11"} {
		o := options(s)
		o.KnownHosts = path
		_, err := host(t, network(t, o), s.Targets[0]).BootID(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !backout.IsPermanent(err) {
			t.Errorf("known_hosts %q: %v, want %q", filepath.Base(path), err, want)
		}
	}
	o := options(s)
	o.Key = other.KeySecret
	_, err = host(t, network(t, o), s.Targets[0]).BootID(t.Context())
	if err == nil || !strings.Contains(err.Error(), "authorized_keys") {
		t.Errorf("a strange key: %v", err)
	}
}

func TestBurstOfDialsAgainstDefaultMaxStartups(t *testing.T) {
	s := hosttest.SSHD(t, 10, "MaxStartups 2:90:4")
	n := network(t, options(s))
	var wg sync.WaitGroup
	for _, target := range s.Targets {
		wg.Go(func() {
			if _, err := host(t, n, target).BootID(t.Context()); err != nil {
				t.Errorf("%s: %v", target.Name, err)
			}
		})
	}
	wg.Wait()
}

func TestUnreachable(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(s)
	o.ConnectTimeout = 200 * time.Millisecond
	n := network(t, o)
	for name, address := range map[string]string{"silent": silent.Addr().String(), "closed": closed.Addr().String()} {
		h := host(t, n, backout.Target{Address: address})
		if err := h.Start(t.Context(), "a1", shell("true")); !errors.Is(err, attempt.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Probe(ctx, "a1"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
	}
}

func TestRunTellsWhatItSaw(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	h := host(t, network(t, options(s)), s.Targets[0])
	r, err := h.Run(t.Context(), backout.Exec{Argv: []string{"sh", "-c", "cat; echo bad >&2; exit 9"}, Stdin: []byte("in'\x00\n")})
	if err != nil || r.ExitCode != 9 || string(r.Stdout) != "in'\x00\n" || string(r.Stderr) != "bad\n" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = h.Run(t.Context(), shell("head -c 3000000 /dev/zero; exit 1"))
	if err != nil || r.ExitCode != 1 || len(r.Stdout) != 1<<20 {
		t.Errorf("%d bytes, code %d, %v", len(r.Stdout), r.ExitCode, err)
	}
	if _, err := h.Run(t.Context(), shell("kill -9 $$")); err == nil {
		t.Error("a killed command has no exit code")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := h.Run(ctx, shell("sleep 600")); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("run past its context: %v after %v", err, time.Since(began))
	}
	boot, err := h.BootID(t.Context())
	if err != nil || len(boot) != 36 {
		t.Errorf("boot id %q %v", boot, err)
	}
	s.Cut(t)
	if _, err := h.Run(t.Context(), shell("true")); err != nil && !errors.Is(err, attempt.ErrUnreachable) {
		t.Errorf("run after a cut: %v", err)
	}
	if _, err := h.Run(t.Context(), shell("true")); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

func TestSudoRunsEverything(t *testing.T) {
	dir, err := os.MkdirTemp("", "backout-sudo-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// It stands in for sudo: the same command line, a HOME that shows it was used,
	// and what sudo says on some hosts.
	fake := "#!/bin/sh\n[ \"$1 $2\" = '-n -H' ] || exit 99\nshift 2\nexport HOME=/sudo\necho 'sudo: unable to resolve host' >&2\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "sudo"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	s := hosttest.SSHD(t, 1, "SetEnv PATH="+dir+":"+attempt.Path)
	o := options(s)
	o.Sudo = true
	h := host(t, network(t, o), s.Targets[0])
	r, err := h.Run(t.Context(), backout.Exec{Argv: []string{"sh", "-c", `cat; echo "$HOME"`}, Stdin: []byte("in ")})
	if err != nil || string(r.Stdout) != "in /sudo\n" {
		t.Errorf("%+v %v", r, err)
	}
	if err := h.Start(t.Context(), "a1", shell(`echo "$HOME"; exit 2`)); err != nil {
		t.Fatal(err)
	}
	if r, out := attach(t, h, "a1"); r.ExitCode != 2 || out != "/sudo\n" {
		t.Errorf("%+v %q", r, out)
	}
	if err := os.Remove(filepath.Join(dir, "sudo")); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), "a2", shell("true")); err == nil || !strings.Contains(err.Error(), "sudo") {
		t.Errorf("without sudo: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]ssh.Options{
		"ssh.user":        {},
		"ssh.known_hosts": {User: "u"},
		"ssh.key":         {User: "u", KnownHosts: "f", Key: backout.SecretValue("hunter2")},
	} {
		_, err := ssh.New(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
