package capture_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/hosttest"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, patterns ...string) ([]backout.FileState, error) {
	t.Helper()
	all := without(backout.PartUnits, backout.PartPorts, backout.PartMounts, backout.PartAIDE)
	all.Files = patterns
	var files []backout.FileState
	for i, shell := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		inv, err := capture.Take(t.Context(), here{shell: shell}, all)
		if err != nil {
			return nil, err
		}
		if i > 0 && fmt.Sprint(files) != fmt.Sprint(inv.Files) {
			t.Errorf("%v: %v, and before %v", shell, inv.Files, files)
		}
		files = inv.Files
	}
	return files, nil
}

// TestFilesOfHostileNames: a shell that read them would run them.
func TestFilesOfHostileNames(t *testing.T) {
	dir := t.TempDir()
	hostile := []string{"$(touch PWNED)", "`touch PWNED`", "; touch PWNED", "-n", "a b", "a\tb", "*", "?", "[x]", `back\slash`, "'", `"`, "\x1b[2J", "\xff", "~", "#", "é"}
	for _, name := range hostile {
		write(t, filepath.Join(dir, name), name)
	}
	write(t, filepath.Join(dir, "$(x)", "inner"), "x")
	files, err := look(t, dir+"/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(hostile) {
		t.Errorf("%d files, want %d: %+v", len(files), len(hostile), files)
	}
	for _, f := range files {
		if f.Mode != "640" || f.Owner != fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid()) || len(f.SHA256) != 64 || strings.ContainsAny(f.Path, "\x1b\n") {
			t.Errorf("%+v", f)
		}
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "PWNED*")); made != nil {
		t.Error("a name was run")
	}
	files, err = look(t, dir+"/*/inner", dir+"/nothing", dir+"/no/thing", dir+"/no*/thing", dir+"/[a-b] b", dir+"/[^a-z]", dir+"/$(x)/inner")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, strings.Replace(f.Path, dir, "", 1)+" "+f.Kind)
	}
	want := `"/\xff" file|/" file|/# file|/$(x)/inner file|/' file|/* file|/? file|/a b file|/no/thing absent|/nothing absent|/~ file`
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

// TestFilesOfEveryKind: links are told of as links, folders and pipes not at all.
func TestFilesOfEveryKind(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x\n")
	write(t, dir+"/folder/file", "y\n")
	for name, to := range map[string]string{"link": "file", "broken": "/no where", "cycle": "cycle", "quoted": `"x"`} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := look(t, dir+"/*", dir+"/file")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, strings.TrimPrefix(f.Path, dir+"/")+" "+f.Kind+" "+f.Target+f.SHA256[:min(4, len(f.SHA256))])
	}
	if s := strings.Join(got, "|"); s != `broken link /no where|cycle link cycle|file file 73cb|link link file|quoted link "\"x\""` {
		t.Error(s)
	}
	if _, err := look(t, dir+"/folder"); err == nil || !strings.Contains(err.Error(), "is a folder: write") {
		t.Errorf("got %v", err)
	}
}

// TestALineBreakInANameIsRefused, in the name of a file, a folder, and in a link.
func TestALineBreakInANameIsRefused(t *testing.T) {
	for pattern, make := range map[string]func(dir string){
		"/*":   func(dir string) { write(t, dir+"/a\nabsent\t\t\t", "") },
		"/*/*": func(dir string) { write(t, dir+"/x\n/a", "") },
		"/l*":  func(dir string) { _ = os.Symlink("a\nb", dir+"/link") },
	} {
		dir := t.TempDir()
		make(dir)
		_, err := look(t, dir+pattern)
		if err == nil || !strings.Contains(err.Error(), "has a line break") || !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	}
}

// TestWhatCannotBeReadIsNotEmpty: no file, no folder, and no account.
func TestWhatCannotBeReadIsNotEmpty(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "to become another user needs root")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/closed/a.conf", "")
	write(t, dir+"/unlisted/a.conf", "")
	write(t, dir+"/secret", "")
	for path, mode := range map[string]os.FileMode{"/closed": 0o700, "/unlisted": 0o711, "/secret": 0o600} {
		if err := os.Chmod(dir+path, mode); err != nil {
			t.Fatal(err)
		}
	}
	nobody := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh"}
	for pattern, want := range map[string]string{
		dir + "/closed/*.conf": dir + "/closed cannot be read: log in to the target as root",
		dir + "/closed/a.conf": dir + "/closed cannot be read",
		dir + "/*/a.conf":      dir + "/closed cannot be read",
		dir + "/unlisted/*":    dir + "/unlisted cannot be read",
		dir + "/secret":        dir + "/secret cannot be read",
	} {
		spec := backout.BaselineSpec{Without: []string{backout.PartAccounts, backout.PartUnits}, Files: []string{pattern}}
		_, err := capture.Take(t.Context(), here{shell: nobody}, spec)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if _, err := os.Stat("/etc/sudoers"); err != nil {
		hosttest.Missing(t, "an account file that only root reads comes with sudo: apt-get install sudo")
	}
	_, err := capture.Take(t.Context(), here{shell: nobody}, backout.BaselineSpec{})
	if err == nil || !strings.Contains(err.Error(), "look at accounts: /etc/sudoers") || !strings.Contains(err.Error(), "baseline.without") {
		t.Errorf("got %v", err)
	}
}

// TestPatternsAreChecked before anything is sent.
func TestPatternsAreChecked(t *testing.T) {
	for _, p := range []string{"etc/passwd", "/etc/../x", "/etc//x", "/", "", "/etc/[", "/etc/a\nb", `/etc/\*`, "/etc/"} {
		if _, err := capture.Take(t.Context(), nil, backout.BaselineSpec{Files: []string{p}}); !errors.Is(err, backout.ErrInvalid) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if _, err := capture.Take(t.Context(), nil, backout.BaselineSpec{Without: []string{"packages"}}); !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("without packages: %v", err)
	}
}
