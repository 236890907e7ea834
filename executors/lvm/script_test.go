package lvm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/host/hosttest"
)

// play runs a script with programs of LVM that are played by texts.
func play(t *testing.T, script string, programs map[string]string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LOG=" + filepath.Join(dir, "log")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestMarkersGoThroughNoLink: whoever may write to the root of a volume could let
// root change what a link of theirs leads to.
func TestMarkersGoThroughNoLink(t *testing.T) {
	programs := map[string]string{"lvs": "exit 5", "lvcreate": "", "lvremove": ""}
	for name, lay := range map[string]func(mount, elsewhere string) error{
		"folder": func(mount, elsewhere string) error { return os.Symlink(elsewhere, filepath.Join(mount, ".backout")) },
		"foreign folder": func(mount, elsewhere string) error {
			dir := filepath.Join(mount, ".backout")
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			if err := os.Symlink(filepath.Join(elsewhere, "file"), filepath.Join(dir, "CHG1.pre")); err != nil {
				return err
			}
			return os.Chown(dir, 65534, 65534)
		},
	} {
		t.Run(name, func(t *testing.T) {
			programs["lvs"] = "exit 5"
			if os.Getuid() != 0 {
				hosttest.Missing(t, "only root can give a folder to somebody else: run the tests as root")
			}
			mount, elsewhere := t.TempDir(), t.TempDir()
			file := filepath.Join(elsewhere, "file")
			if err := os.WriteFile(file, []byte("theirs"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(elsewhere, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := lay(mount, elsewhere); err != nil {
				t.Fatal(err)
			}
			said, err := play(t, snapshotScript, programs, "CHG1", "vg0/data", "vg0/backout_CHG1.data", "0", mount)
			if err == nil {
				t.Errorf("it went well: %s", said)
			}
			info, err := os.Stat(elsewhere)
			if err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("elsewhere: %v %v", info.Mode(), err)
			}
			if data, err := os.ReadFile(file); err != nil || string(data) != "theirs" {
				t.Errorf("the file elsewhere: %q %v", data, err)
			}
			if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 1 {
				t.Errorf("elsewhere are %v %v", left, err)
			}
			programs["lvs"] = ""
			if said, err := play(t, cleanupScript, programs, "CHG1", "vg0/data", "", mount); err != nil {
				t.Errorf("clean-up: %v %s", err, said)
			}
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("plain", func(t *testing.T) {
		programs["lvs"] = "exit 5"
		mount := t.TempDir()
		if said, err := play(t, snapshotScript, programs, "CHG1", "vg0/data", "vg0/backout_CHG1.data", "0", mount); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		for _, name := range []string{"CHG1.pre", "CHG1.post"} {
			if data, err := os.ReadFile(filepath.Join(mount, ".backout", name)); err != nil || string(data) != "vg0/backout_CHG1.data\n" {
				t.Errorf("%s: %q %v", name, data, err)
			}
		}
		if info, err := os.Stat(filepath.Join(mount, ".backout")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		programs["lvs"] = ""
		if said, err := play(t, cleanupScript, programs, "CHG1", "vg0/data", "", mount); err != nil {
			t.Errorf("clean-up: %v %s", err, said)
		}
		if left, err := os.ReadDir(mount); err != nil || len(left) != 0 {
			t.Errorf("left are %v %v", left, err)
		}
	})
}

// TestCleanupThatCannotLook: what LVM does not answer is not "nothing is there".
func TestCleanupThatCannotLook(t *testing.T) {
	said, err := play(t, cleanupScript, map[string]string{"lvs": "echo 'cannot lock' >&2; exit 5", "lvremove": "echo removed"}, "CHG1", "vg0/data", "VKdBCm-Kc3G-JVdF-L1qq-tYac-3K6i-JUPIrY", "")
	if err == nil || strings.Contains(said, "removed") {
		t.Errorf("%v: %s", err, said)
	}
}
