package file_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/file"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// nobody is a user without rights.
const nobody = 65534

// as is this machine as another user sees it, or as it is.
type as struct {
	backout.Host
	uid  int
	home string
}

func (a as) wrap(e backout.Exec) backout.Exec {
	if a.uid != os.Geteuid() {
		id := fmt.Sprint(a.uid)
		e.Argv = append([]string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "env", "HOME=" + a.home}, e.Argv...)
	} else if a.uid != 0 {
		e.Argv = append([]string{"env", "HOME=" + a.home}, e.Argv...)
	}
	return e
}

// Start implements [backout.Host].
func (a as) Start(ctx context.Context, id string, e backout.Exec) error {
	return a.Host.Start(ctx, id, a.wrap(e))
}

// Run implements [backout.Host].
func (a as) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	return a.Host.Run(ctx, a.wrap(e))
}

// yard is a folder with files, and the machine as its owner sees it.
type yard struct {
	dir  string
	host as
	n    int
	id   string
}

var changes atomic.Int64

func newYard(t *testing.T, uid int) *yard {
	t.Helper()
	if uid != os.Geteuid() {
		if os.Geteuid() != 0 {
			hosttest.Missing(t, "to be another user one must be root")
		}
		if _, err := exec.LookPath("setpriv"); err != nil {
			hosttest.Missing(t, "no setpriv here: apt-get install util-linux")
		}
	}
	dir, err := os.MkdirTemp("", "backout-files-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	y := &yard{dir: filepath.Join(dir, "etc"), host: as{executorstest.Local(t), uid, filepath.Join(dir, "home")}}
	for _, d := range []string{y.dir, y.host.home} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	y.id = fmt.Sprintf("CHG-test-%d-%d", os.Getpid(), changes.Add(1))
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join("/var/lib/backout/stash", y.id)) })
	return y
}

func (y *yard) put(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	p := filepath.Join(y.dir, name)
	if err := os.WriteFile(p, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p, y.host.uid, y.host.uid); err != nil {
		t.Fatal(err)
	}
	return p
}

func (y *yard) step(t *testing.T, patterns ...string) step {
	t.Helper()
	var full []string
	for _, p := range patterns {
		full = append(full, filepath.Join(y.dir, p))
	}
	section, err := json.Marshal(map[string]any{"files": full})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := executorstest.Build(t, file.Kind(), string(section)).(step)
	if !ok {
		t.Fatal("the executor lacks a part")
	}
	return s
}

type step interface {
	backout.Executor
	backout.Preflighter
	backout.Preparer
	backout.Prober
	backout.Cleaner
}

func (y *yard) task() backout.Task {
	y.n++
	t := executorstest.Task(file.Kind(), fmt.Sprintf("a%d", y.n))
	t.ChangeID = y.id
	return t
}

func (y *yard) prepare(t *testing.T, s step) backout.Task {
	t.Helper()
	var out bytes.Buffer
	p, err := s.Prepare(t.Context(), y.task(), y.host, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	task := y.task()
	// Another step of the same kind has prepared too.
	task.Prepared = []backout.Prepared{{Uses: file.Name, Facts: map[string]string{"id": "files-0", "list": strings.Repeat("0", 64)}}, p}
	return task
}

func (y *yard) preflight(t *testing.T, s step, task backout.Task) string {
	t.Helper()
	var all []string
	for _, v := range s.Preflight(t.Context(), task, y.host) {
		all = append(all, v.Reason+" | "+v.Fix)
	}
	return strings.Join(all, "\n")
}

func read(t *testing.T, p string) string {
	t.Helper()
	data, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (y *yard) clean(t *testing.T, s step) {
	t.Helper()
	for range 2 {
		if err := s.Cleanup(t.Context(), y.task(), y.host, io.Discard); err != nil {
			t.Error(err)
		}
	}
	for _, base := range []string{"/var/lib/backout", filepath.Join(y.host.home, ".local/state/backout")} {
		if _, err := os.Stat(filepath.Join(base, "stash", y.id)); err == nil {
			t.Errorf("%s is left", base)
		}
	}
}

func users(t *testing.T, test func(*testing.T, *yard)) {
	t.Helper()
	for name, uid := range map[string]int{"self": os.Geteuid(), "nobody": nobody} {
		t.Run(name, func(t *testing.T) { test(t, newYard(t, uid)) })
	}
}

// says asserts that the text has the parts.
func says(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q does not say %q", got, w)
		}
	}
}

func TestBackAsTheyWere(t *testing.T) {
	users(t, func(t *testing.T, y *yard) {
		main := y.put(t, "main.conf", "old\n", 0o640)
		gone := y.put(t, "a file with spaces ✓ \\ $(id).conf", "old too", 0o600)
		same := y.put(t, "same.conf", "same", 0o644)
		y.put(t, "-dash.conf", "dash", 0o644)
		link := filepath.Join(y.dir, "link.conf")
		if err := os.Symlink("main.conf", link); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(link, y.host.uid, y.host.uid); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(y.dir, "folder.conf"), 0o755); err != nil {
			t.Fatal(err)
		}
		s := y.step(t, "main.conf", "*.conf")
		if v := y.preflight(t, s, y.task()); v != "" {
			t.Fatalf("preflight: %s", v)
		}
		task := y.prepare(t, s)
		if v := y.preflight(t, s, task); v != "" {
			t.Fatalf("preflight: %s", v)
		}
		// What a restore that was killed has left.
		if err := os.MkdirAll(filepath.Join(y.dir, ".backout-restore.abcdef", "x"), 0o777); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{".backout-restore.abcdef", ".backout-restore.abcdef/x"} {
			if err := os.Chown(filepath.Join(y.dir, p), y.host.uid, y.host.uid); err != nil {
				t.Fatal(err)
			}
		}
		y.put(t, "main.conf", "new\n", 0o666)
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		y.put(t, "link.conf", "no link any more", 0o644)
		added := y.put(t, "added.conf", "added", 0o644)
		before := inode(t, same)
		if p, err := s.Probe(t.Context(), task, y.host); err != nil || p.State != backout.ProbeNotDone {
			t.Errorf("%+v %v", p, err)
		}
		o, err := s.Execute(t.Context(), task, y.host, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		says(t, o.Summary, "5 files are as at the baseline", "new since then, and left: "+added)
		if read(t, main) != "old\n" || read(t, gone) != "old too" || inode(t, same) != before {
			t.Error("not as they were")
		}
		if info, err := os.Stat(main); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		if to, err := os.Readlink(link); err != nil || to != "main.conf" {
			t.Errorf("%q %v", to, err)
		}
		if left, _ := filepath.Glob(filepath.Join(y.dir, ".backout*")); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		y.clean(t, s)
	})
}

func inode(t *testing.T, p string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestLinksLeadNowhereElse(t *testing.T) {
	users(t, func(t *testing.T, y *yard) {
		sub := filepath.Join(y.dir, "sub")
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(sub, y.host.uid, y.host.uid); err != nil {
			t.Fatal(err)
		}
		y.put(t, "sub/x", "kept", 0o644)
		victim := y.put(t, "victim", "victim", 0o644)
		s := y.step(t, "sub/x")
		task := y.prepare(t, s)

		// The file itself has become a link: the link is replaced, not followed.
		if err := os.Remove(filepath.Join(sub, "x")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, filepath.Join(sub, "x")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Execute(t.Context(), task, y.host, io.Discard); err != nil {
			t.Fatal(err)
		}
		if read(t, victim) != "victim" || read(t, filepath.Join(sub, "x")) != "kept" {
			t.Error("the link was followed")
		}

		// The folder has become a link.
		other := filepath.Join(y.dir, "other")
		if err := os.Rename(sub, other); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(other, sub); err != nil {
			t.Fatal(err)
		}
		y.put(t, "other/x", "other's", 0o644)
		says(t, y.preflight(t, s, task), "leads elsewhere than at the baseline")
		again := y.task()
		again.Prepared = task.Prepared
		if _, err := s.Execute(t.Context(), again, y.host, io.Discard); err == nil || !strings.Contains(err.Error(), "leads elsewhere") {
			t.Errorf("%v", err)
		}
		if read(t, filepath.Join(other, "x")) != "other's" {
			t.Error("written through a link")
		}
		y.clean(t, s)
	})
}

func TestFolderIsMadeAgain(t *testing.T) {
	users(t, func(t *testing.T, y *yard) {
		sub := filepath.Join(y.dir, "sub")
		if err := os.Mkdir(sub, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(sub, y.host.uid, y.host.uid); err != nil {
			t.Fatal(err)
		}
		x := y.put(t, "sub/x", "kept", 0o644)
		s := y.step(t, "sub/*")
		task := y.prepare(t, s)
		if err := os.RemoveAll(sub); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Execute(t.Context(), task, y.host, io.Discard); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(sub); err != nil || info.Mode().Perm() != 0o750 || read(t, x) != "kept" {
			t.Errorf("%v %v", info, err)
		}
		y.clean(t, s)
	})
}

func TestSpoiltCopies(t *testing.T) {
	y := newYard(t, nobody)
	x := y.put(t, "x", "kept", 0o644)
	s := y.step(t, "x")
	task := y.prepare(t, s)
	y.put(t, "x", "new", 0o644)
	copies, _ := filepath.Glob(filepath.Join(y.host.home, ".local/state/backout/stash", y.id, "*/data/1"))
	if len(copies) != 1 {
		t.Fatalf("%q", copies)
	}
	if err := os.WriteFile(copies[0], []byte("evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, y.preflight(t, s, task), "the copy is not the one that was kept: "+x)
	if _, err := s.Execute(t.Context(), task, y.host, io.Discard); err == nil || read(t, x) != "new" {
		t.Errorf("%v", err)
	}
	list := filepath.Join(filepath.Dir(filepath.Dir(copies[0])), "list")
	if err := os.WriteFile(list, []byte(strings.ReplaceAll(read(t, list), "/x", "/y")), 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, y.preflight(t, s, task), "the list of kept files")
	task.AttemptID += "-again"
	if _, err := s.Execute(t.Context(), task, y.host, io.Discard); err == nil || !strings.Contains(err.Error(), "list of kept files") {
		t.Errorf("%v", err)
	}
	if p, err := s.Probe(t.Context(), task, y.host); err != nil || p.State != backout.ProbeUnknown {
		t.Errorf("%+v %v", p, err)
	}
	y.clean(t, s)
}

func TestPreflightSaysNo(t *testing.T) {
	y := newYard(t, nobody)
	y.put(t, "x", "x", 0o644)
	secret := y.put(t, "secret", "x", 0o600)
	if err := os.Chown(secret, 0, 0); err != nil {
		t.Fatal(err)
	}
	y.put(t, "two\nlines", "x", 0o644)
	if err := syscall.Mkfifo(filepath.Join(y.dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, y.preflight(t, y.step(t, "no such"), y.task()), "there is no file", "correct the path")
	says(t, y.preflight(t, y.step(t, "no*"), y.task()), "there is no file")
	says(t, y.preflight(t, y.step(t, "."), y.task()), "is a folder")
	says(t, y.preflight(t, y.step(t, "fifo"), y.task()), "neither a file nor a link")
	says(t, y.preflight(t, y.step(t, "secret"), y.task()), "cannot be read", "belongs to another user", "sudo")
	says(t, y.preflight(t, y.step(t, "two?lines"), y.task()), "a tab or a line break")
	task := y.task()
	task.Delta = &backout.Delta{}
	says(t, y.preflight(t, y.step(t, "x"), task), "nothing was kept before the patch")
	if _, err := y.step(t, "x").Execute(t.Context(), task, y.host, io.Discard); !backout.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	task.ChangeID = "../x"
	if _, err := y.step(t, "x").Prepare(t.Context(), task, y.host, io.Discard); !backout.IsPermanent(err) {
		t.Errorf("%v", err)
	}
}

// TestXattrs: extended attributes come back with the content.
func TestXattrs(t *testing.T) {
	y := newYard(t, os.Geteuid())
	x := y.put(t, "x", "old", 0o644)
	if err := syscall.Setxattr(x, "user.backout", []byte("label"), 0); err != nil {
		hosttest.Missing(t, fmt.Sprintf("the file system of the temporary folder has no extended attributes: %v", err))
	}
	s := y.step(t, "x")
	task := y.prepare(t, s)
	if err := os.Remove(x); err != nil {
		t.Fatal(err)
	}
	y.put(t, "x", "new", 0o644)
	if _, err := s.Execute(t.Context(), task, y.host, io.Discard); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 16)
	n, err := syscall.Getxattr(x, "user.backout", got)
	if err != nil || string(got[:n]) != "label" {
		t.Errorf("%q %v", got[:max(n, 0)], err)
	}
	y.clean(t, s)
}

// known is a step that is given what its change knows.
type known struct {
	step
	change   string
	prepared []backout.Prepared
}

func (k known) task(t backout.Task) backout.Task {
	t.ChangeID, t.Prepared = k.change, k.prepared
	return t
}

// Execute implements [backout.Executor].
func (k known) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	return k.step.Execute(ctx, k.task(t), h, out)
}

// Preflight implements [backout.Preflighter].
func (k known) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	return k.step.Preflight(ctx, k.task(t), h)
}

func TestConformance(t *testing.T) {
	y := newYard(t, nobody)
	x := y.put(t, "x", "old", 0o644)
	task := y.prepare(t, y.step(t, "x"))
	y.put(t, "x", "new", 0o644)
	before := inode(t, x)
	kind := executors.Define(file.Name, "", func(context.Context, file.Config) (backout.Executor, error) {
		return known{y.step(t, "x"), y.id, task.Prepared}, nil
	})
	executorstest.Run(t, executorstest.Suite{
		Kind: kind, Host: y.host, Quick: fmt.Sprintf(`{"files": [%q]}`, x),
		Effects: func() int {
			if inode(t, x) != before {
				return 1
			}
			return 0
		},
		Bad: map[string]string{
			`{}`: "0 entries", `{"files": ["etc/x"]}`: "not an absolute path", `{"files": ["/etc/../x"]}`: "not an absolute path", `{"files": ["/"]}`: "not an absolute path",
			`{"files": ["/a[b"]}`: "close the bracket", `{"files": ["/a\\b"]}`: "backslash", `{"files": ["/a\nb"]}`: "control character",
		},
	})
	y.clean(t, y.step(t, "x"))
}

// played is a host with some programs played by scripts.
type played struct {
	backout.Host
	dir string
}

// Start implements [backout.Host].
func (p played) Start(ctx context.Context, id string, e backout.Exec) error {
	e.Argv = append([]string{"env", "PATH=" + p.dir + ":" + os.Getenv("PATH")}, e.Argv...)
	return p.Host.Start(ctx, id, e)
}

// TestTheFoldersOwnerPutsALinkInItsPlace: between two steps of root whoever owns the
// folder has put something of their own where root made a folder to work in.
func TestTheFoldersOwnerPutsALinkInItsPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "only root can give a folder to somebody else: run the tests as root")
	}
	y := newYard(t, 0)
	y.put(t, "a.conf", "old\n", 0o644)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := y.step(t, "a.conf")
	task := y.prepare(t, s)
	defer y.clean(t, s)
	y.put(t, "a.conf", "new\n", 0o644)
	p := played{y.host, t.TempDir()}
	text := "#!/bin/sh\nmkdir -m 700 ./.backout-restore.attack && ln -s '" + victim + "' ./.backout-restore.attack/a.conf && chown -hR 65534 ./.backout-restore.attack && echo ./.backout-restore.attack\n"
	if err := os.WriteFile(filepath.Join(p.dir, "mktemp"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Execute(t.Context(), task, p, io.Discard); err == nil {
		t.Error("it went well")
	}
	if got := read(t, victim); got != "theirs" {
		t.Errorf("root has written %q through the link", got)
	}
}
