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
		{"preparing again renews", renews},
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
		{"a package that changed its architecture goes back", otherArch},
		{"the history cannot be read", noHistory},
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

func otherArch(t *testing.T, w *world) {
	arch := strings.TrimSpace(w.sh(t, "rpm --eval '%{_arch}'"))
	native := rpm{Name: "boa", Version: "2.0", Config: "port = 2", Arch: arch}
	w.fresh(t, boa1, other)
	w.offer(t, boa1, other, native)
	e := undo(t, `{}`)
	prepared := w.prepare(t, e, "CHG1")
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	task.Prepared = prepared
	if got := w.rpms(t); got != "boa-2.0-1."+arch+" other-1.0-1.noarch" {
		t.Fatalf("the patch made %s", got)
	}
	w.passes(t, e, task)
	w.mustExecute(t, e, task)
	w.probe(t, e, task, backout.ProbeDone)
}

func noHistory(t *testing.T, w *world) {
	w.fresh(t, boa1, other)
	w.offer(t, boa1, other, boa2)
	w.sh(t, "cp /var/lib/dnf/history.sqlite /srv/history; echo garbage >/var/lib/dnf/history.sqlite")
	t.Cleanup(func() { w.sh(t, "cp /srv/history /var/lib/dnf/history.sqlite") })
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "the history of dnf 4.", "cannot be read")
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
