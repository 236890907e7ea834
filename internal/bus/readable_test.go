package bus_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
)

// openEnv makes the test binary open a data directory and say how that went.
const openEnv = "BACKOUT_TEST_OPEN"

const nobody = 65534

func TestMain(m *testing.M) {
	if dir := os.Getenv(openEnv); dir != "" {
		b, err := bus.Open(context.Background(), bus.Options{DataDir: dir})
		if err == nil {
			err = b.Close()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	bustest.Main(m)
}

// elsewhere opens the directory in a process of its own: as another user unless uid
// is this one's, and behind words of a shell. It returns what that said, empty when
// all was well.
func elsewhere(t *testing.T, dir string, uid int, before string) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "test")
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{binary, dir} {
		if err := os.Chmod(filepath.Dir(filepath.Dir(name)), 0o755); err != nil { // of t.TempDir
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", before+` exec "$0"`, binary)
	cmd.Env, cmd.Dir = append(os.Environ(), openEnv+"="+dir), "/"
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return err.Error() + ": " + string(out)
}

// files are all files and directories below dir.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		all = append(all, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStoreOfFilesThatCannotBeOpenedIsLeftAlone: NATS would delete the stream of
// such a file.
func TestStoreOfFilesThatCannotBeOpenedIsLeftAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "making files of another user needs root")
	}
	for _, name := range []string{
		"jetstream/$G/streams/LOG/msgs/1.blk", "jetstream/$G/streams/LOG/meta.inf", "jetstream/$G/streams/LOG/msgs", "jetstream/$G/streams/LOG",
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			fillDir(t, dir)
			before := files(t, dir)
			for _, file := range before {
				if err := os.Lchown(file, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
			taken := filepath.Join(dir, name)
			if err := os.Lchown(taken, 0, 0); err != nil {
				t.Fatal(err)
			}
			if said := elsewhere(t, dir, nobody, ""); !strings.Contains(said, taken+" cannot be opened") || !strings.Contains(said, "(uid 0)") || !strings.Contains(said, "chown") {
				t.Errorf("opening it: %s", said)
			}
			if after := files(t, dir); len(after) < len(before) {
				t.Errorf("of %d files %d are left", len(before), len(after))
			}
			if err := os.Lchown(taken, nobody, nobody); err != nil {
				t.Fatal(err)
			}
			if said := elsewhere(t, dir, nobody, ""); said != "" {
				t.Errorf("made readable again: %s", said)
			}
		})
	}
}

func TestStoreOfAnotherUserIsLeftAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "making files of another user needs root")
	}
	dir := t.TempDir()
	if err := os.Lchown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	wantError(t, openDir(t, dir), dir, "uid 65534", "as that user")
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("files were made: %v", left)
	}
	if said := elsewhere(t, dir, nobody, ""); said != "" {
		t.Fatal(said)
	}
	before := files(t, dir)
	wantError(t, openDir(t, dir), dir, "uid 65534", "as that user")
	for _, file := range files(t, dir) {
		if info, err := os.Stat(file); err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("%s is of another user now, %v", file, err)
		}
	}
	if after := files(t, dir); len(after) != len(before) {
		t.Errorf("files: %v, before %v", after, before)
	}
	// As a group's volume is: the directory is root's, the store the server's.
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	if said := elsewhere(t, shared, nobody, ""); said != "" {
		t.Errorf("in a directory that it may write to: %s", said)
	}
	wantError(t, openDir(t, shared), shared, "uid 65534")
}

// TestAnotherUsersRunningServerIsStillToldFromAStoppedOne, so that it can be asked.
func TestAnotherUsersRunningServerIsStillToldFromAStoppedOne(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "making files of another user needs root")
	}
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := os.Lchown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	wantError(t, openDir(t, dir), bus.ErrInUse.Error())
}

func TestTooFewDescriptorsAreRefused(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	before := files(t, dir)
	if said := elsewhere(t, dir, os.Geteuid(), "ulimit -n 64;"); !strings.Contains(said, "64 open files") || !strings.Contains(said, "LimitNOFILE=") {
		t.Errorf("with few descriptors: %s", said)
	}
	if after := files(t, dir); len(after) != len(before) {
		t.Errorf("of %d files %d are left", len(before), len(after))
	}
	if said := elsewhere(t, dir, os.Geteuid(), "ulimit -Sn 64;"); said != "" {
		t.Errorf("with more to be had: %s", said)
	}
}

// TestLostStreamSaysWhatNATSSaid of it, since nothing else knows the reason.
func TestLostStreamSaysWhatNATSSaid(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, dir)
	messages := filepath.Join(dir, "jetstream", "$G", "streams", "LOG", "msgs")
	if err := os.RemoveAll(messages); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(messages)
	if err == nil {
		_, err = io.WriteString(f, "not a directory")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, openDir(t, dir), "lost its stream LOG", "NATS says", "Error recreating stream", "not a directory")
}
