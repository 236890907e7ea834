package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk is a file system of its own, in a file, whose power can be cut: what the
// kernel has not been told to keep by then is gone.
type disk struct {
	t          testing.TB
	image, dir string
	copies     int
}

// newDisk mounts an empty one, until the test ends.
func newDisk(t testing.TB, dir string) *disk {
	t.Helper()
	needRoot(t, "mount a file system")
	part(t, "mount", "mount")
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "disk"), dir: dir}
	write(t, d.image, "", 0o600)
	if err := os.Truncate(d.image, 256<<20); err != nil {
		t.Fatal(err)
	}
	d.must(part(t, "mkfs.ext4", "e2fsprogs"), "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.mount()
	t.Cleanup(d.unmount)
	return d
}

func (d *disk) must(argv ...string) {
	d.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

func (d *disk) mount() {
	d.t.Helper()
	d.must(part(d.t, "mount", "mount"), "-o", "loop", d.image, d.dir)
}

func (d *disk) unmount() {
	if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
		d.t.Errorf("unmount %s: %v", d.dir, err)
	}
}

// freeze keeps what the disk holds at this moment. The writers must stand still.
func (d *disk) freeze() (image string) {
	d.t.Helper()
	d.copies++
	image = fmt.Sprintf("%s.%d", d.image, d.copies)
	d.must("cp", "--sparse=always", d.image, image)
	return image
}

// become puts the disk back to what freeze kept.
func (d *disk) become(image string) {
	d.t.Helper()
	d.unmount()
	_ = os.Remove(d.image)
	d.image = image
	d.mount()
}

// tracer stops a server at its fsyncs. What the server starts meanwhile is traced
// with it, and has to be let go of when the server is dead.
type tracer struct {
	p    *process
	pid  int
	said string
}

// How a server is stopped at its fsyncs: at each, when it has been done but has
// not been told, or at one that is never done.
const (
	afterEach  = "signal=SIGSTOP"
	beforeNext = "error=EIO:signal=SIGSTOP"
)

// trace begins to stop the server at its fsyncs.
func (srv *server) trace(how string) *tracer {
	t := srv.site.t
	t.Helper()
	tr := &tracer{pid: srv.cmd.Process.Pid, said: filepath.Join(t.TempDir(), "strace")}
	tr.p = start(t, exec.Command(part(t, "strace", "strace"), "-f", "-o", tr.said, "-p", strconv.Itoa(tr.pid),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+how))
	tr.p.silent.Store(true)
	eventually(t, 10*time.Second, "strace is attached", func() error { return notYet(strings.Contains(tr.p.said.String(), "attached")) })
	return tr
}

// await waits until the server has been stopped at its n-th fsync from here on. It
// reports whether there were so many before the time was up.
func (tr *tracer) await(n int, within time.Duration) bool {
	const mark = "--- SIGSTOP {"
	for until, passed := time.Now().Add(within), 0; time.Now().Before(until); time.Sleep(time.Millisecond) {
		said := read(tr.said)
		stops := strings.Count(said, mark)
		// Let go before all of it stands still, it would stop again.
		if stops <= passed || !strings.Contains(said[strings.LastIndex(said, mark):], "stopped by SIGSTOP") {
			continue
		}
		if stops >= n {
			return true
		}
		passed = stops
		_ = syscall.Kill(tr.pid, syscall.SIGCONT)
	}
	return false
}

// release ends the tracing of what has outlived the server, and lets it go on.
func (tr *tracer) release() {
	tr.p.kill()
	for line := range strings.Lines(read(tr.said)) {
		pid, _, _ := strings.Cut(line, " ")
		if n, err := strconv.Atoi(pid); err == nil && strings.Contains(line, "stopped by SIGSTOP") {
			_ = syscall.Kill(n, syscall.SIGCONT)
		}
	}
}

// powerFault draws how the server's machine dies: its power is cut at any point, or
// at a sync of its store that was not done any more.
func (g *ground) powerFault(d *disk) func(*rand.Rand) fault {
	return func(rng *rand.Rand) fault {
		f := g.cutPower(d)
		if rng.IntN(2) == 0 {
			cut := f.hit
			f.name = "power cut before an fsync"
			f.hit = func() {
				tr := g.alive()[0].trace(beforeNext)
				tr.await(1, time.Second)
				cut()
				tr.release()
			}
		}
		return f
	}
}

// cutPower cuts the power of the first server's disk.
func (g *ground) cutPower(d *disk) fault {
	var image string
	return fault{
		name: "power cut",
		hit: func() {
			_ = g.alive()[0].cmd.Process.Signal(syscall.SIGSTOP)
			image = d.freeze()
			g.slay(0)
		},
		heal: func() { d.become(image); g.revive(0) },
	}
}

// fsyncFault lets the server die right after the n-th fsync from the alert on, by
// turns by kill -9 and by a power cut. It says in over when there were not so many.
func (g *ground) fsyncFault(d *disk, n int, over *bool) fault {
	f := fault{hit: func() { g.slay(0) }, heal: func() { g.revive(0) }, name: "kill -9"}
	if n%2 == 0 {
		f = g.cutPower(d)
	}
	f.name += " after the n-th fsync"
	var tr *tracer
	die := f.hit
	f.before = func() { tr = g.alive()[0].trace(afterEach) }
	f.hit = func() {
		*over = !tr.await(n, 3*time.Second)
		die()
		tr.release()
	}
	return f
}

// newWeakGround is a single server whose store is on a disk of its own.
func newWeakGround(t testing.TB) (*ground, *disk) {
	t.Helper()
	part(t, "strace", "strace")
	g := newGround(t, 1, nil)
	d := newDisk(t, g.sites[0].path("disk"))
	g.sites[0].more += "data_dir: disk/data\n"
	g.boot()
	return g, d
}

// TestChaosPowerCut: a power cut is no worse than kill -9. What was acknowledged
// and what was claimed has been synced before.
func TestChaosPowerCut(t *testing.T) {
	trials, seed := chaosSize(t, 2, 4)
	g, d := newWeakGround(t)
	done := g.chaos("TestChaosPowerCut", trials, seed, g.powerFault(d))
	g.finish("disk/data", fmt.Sprintf("Single server, embedded store, power cuts, seed %d", seed), done)
}

// TestChaosEveryFsync: the server dies right after each fsync of a rollback, from
// the alert's to the last, and whatever was or was not answered by then, the
// rollback comes to its end, each step once. The short form takes some of them.
func TestChaosEveryFsync(t *testing.T) {
	trials, seed := chaosSize(t, 1, 1)
	first, step := 1+int(seed%9), 9 // of about 30
	if trials > 1 {
		first, step = 1, 1
	}
	g, d := newWeakGround(t)
	var done []*trial
	over := false
	for n := first; !over && n < 200; n += step {
		tr := newTrial(g, rand.New(rand.NewPCG(0, 0)), n, func(*rand.Rand) fault { return g.fsyncFault(d, n, &over) })
		tr.plan, tr.held, tr.targets, tr.moment = "fails", false, chaosTargets[:2], moment{kind: "posting", n: n}
		tr.replay = "make chaos CHAOS=TestChaosEveryFsync"
		done = append(done, tr)
		if !tr.run() {
			break
		}
	}
	if !over {
		t.Error("the end of the rollback was not reached")
	}
	g.finish("disk/data", "Single server, embedded store, dead after each fsync of a rollback", done)
}
