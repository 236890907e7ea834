package dnf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/dnf"
	"github.com/backout-io/backout/executors/executorstest"
)

var (
	boa1 = rpm{Name: "boa", Version: "1.0", Config: "port = 1"}
	boa2 = rpm{Name: "boa", Version: "2.0", Config: "port = 2"}
	boa3 = rpm{Name: "boa", Version: "3.0", Config: "port = 2"}
	// The library's patch brings a package that was not there.
	lib1  = rpm{Name: "lib", Version: "1:1.0", Head: "Requires: boa = 1.0"}
	lib2  = rpm{Name: "lib", Version: "1:2.0", Head: "Requires: boa = 2.0\nRequires: fresh"}
	fresh = rpm{Name: "fresh", Version: "2.0"}
	other = rpm{Name: "other", Version: "1.0"}
	agent = rpm{Name: "agent", Version: "1.0"}
	late  = rpm{Name: "late", Version: "1.0", Head: "Requires: boa >= 2.0"}
)

const (
	before = "boa-1.0-1.noarch lib-1.0-1.noarch other-1.0-1.noarch"
	after  = "boa-2.0-1.noarch fresh-2.0-1.noarch lib-2.0-1.noarch other-1.0-1.noarch"
)

// TestOnAMachine runs the executor's own commands on a machine of its own, with
// real packages, a real repository and dnf.
func TestOnAMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	w := newWorld(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"the patch is undone exactly and held", exactly},
		{"an old rpm that vanished from the repository", vanished},
		{"already undone by somebody else", alreadyUndone},
		{"a later package depends on the new version", laterDependsOnNew},
		{"a later package depends on what the patch added", laterDependsOnAdded},
		{"a later transaction of others is not undone", laterTransaction},
		{"an edited configuration file is told", editedConfig},
		{"kernels and protected packages are refused", protected},
		{"dnf killed in the middle leaves both versions, the next attempt goes on", killed},
		{"a power cut in the middle, the next attempt goes on", powerCut},
		{"another dnf is waited for", anotherDNF},
		{"what was kept is damaged", damaged},
		{"the same version with another content is not kept", rebuilt},
		{"the locks' plugin is missing", noVersionlock},
		{"the download plugin is missing", noDownload},
		{"a lock that was there before stays", lockBefore},
		{"nothing of the patch is in the repositories", nothingPending},
		{"an advisory names its packages", advisory},
		{"a patch of packages takes what they need along", ofPackages},
		{"a dry run leaves nothing behind", dryRun},
		{"a package that the patch removed comes back", removed},
		{"a patch that changed nothing", empty},
		{"the contract of executors", contract},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, w) })
	}
}

// patched is a machine after a patch that was prepared for.
func patched(t *testing.T, w *world, e executor, change string) backout.Task {
	t.Helper()
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	prepared := w.prepare(t, e, change)
	task := w.task(change, w.patch(t, "dnf -q -y upgrade"))
	task.Prepared = prepared
	if got := w.rpms(t); got != after {
		t.Fatalf("the patch made %s", got)
	}
	return task
}

func (w *world) back(t *testing.T, more ...string) {
	t.Helper()
	want := strings.Fields(before)
	want = append(want, more...)
	slices.Sort(want)
	if got := w.rpms(t); got != strings.Join(want, " ") {
		t.Errorf("there is %s, want %s", got, strings.Join(want, " "))
	}
	if got := w.read(t, "opt/boa/version"); got != "1.0\n" {
		t.Errorf("the file of boa is of %s", got)
	}
}

func exactly(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	e := undo(t, `{}`)
	w.passes(t, e, w.task("CHG1", nil))
	prepared := w.prepare(t, e, "CHG1")
	// As long as it is not known what the patch did, what was kept counts.
	task := w.task("CHG1", nil)
	task.Prepared = prepared
	w.passes(t, e, task)
	if got := w.rpms(t); got != before {
		t.Fatalf("preparing changed the packages: %s", got)
	}
	task = w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	task.Prepared = prepared
	w.passes(t, e, task)
	w.probe(t, e, task, backout.ProbeNotDone)
	o, out := w.mustExecute(t, e, task)
	w.back(t)
	w.probe(t, e, task, backout.ProbeDone)
	if got := strings.Join(o.Held, " "); got != "!boa-0:2.0-1.* !fresh-0:2.0-1.* !lib-1:2.0-1.*" {
		t.Errorf("held: %s", got)
	}
	if !strings.Contains(o.Summary, "2 packages back to their old versions, 1 removed; 3 bad versions locked") || !strings.Contains(out, o.Summary) {
		t.Errorf("summary: %s", o.Summary)
	}
	// The same attempt again is attached to.
	again, _, err := w.execute(t, e, task)
	if err != nil || again.Summary != o.Summary || !slices.Equal(again.Held, o.Held) {
		t.Errorf("again: %+v %v", again, err)
	}
	// The automatic updater's next run.
	w.sh(t, "dnf -q -y upgrade")
	w.back(t)
	// A later and better version may come.
	w.offer(t, boa1, boa2, boa3, lib1, lib2, fresh, other)
	w.sh(t, "rpm -e lib; dnf -q -y upgrade")
	if got := w.rpms(t); !strings.Contains(got, "boa-3.0-1") {
		t.Errorf("the lock is on more than the bad version: %s", got)
	}
	if err := e.Release(t.Context(), w.task("CHG1", nil), w.h, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := w.sh(t, "dnf -q versionlock list"); got != "" {
		t.Errorf("after the release there are locks: %s", got)
	}
	if err := e.Release(t.Context(), w.task("CHG1", nil), w.h, io.Discard); err != nil {
		t.Errorf("release again: %v", err)
	}
	for range 2 {
		if err := e.Cleanup(t.Context(), w.task("CHG1", nil), w.h, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if left := w.sh(t, "ls -A /var/lib/backout/stash /var/lib/backout/holds /tmp | grep -e ^CHG -e ^tmp || true"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func vanished(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, other, boa2, lib2, fresh)
	for _, section := range []string{`{}`, `{"stash": false}`} {
		w.refuses(t, undo(t, section), w.task("CHG1", nil), "no enabled repository has boa-0:1.0-1.noarch, lib-1:1.0-1.noarch")
	}
	e := undo(t, `{}`)
	var out bytes.Buffer
	if _, err := e.Prepare(t.Context(), w.task("CHG1", nil), w.h, &out); err == nil || !strings.Contains(err.Error(), "cannot be had: boa-0:1.0-1.noarch") {
		t.Errorf("prepare without the old packages: %v\n%s", err, &out)
	}
	// Kept while they could be had, they come back although no repository has them.
	task := patched(t, w, e, "CHG2")
	w.offer(t, other, boa2, lib2, fresh)
	w.passes(t, e, task)
	bare := task
	bare.Prepared = nil
	w.refuses(t, undo(t, `{"stash": false}`), bare, "boa-0:1.0-1.noarch, lib-1:1.0-1.noarch cannot be had")
	if _, out, err := w.execute(t, undo(t, `{"stash": false}`), w.again(bare)); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("undo without the old packages: %v\n%s", err, out)
	}
	if got := w.rpms(t); got != after {
		t.Fatalf("an undo that could not be done has changed the packages: %s", got)
	}
	w.mustExecute(t, e, w.again(task))
	w.back(t)
}

func alreadyUndone(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.sh(t, "dnf -q -y history undo last")
	w.passes(t, e, task)
	w.probe(t, e, task, backout.ProbeBroken) // not locked yet
	o, _ := w.mustExecute(t, e, task)
	w.probe(t, e, task, backout.ProbeDone)
	w.back(t)
	if len(o.Held) != 3 {
		t.Errorf("held: %v", o.Held)
	}
}

// stays asserts that neither preflight nor execute do anything, and say why.
func (w *world) stays(t *testing.T, e executor, task backout.Task, want string) {
	t.Helper()
	now := w.rpms(t)
	w.refuses(t, e, task, want)
	_, out, err := w.execute(t, e, w.again(task))
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("execute: %v\n%s", err, out)
	}
	if got := w.rpms(t); got != now {
		t.Errorf("there was %s, now there is %s", now, got)
	}
	w.probe(t, e, task, backout.ProbeNotDone)
}

func laterDependsOnNew(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.offer(t, boa1, boa2, lib1, lib2, fresh, other, late)
	w.sh(t, "dnf -q -y install late")
	w.stays(t, e, task, "would also remove late-0:1.0-1.noarch")
}

func laterDependsOnAdded(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	user := rpm{Name: "user", Version: "1.0", Head: "Requires: fresh"}
	w.offer(t, boa1, boa2, lib1, lib2, fresh, other, user)
	w.sh(t, "dnf -q -y install user")
	w.stays(t, e, task, "would also remove user-0:1.0-1.noarch")
}

func laterTransaction(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.offer(t, boa1, boa2, lib1, lib2, fresh, other, agent)
	w.sh(t, "dnf -q -y install agent")
	// The numbers of transactions that nobody knows any more do not matter.
	task.Delta.HistoryFrom, task.Delta.HistoryTo = "98", "99"
	w.passes(t, e, task)
	w.mustExecute(t, e, task)
	w.back(t, "agent-1.0-1.noarch")
}

func editedConfig(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	w.write(t, "etc/opt/boa.conf", "port = 80\n")
	e := undo(t, `{}`)
	prepared := w.prepare(t, e, "CHG1")
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	task.Prepared = prepared
	o, _ := w.mustExecute(t, e, task)
	w.back(t)
	if got := w.read(t, "etc/opt/boa.conf"); got != "port = 80\n" {
		t.Errorf("the edited file is %q", got)
	}
	if !strings.Contains(o.Summary, "/etc/opt/boa.conf.rpmnew") {
		t.Errorf("summary: %s", o.Summary)
	}
}

func protected(t *testing.T, w *world) {
	list := func(version string) []rpm {
		var out []rpm
		for _, name := range []string{"glibc", "kernel-core", "mine", "other"} {
			out = append(out, rpm{Name: name, Version: version})
		}
		return out
	}
	w.fresh(t, list("1.0")...)
	w.offer(t, append(list("1.0"), list("2.0")...)...)
	e := undo(t, `{"protect": ["mi*"]}`)
	w.refuses(t, e, w.task("CHG1", nil), "the kernel (kernel-core)", "boot the old one", "replaces glibc, mine", "level L2")
	w.passes(t, undo(t, `{"allow_protected": true}`), w.task("CHG1", nil))
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	w.refuses(t, e, task, "the kernel (kernel-core)", "replaces glibc, mine")
	if _, _, err := w.execute(t, e, task); !backout.IsPermanent(err) {
		t.Errorf("execute: %v, want a permanent no", err)
	}
	w.mustExecute(t, undo(t, `{"allow_protected": true}`), w.again(task))
	if got := w.rpms(t); got != "glibc-1.0-1.noarch kernel-core-1.0-1.noarch mine-1.0-1.noarch other-1.0-1.noarch" {
		t.Error(got)
	}
}

// slow1 takes its time in the middle of a transaction.
var (
	slow1 = rpm{Name: "slow", Version: "1.0", Post: "posix.sleep(tonumber(io.open('/srv/sleep') and io.open('/srv/sleep'):read('*l') or '0'))"}
	slow2 = rpm{Name: "slow", Version: "2.0"}
	aaa1  = rpm{Name: "aaa", Version: "1.0"}
	aaa2  = rpm{Name: "aaa", Version: "2.0"}
	zzz2  = rpm{Name: "zzz", Version: "2.0"}
)

// halfway starts an undo and returns when it is in the middle.
func halfway(t *testing.T, w *world, e executor) (backout.Task, chan error) {
	t.Helper()
	w.write(t, "srv/sleep", "0")
	w.fresh(t, aaa1, slow1)
	w.offer(t, aaa1, slow1, aaa2, slow2, zzz2)
	prepared := w.prepare(t, e, "CHG1")
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade; dnf -q -y install zzz"))
	task.Prepared = prepared
	w.write(t, "srv/sleep", "60")
	var out recorder
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		_, err := e.Execute(ctx, task, w.h, &out)
		ended <- err
	}()
	out.await(t, "Running scriptlet: slow-1.0-1")
	w.probe(t, e, task, backout.ProbeInProgress)
	t.Cleanup(func() { w.write(t, "srv/sleep", "0") })
	return task, ended
}

const kill = `for p in /proc/[0-9]*; do if [ "$(cat $p/comm 2>/dev/null)" = dnf ]; then kill -9 ${p#/proc/}; fi; done`

func killed(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task, ended := halfway(t, w, e)
	w.sh(t, kill)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "not all packages are back") {
		t.Errorf("execute: %v", err)
	}
	resume(t, w, e, task)
}

func powerCut(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task, ended := halfway(t, w, e)
	w.m.Kill(t)
	w.m.Boot(t)
	if err := <-ended; err == nil {
		t.Error("an attempt that a power cut has ended is a success")
	}
	resume(t, w, e, task)
}

// resume asserts that both versions are there, and that another attempt brings the
// old ones back.
func resume(t *testing.T, w *world, e executor, task backout.Task) {
	t.Helper()
	w.write(t, "srv/sleep", "0")
	if got := w.rpms(t); !strings.Contains(got, "aaa-1.0-1.noarch aaa-2.0-1.noarch") {
		t.Fatalf("it was not in the middle: %s", got)
	}
	if detail := w.probe(t, e, task, backout.ProbeBroken); !strings.Contains(detail, "aaa.noarch is 0:1.0-1 and 0:2.0-1") && !strings.Contains(detail, "aaa.noarch is 0:2.0-1 and 0:1.0-1") {
		t.Errorf("probe: %s", detail)
	}
	next := w.again(task)
	w.passes(t, e, next)
	o, _ := w.mustExecute(t, e, next)
	w.probe(t, e, next, backout.ProbeDone)
	if got := w.rpms(t); got != "aaa-1.0-1.noarch slow-1.0-1.noarch" {
		t.Errorf("there is %s", got)
	}
	if got := w.read(t, "opt/aaa/version") + w.read(t, "opt/slow/version"); got != "1.0\n1.0\n" {
		t.Errorf("the files are of %s", got)
	}
	if len(o.Held) != 3 {
		t.Errorf("held: %v", o.Held)
	}
}

func anotherDNF(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	long := rpm{Name: "long", Version: "1.0", Post: "posix.sleep(8)"}
	w.offer(t, boa1, boa2, lib1, lib2, fresh, other, long)
	done := make(chan string, 1)
	go func() { done <- w.sh(t, "dnf -y install long 2>&1") }()
	w.sh(t, "i=0; until pgrep -x dnf >/dev/null 2>&1 || grep -qs 'dnf' /proc/[0-9]*/comm || [ $i -gt 100 ]; do sleep 0.05; i=$((i+1)); done; sleep 2")
	w.mustExecute(t, e, task)
	if said := <-done; !strings.Contains(said, "Complete!") {
		t.Errorf("the other dnf was disturbed: %s", said)
	}
	w.back(t, "long-1.0-1.noarch")
}

func damaged(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.sh(t, "echo x >>/var/lib/backout/stash/CHG1/boa-0_1.0-1.noarch.rpm")
	w.refuses(t, e, task, "not what was put there: boa-0_1.0-1.noarch.rpm")
	early := task
	early.Delta = nil
	w.refuses(t, e, early, "not what was put there")
	// The repository still has it.
	w.mustExecute(t, e, w.again(task))
	w.back(t)
	w.sh(t, "echo 'x noarch 0:1-1 - -' >>/var/lib/backout/stash/CHG1/manifest")
	w.refuses(t, e, task, "the list /var/lib/backout/stash/CHG1/manifest")
}

func rebuilt(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.sh(t, "rm -f /srv/rpms/boa-1.0-1.noarch.rpm")
	forged := boa1
	forged.Post = "print('forged')"
	w.offer(t, forged, lib1, other, boa2, lib2, fresh)
	var out bytes.Buffer
	_, err := undo(t, `{}`).Prepare(t.Context(), w.task("CHG1", nil), w.h, &out)
	if err == nil || !strings.Contains(err.Error(), "boa-0:1.0-1.noarch is not the package that is installed") {
		t.Errorf("%v\n%s", err, &out)
	}
	w.sh(t, "rm -f /srv/rpms/boa-1.0-1.noarch.rpm")
}

// hidden moves a plugin away while the test runs.
func (w *world) hidden(t *testing.T, plugin string) {
	t.Helper()
	const dir = "/usr/lib/python3/dist-packages/dnf-plugins/"
	w.sh(t, "mv "+dir+plugin+" /srv/"+plugin)
	t.Cleanup(func() { w.sh(t, "mv /srv/"+plugin+" "+dir+plugin) })
}

func noVersionlock(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	w.hidden(t, "versionlock.py")
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "nothing would keep the patch from coming back: dnf 4.", "python3-dnf-plugin-versionlock")
	w.passes(t, undo(t, `{"hold": false}`), w.task("CHG1", nil))
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	if _, _, err := w.execute(t, undo(t, `{}`), task); err == nil || !strings.Contains(err.Error(), "not locked") {
		t.Errorf("execute: %v", err)
	}
	w.back(t)
	w.probe(t, undo(t, `{}`), task, backout.ProbeBroken)
	w.probe(t, undo(t, `{"hold": false}`), task, backout.ProbeDone)
}

func noDownload(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	w.hidden(t, "download.py")
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "cannot download packages", "dnf-plugins-core")
	w.passes(t, undo(t, `{"stash": false}`), w.task("CHG1", nil))
}

func lockBefore(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.write(t, "etc/dnf/plugins/versionlock.list", "# mine\n!boa-0:2.0-1.*\nother-0:1.0-1.*\n")
	o, _ := w.mustExecute(t, e, task)
	if got := strings.Join(o.Held, " "); got != "!fresh-0:2.0-1.* !lib-1:2.0-1.*" {
		t.Errorf("held: %s", got)
	}
	// Another change that locks the same keeps it when the first one releases.
	second := w.again(task)
	second.ChangeID, second.Prepared = "CHG2", nil
	if o, _ := w.mustExecute(t, e, second); len(o.Held) != 2 {
		t.Errorf("held by the second: %v", o.Held)
	}
	const mine = "# mine\n!boa-0:2.0-1.*\nother-0:1.0-1.*\n"
	for _, step := range []struct{ change, want string }{{"CHG1", mine + "!fresh-0:2.0-1.*\n!lib-1:2.0-1.*\n"}, {"CHG2", mine}} {
		if err := e.Release(t.Context(), w.task(step.change, nil), w.h, io.Discard); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSpace(w.read(t, "etc/dnf/plugins/versionlock.list")), "\n")
		want := strings.Split(strings.TrimSpace(step.want), "\n")
		slices.Sort(got[3:])
		slices.Sort(want[3:])
		if !slices.Equal(got, want) {
			t.Errorf("after the release of %s: %q, want %q", step.change, got, want)
		}
	}
}

func nothingPending(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "nothing of the patch", "packages: [...]")
	w.refuses(t, undo(t, `{"packages": ["nosuch*"]}`), w.task("CHG1", nil), "no installed package is called nosuch*")
	e := undo(t, `{"packages": ["bo?", "lib*"]}`)
	w.passes(t, e, w.task("CHG1", nil))
	prepared := w.prepare(t, e, "CHG1")
	if prepared[0].Facts["packages"] != "2" {
		t.Errorf("prepared: %v", prepared)
	}
	// A package that the patch names and nobody has.
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "packages", IDs: []string{"nosuch-2.0-1"}}
	w.refuses(t, undo(t, `{}`), task, "cannot say what the patch will do", "nosuch-2.0-1")
}

func advisory(t *testing.T, w *world) {
	w.fresh(t, boa1, other)
	other2 := rpm{Name: "other", Version: "2.0"}
	w.offer(t, boa1, other, boa2, other2)
	w.write(t, "srv/updateinfo.xml", `<?xml version="1.0"?><updates><update from="a" status="stable" type="security" version="1"><id>RHSA-2026:1001</id><title>boa</title>
<release>9</release><issued date="2026-11-01 00:00:00"/><description>d</description><pkglist><collection short="b"><name>b</name>
<package name="boa" version="2.0" release="1" epoch="0" arch="noarch" src="boa-2.0-1.src.rpm"><filename>boa-2.0-1.noarch.rpm</filename></package>
</collection></pkglist></update></updates>`)
	w.sh(t, "modifyrepo_c --mdtype=updateinfo /srv/updateinfo.xml /srv/repo/repodata >/dev/null && dnf -q clean all")
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "advisory", IDs: []string{"RHSA-2026:1001"}}
	e := undo(t, `{}`)
	w.passes(t, e, task)
	p, err := e.Prepare(t.Context(), task, w.h, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if list := w.read(t, p.Facts["folder"]+"/manifest"); p.Facts["packages"] != "1" || !strings.HasPrefix(list, "boa noarch 0:1.0-1 ") {
		t.Errorf("kept: %s", list)
	}
	task.Patch.IDs = []string{"RHSA-2026:9999"}
	w.refuses(t, e, task, "nothing of the patch")
}

func ofPackages(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh, rpm{Name: "other", Version: "2.0"})
	e := undo(t, `{}`)
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "packages", IDs: []string{"lib-1:2.0-1.noarch"}}
	w.passes(t, e, task)
	p, err := e.Prepare(t.Context(), task, w.h, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if list := w.read(t, p.Facts["folder"]+"/manifest"); p.Facts["packages"] != "2" || !strings.HasPrefix(list, "boa ") || !strings.Contains(list, "\nlib ") {
		t.Errorf("kept: %s", list)
	}
}

func dryRun(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	look := "dnf -q history list | head -n 3; rpm -qa | sort; ls -A /tmp /var/tmp; cat /etc/dnf/plugins/versionlock.list"
	was := w.sh(t, look)
	w.passes(t, e, task)
	early := task
	early.Delta, early.Prepared = nil, nil
	e.Preflight(t.Context(), early, w.h)
	w.probe(t, e, task, backout.ProbeNotDone)
	if now := w.sh(t, look); now != was {
		t.Errorf("before:\n%s\nafter:\n%s", was, now)
	}
}

func removed(t *testing.T, w *world) {
	w.fresh(t, boa1, other)
	successor := rpm{Name: "cobra", Version: "1.0", Head: "Obsoletes: boa < 2.0"}
	w.offer(t, boa1, other, successor)
	e := undo(t, `{}`)
	w.passes(t, e, w.task("CHG1", nil))
	prepared := w.prepare(t, e, "CHG1")
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	task.Prepared = prepared
	if got := w.rpms(t); got != "cobra-1.0-1.noarch other-1.0-1.noarch" {
		t.Fatalf("the patch made %s", got)
	}
	w.passes(t, e, task)
	w.mustExecute(t, e, task)
	if got := w.rpms(t); got != "boa-1.0-1.noarch other-1.0-1.noarch" {
		t.Errorf("there is %s", got)
	}
}

func empty(t *testing.T, w *world) {
	w.fresh(t, other)
	e := undo(t, `{}`)
	task := w.task("CHG1", &backout.Delta{Manager: "rpm"})
	w.passes(t, e, task)
	w.mustExecute(t, e, task)
	w.probe(t, e, task, backout.ProbeDone)
}

// knowing is the executor with a delta in every task, as the engine would fill it in.
type knowing struct {
	executor

	delta *backout.Delta
}

func (k knowing) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	t.Delta = k.delta
	return k.executor.Execute(ctx, t, h, out)
}

func (k knowing) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	t.Delta = k.delta
	return k.executor.Preflight(ctx, t, h)
}

func contract(t *testing.T, w *world) {
	wait := "while io.open('/srv/wait') do posix.sleep(1) end"
	long1, long2 := rpm{Name: "lingers", Version: "1.0", Post: wait}, rpm{Name: "lingers", Version: "2.0"}
	w.fresh(t, long1)
	w.offer(t, long1, long2)
	d := w.patch(t, "dnf -q -y upgrade")
	t.Cleanup(func() { w.sh(t, "rm -f /srv/wait") })
	slow := false
	kind := executors.Define(dnf.Name, "with a delta", func(_ context.Context, c dnf.Config) (backout.Executor, error) {
		if c.AllowProtected && !slow { // the slow section: the patch is there again
			slow = true
			w.sh(t, "dnf -q -y --setopt=disable_excludes=all upgrade lingers; touch /srv/wait")
		}
		section, err := json.Marshal(c)
		return knowing{undo(t, string(section)), d}, err
	})
	executorstest.Run(t, executorstest.Suite{
		Kind: kind, Host: w.h, Quick: `{"hold": false}`,
		Effects: func() int { return strings.Count(w.sh(t, "dnf -q history list"), "\n") },
		Slow:    `{"hold": false, "allow_protected": true}`, SlowSays: "Running scriptlet: lingers-1.0-1", Release: func() { w.sh(t, "rm -f /srv/wait") },
		Bad: map[string]string{
			`{"packages": ["-y"]}`:        "not a pattern",
			`{"packages": ["a b"]}`:       "not a pattern",
			`{"protect": ["$(id)"]}`:      "protect",
			`{"packages": ["a;b", "c"]}`:  "not a pattern",
			`{"stash": "maybe"}`:          "bool",
			`{"protect": ["a/../b", ""]}`: "not a pattern",
		},
	})
}
