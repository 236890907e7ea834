package hosttest

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

//go:embed guest
var guestFiles embed.FS

// guestAddress is where the sshd of every guest is reached, each on a port of its own.
const guestAddress = "127.0.0.42"

// guestPatience is how long a boot may take: without KVM every instruction is
// translated, and other tests run beside it.
const guestPatience = 6 * time.Minute

// Guest is a virtual machine with a kernel of its own and a real device mapper: its
// root is the volume vg0/root of LVM, and most of group vg0 is free. It has no systemd:
// a small init starts sshd, and the programs are those of this machine.
type Guest struct {
	Access
	// Target is the guest as a target.
	Target backout.Target

	console console
	boots   int
	vm      *exec.Cmd
	off     chan struct{} // closed when it is off
}

// console is what the guest has written to its console.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// guestParts are the commands that a guest is made with, and their packages.
var guestParts = [][2]string{
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"lvm", "lvm2"},
	{"thin_check", "thin-provisioning-tools"},
	{"busybox", "busybox-static"},
	{"lsinitramfs", "initramfs-tools-core"},
	{"cpio", "cpio"},
	{"modprobe", "kmod"},
	{"mkfs.ext4", "e2fsprogs"},
	{"ssh", "openssh-client"},
	{"sshd", "openssh-server"},
	{"apt-get", "apt"},
}

// LVM boots a guest and switches it off with the test.
func LVM(t testing.TB) *Guest {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		Missing(t, "a guest needs a machine of amd64")
	}
	for _, part := range guestParts {
		if !has(part[0]) {
			Missing(t, "no "+part[0]+" here: apt-get install "+part[1])
		}
	}
	dir, err := os.MkdirTemp("", "backout-guest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	g := &Guest{Access: Access{
		User: "root", Key: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), Attempts: "/var/lib/backout/attempts",
		Port: freePort(t, guestAddress),
	}}
	g.Target = backout.Target{Name: filepath.Base(dir), Address: net.JoinHostPort(guestAddress, strconv.Itoa(g.Port)), Transport: "ssh"}
	kernel, release := guestKernel(t)
	g.unpack(t, dir, kernel, release)
	g.boot(t, dir, filepath.Join(kernel, "boot", "vmlinuz-"+release))
	g.Await(t)
	return g
}

// has tells whether the command is here; the daemons stand in sbin.
func has(command string) bool {
	if _, err := exec.LookPath(command); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, command)); err == nil {
			return true
		}
	}
	return false
}

// unpack makes keys and disks.
func (g *Guest) unpack(t testing.TB, dir, kernel, release string) {
	t.Helper()
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"init", "rc", "lvmlocal.conf", "tree.sh"} {
		data, err := guestFiles.ReadFile("guest/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(files, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "key", "-f", g.Key)
	private, err := os.ReadFile(g.Key)
	if err != nil {
		t.Fatal(err)
	}
	g.KeySecret = backout.SecretValue(string(private))
	tree := exec.Command("sh", filepath.Join(files, "tree.sh"), dir, kernel, release, files, g.Key+".pub")
	tree.Env = append(os.Environ(), "LC_ALL=C", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := tree.CombinedOutput(); err != nil {
		t.Fatalf("make the guest's disk: %v\n%s", err, out)
	}
	public, err := os.ReadFile(filepath.Join(dir, "tree/etc/ssh/ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.KnownHosts, fmt.Appendf(nil, "[%s]:%d %s", guestAddress, g.Port, public), 0o644); err != nil {
		t.Fatal(err)
	}
}

// boot switches the guest on, until the test ends. It reboots by itself.
func (g *Guest) boot(t testing.TB, dir, kernel string) {
	t.Helper()
	argv := []string{
		"-machine", "q35", "-cpu", "max", "-m", "384", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		"-kernel", kernel, "-initrd", filepath.Join(dir, "initrd"), "-append", "console=ttyS0 quiet panic=1 mitigations=off audit=0 apparmor=0 random.trust_cpu=on",
		"-drive", "if=none,id=disk,format=raw,cache=unsafe,file=" + filepath.Join(dir, "disk"), "-device", "virtio-blk-pci,drive=disk",
		"-drive", "if=none,id=root,format=raw,readonly=on,file=" + filepath.Join(dir, "root.ext4"), "-device", "virtio-blk-pci,drive=root",
		"-netdev", fmt.Sprintf("user,id=net,restrict=on,hostfwd=tcp:%s-:22", g.Target.Address), "-device", "virtio-net-pci,netdev=net",
		// Not KVM: where it is offered inside another machine, it may hang.
		"-device", "virtio-rng-pci", "-accel", "tcg,tb-size=256",
	}
	g.off = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// The thread must live as long: its end is what ends the guest of a test that
		// is killed.
		runtime.LockOSThread()
		defer close(g.off)
		g.vm = exec.Command("qemu-system-x86_64", argv...)
		g.vm.Stdout, g.vm.Stderr = &g.console, &g.console
		g.vm.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
		err := g.vm.Start()
		started <- err
		if err == nil {
			_ = g.vm.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.vm.Process.Kill()
		<-g.off
		if t.Failed() {
			t.Logf("the guest's console:\n%s", g.console.String())
		}
	})
}

// Await waits until the guest has booted, the first time or once more. It listens to
// the console: a guest that is asked by SSH while it boots boots later.
func (g *Guest) Await(t testing.TB) {
	t.Helper()
	g.boots++
	late := time.NewTimer(guestPatience)
	defer late.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(g.console.String(), "Server listening on 0.0.0.0") < g.boots {
		select {
		case <-g.off:
			t.Fatal("the guest has ended")
		case <-late.C:
			t.Fatalf("the guest is not up after %s", guestPatience)
		case <-tick.C:
		}
	}
}
