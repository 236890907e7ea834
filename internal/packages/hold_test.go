package packages

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// bench runs the script of locks with its files in a folder of the test and the
// package manager played by a script.
type bench struct {
	t    *testing.T
	dir  string
	path string
}

func newBench(t *testing.T, tools map[string]string) *bench {
	b := &bench{t: t, dir: t.TempDir()}
	b.path = filepath.Join(b.dir, "bin")
	for _, d := range []string{"bin", "etc/dnf/plugins", "etc/yum/pluginconf.d"} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range tools {
		b.write("bin/"+name, "#!/bin/sh\ncd "+b.dir+" || exit 1\n"+text)
	}
	for _, name := range strings.Fields("awk cat chmod cut grep id mkdir mv readlink rm sed sh sort sync tail tr") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal("no " + name + " here")
		}
		if err := os.Symlink(path, filepath.Join(b.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		return ""
	}
	return string(data)
}

func (b *bench) run(verb HoldVerb, front Front, change string, changes ...backout.PackageChange) (locks []Lock, exit int, said string) {
	b.t.Helper()
	e := Hold(verb, front, change, changes)
	e.Argv[2] = strings.NewReplacer("/etc/", b.dir+"/etc/", "/var/lib/backout", b.dir+"/state").Replace(e.Argv[2])
	cmd := exec.Command(e.Argv[0], e.Argv[1:]...)
	cmd.Env = []string{"PATH=" + b.path}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		b.t.Fatal(err)
	}
	locks, err = ParseLocks(out.Bytes(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return locks, cmd.ProcessState.ExitCode(), out.String() + errs.String()
}

func (b *bench) must(verb HoldVerb, front Front, change string, changes ...backout.PackageChange) []Lock {
	b.t.Helper()
	locks, exit, said := b.run(verb, front, change, changes...)
	if exit != 0 {
		b.t.Fatalf("exit %d: %s", exit, said)
	}
	return locks
}

var (
	boa = backout.PackageChange{Name: "boa", Arch: "noarch", From: "0:1.0-1", To: "0:2.0-1"}
	lib = backout.PackageChange{Name: "lib", Arch: "x86_64", From: "1:1.0-1.el7", To: "1:2.0-1.el7"}
)

// fronts are the managers: how each plays, where its locks are, and what they are
// called.
var fronts = map[string]struct {
	front Front
	tools map[string]string
	files map[string]string
	locks string
	list  string
}{
	"dnf": {
		FrontDNF,
		map[string]string{"dnf": "case $* in *'versionlock list'*) grep -v '^#' etc/dnf/plugins/versionlock.list | grep .;; *--help*) ;; *) exit 1;; esac; exit 0"},
		map[string]string{"etc/dnf/plugins/versionlock.conf": "[main]\nenabled = 1\nlocklist = DIR/etc/dnf/plugins/versionlock.list\n"},
		"!boa-0:2.0-1.* !lib-1:2.0-1.el7.*", "etc/dnf/plugins/versionlock.list",
	},
	"yum": {
		FrontRPM,
		map[string]string{"yum": "case $* in *'versionlock list'*) cat etc/yum/pluginconf.d/versionlock.list;; *) exit 1;; esac"},
		map[string]string{"etc/yum/pluginconf.d/versionlock.conf": "[main]\nenabled = 1\nlocklist=DIR/etc/yum/pluginconf.d/versionlock.list\n", "etc/yum/pluginconf.d/versionlock.list": ""},
		"!0:boa-2.0-1.* !1:lib-2.0-1.el7.*", "etc/yum/pluginconf.d/versionlock.list",
	},
	"dnf5": {
		FrontRPM,
		map[string]string{"dnf5": "exit 1"},
		nil,
		"boa != 0:2.0-1|lib != 1:2.0-1.el7", "etc/dnf/versionlock.toml",
	},
	"zypper": {
		FrontZypper,
		map[string]string{"zypper": `touch locks; for last; do :; done
case $* in *addlock*) grep -qxF "$last" locks || echo "$last" >>locks ;; *removelock*) grep -vxF "$last" locks >more; mv more locks ;;
*) [ -s locks ] || { echo; echo "There are no package locks defined."; exit 0; }
printf '\n# | Name           | Type    | Repository\n--+----------------+---------+-----------\n'; i=0; while read -r l; do i=$((i+1)); echo "$i | $l | package | (any)"; done <locks ;; esac`, "touch": ": >>$1"},
		nil,
		"boa == 0:2.0-1|lib == 1:2.0-1.el7", "locks",
	},
	"apt": {
		FrontAPT,
		map[string]string{"dpkg": "echo amd64", "apt-mark": `: >>holds; for last; do :; done
case $1 in hold) echo "$last" >>holds; echo "$last set on hold." ;; unhold) grep -vxF "$last" holds >more; mv more holds ;; *) cat holds ;; esac`},
		nil,
		"boa lib:i386", "holds",
	},
}

// changesOf are the changes with versions and architectures of the manager.
func changesOf(name string) []backout.PackageChange {
	if name == "apt" {
		return []backout.PackageChange{{Name: "boa", Arch: "amd64", From: "1.0", To: "2.0"}, {Name: "lib", Arch: "i386", From: "1.0", To: "2.0"}}
	}
	return []backout.PackageChange{boa, lib}
}

func benchOf(t *testing.T, name string) (*bench, Front, []string) {
	t.Helper()
	f := fronts[name]
	b := newBench(t, f.tools)
	for file, text := range f.files {
		b.write(file, strings.ReplaceAll(text, "DIR", b.dir))
	}
	sep := " "
	if strings.Contains(f.locks, "|") {
		sep = "|"
	}
	return b, f.front, strings.Split(f.locks, sep)
}

func TestLocksOfEveryFront(t *testing.T) {
	for name := range fronts {
		t.Run(name, func(t *testing.T) {
			b, front, want := benchOf(t, name)
			changes := changesOf(name)
			if free := Free(b.must(HoldLook, front, "CHG1", changes...)); strings.Join(free, "|") != strings.Join(want, "|") {
				t.Errorf("free: %v, want %v", free, want)
			}
			if b.read("state/holds/CHG1") != "" {
				t.Error("a look left a record")
			}
			for range 2 { // a second time changes nothing
				locks := b.must(HoldPlace, front, "CHG1", changes...)
				if got := Ours(locks); strings.Join(got, "|") != strings.Join(want, "|") {
					t.Fatalf("ours: %v, want %v", got, want)
				}
			}
			was := b.read(fronts[name].list)
			if locks := b.must(HoldLook, front, "CHG2", changes...); len(Ours(locks)) != 0 || len(Free(locks)) != 0 {
				t.Errorf("another change sees %+v", locks)
			}
			// A second change holds them too: the first one's release leaves them.
			b.must(HoldPlace, front, "CHG2", changes...)
			b.must(HoldRelease, front, "CHG1")
			if got := b.read(fronts[name].list); got != was {
				t.Errorf("after the first release: %q, want %q", got, was)
			}
			b.must(HoldRelease, FrontAny, "CHG2")
			b.must(HoldRelease, FrontAny, "CHG2")
			if free := Free(b.must(HoldLook, front, "CHG1", changes...)); len(free) != 2 {
				t.Errorf("after the release there is %q", b.read(fronts[name].list))
			}
		})
	}
}

// TestALockThatWasThereBeforeStays, and one that was placed by an attempt which was
// killed before it could say so is ours.
func TestALockThatWasThereBeforeStays(t *testing.T) {
	for name := range fronts {
		t.Run(name, func(t *testing.T) {
			b, front, want := benchOf(t, name)
			changes := changesOf(name)
			b.must(HoldPlace, front, "CHG0", changes[0])
			if err := os.RemoveAll(filepath.Join(b.dir, "state")); err != nil { // now it is somebody's own
				t.Fatal(err)
			}
			if got := Ours(b.must(HoldPlace, front, "CHG1", changes...)); len(got) != 1 || got[0] != want[1] {
				t.Errorf("ours: %v", got)
			}
			b.must(HoldRelease, front, "CHG1")
			if free := Free(b.must(HoldLook, front, "CHG1", changes...)); len(free) != 1 || free[0] != want[1] {
				t.Errorf("after the release is free: %v", free)
			}
		})
	}
}

// TestDNF5AlternativesDoNotOpenTheLock: entries of one name are alternatives, so an
// exclude of its own beside another entry would lock nothing.
// TestAListThatEndsWithoutALineBreak: somebody's editor has left it so. Their last
// lock must not grow together with ours.
func TestAListThatEndsWithoutALineBreak(t *testing.T) {
	b, front, _ := benchOf(t, "dnf")
	b.write("etc/dnf/plugins/versionlock.list", "theirs-0:1-1.*")
	b.must(HoldPlace, front, "CHG1", changesOf("dnf")...)
	if got := b.read("etc/dnf/plugins/versionlock.list"); !strings.HasPrefix(got, "theirs-0:1-1.*\n!") {
		t.Errorf("the list is %q", got)
	}
}

// TestAListThatIsALink: a tool that manages the configuration has put it elsewhere.
func TestAListThatIsALink(t *testing.T) {
	b, front, _ := benchOf(t, "dnf")
	b.write("elsewhere", "theirs-0:1-1.*\n")
	list := filepath.Join(b.dir, "etc/dnf/plugins/versionlock.list")
	if err := os.Symlink("../../../elsewhere", list); err != nil {
		t.Fatal(err)
	}
	b.must(HoldPlace, front, "CHG1", changesOf("dnf")...)
	if info, err := os.Lstat(list); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if got := b.read("elsewhere"); !strings.Contains(got, "!boa-") {
		t.Errorf("the list is %q", got)
	}
}

func TestDNF5AlternativesDoNotOpenTheLock(t *testing.T) {
	b, front, _ := benchOf(t, "dnf5")
	const mine = "version = \"1.0\"\n\n[[packages]]\nname = \"boa\"\ncomment = \"mine\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"!=\"\nvalue = \"0:1.5-1\"\n\n" +
		"[[packages]]\nname = \"acpi\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"<\"\nvalue = \"4\"\n"
	b.write("etc/dnf/versionlock.toml", mine)
	b.must(HoldPlace, front, "CHG1", boa)
	got := b.read("etc/dnf/versionlock.toml")
	if strings.Count(got, `name = "boa"`) != 1 || !strings.Contains(got, `value = "0:1.5-1"`) || !strings.Contains(got, `value = "0:2.0-1"`) || !strings.Contains(got, `value = "4"`) {
		t.Errorf("placed: %s", got)
	}
	b.must(HoldRelease, front, "CHG1")
	if got := b.read("etc/dnf/versionlock.toml"); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(mine), " ") {
		t.Errorf("released: %s", got)
	}
	// One that locks the name in another way is in the way.
	other := strings.Replace(mine, `comparator = "!="`, `comparator = "<="`, 1)
	b.write("etc/dnf/versionlock.toml", other)
	if _, exit, said := b.run(HoldPlace, front, "CHG1", boa); exit == 0 || !strings.Contains(said, "another lock on boa") {
		t.Errorf("exit %d: %s", exit, said)
	}
	if got := b.read("etc/dnf/versionlock.toml"); got != other {
		t.Errorf("somebody's lock was changed: %s", got)
	}
	b.write("etc/dnf/versionlock.toml", "[[packages]]\nname = \"boa\"\nconditions = [{key = \"evr\"}]\n")
	if _, exit, said := b.run(HoldLook, front, "CHG1", boa); exit != HoldNoLocks || !strings.Contains(said, "not in the form") {
		t.Errorf("exit %d: %s", exit, said)
	}
}

// TestLocksThatDoNotWork: the front cannot lock, and says what to install.
func TestLocksThatDoNotWork(t *testing.T) {
	for name, c := range map[string]struct {
		front Front
		tools map[string]string
		conf  string
		want  string
	}{
		"the configuration stays when the plugin is removed": {FrontDNF, map[string]string{"dnf": "echo 'No such command: versionlock.' >&2; exit 1"}, "[main]\n", "install python3-dnf-plugin-versionlock"},
		"the plugin is switched off":                         {FrontDNF, map[string]string{"dnf": "exit 0"}, "[main]\nenabled = 0\n", "switched off"},
		"no manager at all":                                  {FrontRPM, nil, "", "no dnf, yum or zypper"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.tools)
			b.write("etc/dnf/plugins/versionlock.conf", c.conf)
			for _, verb := range []HoldVerb{HoldLook, HoldPlace} {
				if _, exit, said := b.run(verb, c.front, "CHG1", boa); exit != HoldNoLocks || !strings.Contains(said, c.want) {
					t.Errorf("%s: exit %d: %s", verb, exit, said)
				}
			}
			b.must(HoldRelease, c.front, "CHG1")
		})
	}
}

func TestExplain(t *testing.T) {
	if err := Explain(errors.New("exit code 3"), []byte("x\nbackout: first\nbackout: the reason\n")); err.Error() != "exit code 3: the reason" {
		t.Error(err)
	}
	if Explain(nil, []byte("backout: x\n")) != nil {
		t.Error("an error was made of nothing")
	}
}
