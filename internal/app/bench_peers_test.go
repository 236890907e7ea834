package app_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh/sshtest"
)

// BenchmarkPeers has the tools that Debian packages run "true" on the same simulated
// targets as BenchmarkFanOut: from their start to the moment the command has begun on
// the last target. They keep no record of it, ask no boot id, and forget.
func BenchmarkPeers(b *testing.B) {
	for _, peer := range []struct {
		name, program, pack string
		argv                func(f *sshtest.Farm, dir string) []string
	}{
		{"pssh", "parallel-ssh", "pssh", func(f *sshtest.Farm, dir string) []string {
			argv := []string{"parallel-ssh", "-h", filepath.Join(dir, "hosts"), "-l", f.User, "-p", "64", "-t", "120"}
			for _, o := range sshFlags(f) {
				argv = append(argv, "-O", o)
			}
			return append(argv, "true")
		}},
		{"clush", "clush", "clustershell", func(f *sshtest.Farm, dir string) []string {
			return []string{
				"clush", "--hostfile=" + filepath.Join(dir, "names"), "-f", "64", "-q", "-l", f.User, "-o",
				"-p " + port(f) + " -o " + strings.Join(sshFlags(f), " -o "), "true",
			}
		}},
		{"ansible", "ansible", "ansible-core", func(f *sshtest.Farm, dir string) []string {
			return []string{
				"ansible", "all", "-i", filepath.Join(dir, "inventory"), "-u", f.User, "-f", "50", "-m", "raw", "-a", "true",
				"--ssh-common-args=-o " + strings.Join(sshFlags(f), " -o "),
			}
		}},
	} {
		b.Run(peer.name, func(b *testing.B) {
			if _, err := exec.LookPath(peer.program); err != nil {
				hosttest.Missing(b, peer.program+" is not here: apt-get install "+peer.pack)
			}
			benchPeer(b, peer.argv)
		})
	}
}

func benchPeer(b *testing.B, argv func(f *sshtest.Farm, dir string) []string) {
	b.Helper()
	n := scaled(fanTargets)
	if short() {
		n = 10 // they are slow
	}
	farm, dir := sshtest.Start(b, n, fanRTT), b.TempDir()
	var hosts, names, inventory strings.Builder
	for _, t := range farm.Targets {
		host, port, _ := net.SplitHostPort(t.Address)
		fmt.Fprintln(&hosts, t.Address)
		fmt.Fprintln(&names, host)
		fmt.Fprintf(&inventory, "%s ansible_host=%s ansible_port=%s\n", t.Name, host, port)
	}
	for name, text := range map[string]string{"hosts": hosts.String(), "names": names.String(), "inventory": inventory.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var wall, cpu time.Duration
	rounds := 0
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), argv(farm, dir)[0], argv(farm, dir)[1:]...)
		cmd.Env = append(os.Environ(), "ANSIBLE_HOST_KEY_CHECKING=True", "ANSIBLE_NOCOLOR=1", "HOME="+dir)
		at := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %v\n%.2000s", cmd.Args, err, out)
		}
		_, last := farm.Started(b)
		farm.Finish(b)
		wall, cpu = wall+last.Sub(at), cpu+cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
		rounds++
	}
	b.ReportMetric(float64(wall.Milliseconds())/float64(rounds), "start-last-ms")
	b.ReportMetric(float64(cpu.Microseconds())/float64(rounds)/float64(n), "cpu-us/host")
}

func sshFlags(f *sshtest.Farm) []string {
	return []string{
		"IdentityFile=" + f.KeyFile, "IdentitiesOnly=yes", "BatchMode=yes", "UserKnownHostsFile=" + f.KnownHosts, "GlobalKnownHostsFile=/dev/null",
		"StrictHostKeyChecking=yes",
	}
}

// port is the same on all targets.
func port(f *sshtest.Farm) string {
	_, port, _ := net.SplitHostPort(f.Targets[0].Address)
	return port
}
