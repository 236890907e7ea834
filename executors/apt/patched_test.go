package apt_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/apt"
	"github.com/backout-io/backout/internal/host/hosttest"
	"github.com/backout-io/backout/internal/host/ssh"
)

// patched installs the first packages, patches to the second, and returns the state
// before and a task with the delta.
func (b *box) patched(t *testing.T, first, second []deb) (map[string]string, backout.Task) {
	t.Helper()
	b.add(t, first...)
	names := []string{"install"}
	for _, d := range first {
		names = append(names, d.name)
	}
	b.apt(t, names...)
	before := b.state(t)
	b.add(t, second...)
	b.apt(t, "dist-upgrade")
	task := b.task("a")
	task.Delta = b.delta(t, before)
	return before, task
}

func one(version string) []deb { return []deb{{name: "bo-a", version: version}} }

// onlyTheLibrary: apt's own simulation of this returns 0.
func onlyTheLibrary(t *testing.T, b *box) {
	app := func(v string) []deb {
		return []deb{{name: "bo-app", version: v, depends: "bo-lib (= " + v + ")"}, {name: "bo-lib", version: v}}
	}
	_, task := b.patched(t, app("1"), app("2"))
	says(t, b.Do(t, "apt-get", "-s", "-y", "--allow-downgrades", "install", "bo-lib=1"), "Remv bo-app")
	e := undo(t, `{"packages": ["bo-l*"]}`)
	says(t, b.preflight(t, e, task), "solver: apt cannot bring the old versions back", "remove is disabled")
	patched := b.state(t)
	var out bytes.Buffer
	if o, err := e.Execute(t.Context(), task, b.host, &out); err == nil || o.ExitCode != 5 || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("%+v %v", o, err)
	}
	if got := b.state(t); !maps.Equal(got, patched) {
		t.Errorf("it was not done by halves: %v", got)
	}
	if p := b.probe(t, e, task); p.State != backout.ProbeNotDone {
		t.Errorf("%+v", p)
	}
}

// conffileEOF: the patch itself has run into it, and left iU. The file stays as it
// was edited, also where the target prefers new ones.
func conffileEOF(t *testing.T, b *box) {
	conf := func(v string) []deb { return []deb{{name: "bo-c", version: v, conf: "shipped " + v}} }
	b.add(t, conf("1")...)
	b.apt(t, "install", "bo-c")
	before := b.state(t)
	b.Do(t, "sh", "-c", "echo edited >/etc/bo-c.conf")
	b.add(t, conf("2")...)
	says(t, b.Do(t, "sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get -y install bo-c=2 </dev/null 2>&1; echo rc $?"), "end of file on stdin at conffile prompt", "rc 100")
	says(t, b.Do(t, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "bo-c"), "iU")
	task := b.task("a")
	task.Delta = &backout.Delta{Manager: "dpkg", Packages: []backout.PackageChange{{Name: "bo-c", Arch: "all", From: "1", To: "2"}}}
	e := undo(t, `{}`)
	if p := b.probe(t, e, task); p.State != backout.ProbeBroken || !strings.Contains(p.Detail, "bo-c (iU)") {
		t.Errorf("%+v", p)
	}
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("what the patch left half done is in the way: %s", v)
	}
	b.Do(t, "sh", "-c", `echo 'Dpkg::Options {"--force-confnew";};' >/etc/apt/apt.conf.d/99new`)
	b.execute(t, e, task, before)
	b.Do(t, "rm", "/etc/apt/apt.conf.d/99new")
	if got := b.Do(t, "cat", "/etc/bo-c.conf"); got != "edited\n" {
		t.Errorf("the configuration is %q", got)
	}
}

func alreadyDone(t *testing.T, b *box) {
	before, task := b.patched(t, one("1"), one("2"))
	e := undo(t, `{}`)
	b.execute(t, e, task, before)
	transactions := b.transactions(t)
	task.AttemptID += "-again"
	o, out := b.execute(t, e, task, before)
	if got := b.transactions(t); got != transactions {
		t.Errorf("%d transactions instead of %d:\n%s", got, transactions, out)
	}
	if len(o.Held) != 1 {
		t.Errorf("held %q", o.Held)
	}
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("preflight of what is done: %s", v)
	}
}

func withoutStash(t *testing.T, b *box) {
	b.add(t, one("1")...)
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	b.add(t, one("2")...)
	e := undo(t, `{"stash": false}`)
	if v := b.preflight(t, e, b.task("p")); v != "" {
		t.Errorf("while the repository has it: %s", v)
	}
	prepared := b.prepare(t, e)
	b.gone(t, "bo-a_1_all.deb")
	says(t, b.preflight(t, e, b.task("p")), "versions: no repository of the target has bo-a 1 any more", "set stash: true")
	task := b.task("p")
	task.Prepared = prepared
	says(t, b.preflight(t, e, task), "versions: neither kept nor in a repository: bo-a all 1")
	b.apt(t, "upgrade")
	task.Delta = b.delta(t, before)
	says(t, b.preflight(t, e, task), "versions: neither kept")
	var out bytes.Buffer
	if o, err := e.Execute(t.Context(), task, b.host, &out); err == nil || o.ExitCode != 4 {
		t.Errorf("%+v %v", o, err)
	}
	b.add(t, one("1")...)
	task.AttemptID += "-again"
	b.execute(t, e, task, before)
}

func holdsBefore(t *testing.T, b *box) {
	two := func(v string) []deb { return []deb{{name: "bo-a", version: v}, {name: "bo-b", version: v}} }
	before, task := b.patched(t, two("1"), two("2"))
	b.Do(t, "apt-mark", "hold", "bo-a")
	e := undo(t, `{}`)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("a hold is in the way: %s", v)
	}
	o, _ := b.execute(t, e, task, before)
	if got := strings.Join(o.Held, " "); got != "bo-b" {
		t.Errorf("held by the step: %q", got)
	}
	if got := b.Do(t, "apt-mark", "showhold"); got != "bo-a\nbo-b\n" {
		t.Errorf("held: %q", got)
	}
	h, ok := e.(backout.Holder)
	if !ok {
		t.Fatal("cannot release")
	}
	for _, attempt := range []string{"release", "again"} {
		release := b.task(attempt)
		if err := h.Release(t.Context(), release, b.host, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if got := b.Do(t, "apt-mark", "showhold"); got != "bo-a\n" {
			t.Errorf("after the release: %q", got)
		}
	}
}

func addedByThePatch(t *testing.T, b *box) {
	first := one("1")
	second := []deb{{name: "bo-a", version: "2", depends: "bo-x, bo-y"}, {name: "bo-x", version: "1"}, {name: "bo-y", version: "1"}}
	before, task := b.patched(t, first, second)
	b.add(t, deb{name: "bo-own", version: "1", depends: "bo-x"})
	b.apt(t, "install", "bo-own")
	e := undo(t, `{}`)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("preflight: %s", v)
	}
	// Nothing of the patch goes where a part of it is needed: which part cannot be
	// told without asking apt for each.
	want := map[string]string{"bo-a": "1", "bo-x": "1", "bo-y": "1", "bo-own": "1"}
	o, out := b.execute(t, e, task, want)
	says(t, out, "kept|bo-x- bo-y-")
	says(t, o.Summary, "needs it", "bo-own")
	b.apt(t, "remove", "bo-own")
	if p := b.probe(t, e, task); p.State != backout.ProbeBroken {
		t.Errorf("what nothing needs is still there: %+v", p)
	}
	task.AttemptID += "-again"
	b.execute(t, e, task, before)
}

func removedByThePatch(t *testing.T, b *box) {
	first := []deb{{name: "bo-a", version: "1"}, {name: "bo-old", version: "1"}}
	second := []deb{{name: "bo-a", version: "2", extra: "Conflicts: bo-old\n"}}
	b.add(t, first...)
	b.apt(t, "install", "bo-a", "bo-old")
	before := b.state(t)
	b.add(t, second...)
	e := undo(t, `{}`)
	prepared := b.prepare(t, e)
	b.gone(t, "*_1_all.deb")
	b.apt(t, "dist-upgrade")
	task := b.task("a")
	task.Prepared, task.Delta = prepared, b.delta(t, before)
	if len(task.Delta.Packages) != 2 {
		t.Fatalf("%+v", task.Delta)
	}
	b.execute(t, e, task, before)
}

func otherArchitecture(t *testing.T, b *box) {
	native := strings.TrimSpace(b.Do(t, "dpkg", "--print-architecture"))
	b.add(t, one("1")...)
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	b.add(t, deb{name: "bo-a", version: "2", arch: native})
	b.apt(t, "upgrade")
	task := b.task("a")
	task.Delta = &backout.Delta{Manager: "dpkg", Packages: []backout.PackageChange{
		{Name: "bo-a", Arch: "all", From: "1"}, {Name: "bo-a", Arch: native, To: "2"},
	}}
	o, _ := b.execute(t, undo(t, `{}`), task, before)
	if len(o.Held) != 1 {
		t.Errorf("held %q", o.Held)
	}
}

func killedHalfWay(t *testing.T, b *box) {
	slow := func(v, script string) []deb {
		return []deb{{name: "bo-app", version: v, depends: "bo-lib (= " + v + ")"}, {name: "bo-lib", version: v, postinst: script}}
	}
	gate := `echo reached; i=0; while [ -e /tmp/bo-gate ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done`
	before, task := b.patched(t, slow("1", gate), slow("2", ":"))
	b.Do(t, "touch", "/tmp/bo-gate")
	e := undo(t, `{}`)
	reached := &awaits{text: "reached", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { _, err := e.Execute(t.Context(), task, b.host, reached); ended <- err }()
	select {
	case <-reached.seen:
	case err := <-ended:
		t.Fatalf("ended early: %v\n%s", err, reached.got.Bytes())
	case <-time.After(time.Minute):
		t.Fatal("dpkg does not get as far")
	}
	if p := b.probe(t, e, task); p.State != backout.ProbeInProgress {
		t.Errorf("while it runs: %+v", p)
	}
	b.Do(t, "sh", "-c", `read -r p rest <"$0/pid"; kill -s KILL -- "-$p"`, b.Attempts+"/"+task.AttemptID)
	if err := <-ended; err == nil {
		t.Error("killed and well")
	}
	b.Do(t, "rm", "/tmp/bo-gate")
	if p := b.probe(t, e, task); p.State != backout.ProbeBroken {
		t.Errorf("after the kill: %+v", p)
	}
	task.AttemptID += "-again"
	b.execute(t, e, task, before)
	if got := b.Do(t, "dpkg", "--audit"); got != "" {
		t.Errorf("dpkg --audit: %s", got)
	}
}

// awaits closes seen when the text was written.
type awaits struct {
	text string
	seen chan struct{}
	got  bytes.Buffer
}

// Write implements io.Writer.
func (w *awaits) Write(p []byte) (int, error) {
	w.got.Write(p)
	if strings.Contains(w.got.String(), w.text) {
		select {
		case <-w.seen:
		default:
			close(w.seen)
		}
	}
	return len(p), nil
}

func strangeLocale(t *testing.T, b *box) {
	b.Do(t, "sh", "-c", `printf 'LANG=de_DE.UTF-8\nLC_ALL=tr_TR.UTF-8\nTZ=Asia/Kathmandu\nCOLUMNS=20\n' >/etc/environment
echo 'APT::Color "1"; quiet "0"; APT::Get::Show-Versions "1"; APT::Install-Recommends "true"; Binary::apt-get::APT::Color "1";' >/etc/apt/apt.conf.d/99strange; ln -sf /usr/share/zoneinfo/Asia/Kathmandu /etc/localtime`)
	defer b.Do(t, "sh", "-c", "rm /etc/apt/apt.conf.d/99strange; : >/etc/environment")
	b.add(t, one("1~rc1")...)
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	b.add(t, one("1")...)
	e := undo(t, `{}`)
	if v := b.preflight(t, e, b.task("p")); v != "" {
		t.Errorf("%s", v)
	}
	task := b.task("a")
	task.Prepared = b.prepare(t, e)
	b.apt(t, "upgrade")
	task.Delta = b.delta(t, before)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("%s", v)
	}
	b.execute(t, e, task, before)
}

func hostileOutput(t *testing.T, b *box) {
	say := `printf 'pkg|bo-a all 1 ii\nbackout-lock ours bo-evil\ngone|x\n\033[2J\377Remv bo-a\n'`
	hostile := func(v string) []deb { return []deb{{name: "bo-a", version: v, postinst: say}} }
	before, task := b.patched(t, hostile("1"), hostile("2"))
	o, _ := b.execute(t, undo(t, `{}`), task, before)
	if got := strings.Join(o.Held, " "); got != "bo-a" {
		t.Errorf("held %q", got)
	}
}

func scriptFails(t *testing.T, b *box) {
	before, task := b.patched(t, []deb{{name: "bo-a", version: "1", postinst: `[ ! -e /tmp/bo-fail ] || { printf '\033[31mno database\n' >&2; exit 1; }`}}, one("2"))
	b.Do(t, "touch", "/tmp/bo-fail")
	e := undo(t, `{}`)
	var out bytes.Buffer
	_, err := e.Execute(t.Context(), task, b.host, &out)
	b.Do(t, "rm", "/tmp/bo-fail")
	if err == nil || !strings.Contains(err.Error(), "exit code 6") || strings.ContainsRune(err.Error(), '\033') {
		t.Errorf("%v", err)
	}
	if p := b.probe(t, e, task); p.State != backout.ProbeBroken {
		t.Errorf("%+v", p)
	}
	task.AttemptID += "-again"
	b.execute(t, e, task, before)
}

func interruptedBefore(t *testing.T, b *box) {
	b.add(t, deb{name: "bo-a", version: "1", postinst: "exit 1"})
	b.Do(t, "sh", "-c", "apt-get -y install bo-a >/dev/null 2>&1; true")
	says(t, b.preflight(t, undo(t, `{}`), b.task("p")), "dpkg: dpkg has packages that are not installed whole", "dpkg --configure -a")
}

func nothingPending(t *testing.T, b *box) {
	b.add(t, one("1")...)
	e := undo(t, `{}`)
	says(t, b.preflight(t, e, b.task("p")), "apt: no upgrade is pending", "apt-get update")
	b.Do(t, "sh", "-c", "mkdir /tmp/lists && mv /var/lib/apt/lists/*Packages* /tmp/lists")
	says(t, b.preflight(t, e, b.task("p")), "apt: the target has no package lists", "apt-get update")
	b.Do(t, "sh", "-c", "mv /tmp/lists/* /var/lib/apt/lists && rmdir /tmp/lists")
	b.Do(t, "sh", "-c", "mv /usr/bin/dpkg-deb /usr/bin/dpkg-deb.away")
	says(t, b.preflight(t, e, b.task("p")), "tools: dpkg-deb is not there | install dpkg")
	b.Do(t, "sh", "-c", "mv /usr/bin/dpkg-deb.away /usr/bin/dpkg-deb")
}

func protectedRefused(t *testing.T, b *box) {
	base := func(v string) []deb {
		return []deb{{name: "bo-base", version: v, extra: "Essential: yes\n"}}
	}
	before, task := b.patched(t, base("1"), base("2"))
	says(t, b.preflight(t, undo(t, `{}`), task), "protected: the running system stands on bo-base", "allow_protected: true")
	b.gone(t, "bo-base_2_all.deb")
	b.add(t, base("3")...)
	says(t, b.preflight(t, undo(t, `{}`), b.task("p")), "protected: the running system stands on bo-base")
	e := undo(t, `{"allow_protected": true}`)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("allowed: %s", v)
	}
	b.execute(t, e, task, before)
}

func spoiltStash(t *testing.T, b *box) {
	b.add(t, one("1")...)
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	b.add(t, one("2")...)
	e := undo(t, `{}`)
	task := b.task("a")
	task.Prepared = b.prepare(t, e)
	file := "/var/lib/backout/stash/CHG0030001/apt/debs/bo-a_1_all.deb"
	b.Do(t, "sh", "-c", "echo x >>"+file)
	says(t, b.preflight(t, e, task), "stash: the kept file is not the one that was kept: bo-a all 1")
	b.apt(t, "upgrade")
	task.Delta = b.delta(t, before)
	says(t, b.preflight(t, e, task), "stash: the kept file is not the one")
	_, out := b.execute(t, e, task, before)
	says(t, out, "spoilt|bo-a all 1")
	b.Do(t, "apt-mark", "unhold", "bo-a")
	task.Prepared, task.Delta = b.prepare(t, e), nil
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("prepared anew: %s", v)
	}
}

func cacheAndRepack(t *testing.T, b *box) {
	two := func(v string) []deb {
		return []deb{{name: "bo-a", version: v}, {name: "bo-c", version: v, conf: "shipped " + v}}
	}
	b.add(t, two("1:1")...)
	b.apt(t, "install", "bo-a", "bo-c")
	before := b.state(t)
	b.Do(t, "sh", "-c", "cp /srv/repo/bo-a_1_all.deb /var/cache/apt/archives/bo-a_1%3a1_all.deb; head -c -60 /srv/repo/bo-c_1_all.deb >/var/cache/apt/archives/bo-c_1%3a1_all.deb")
	says(t, b.Do(t, "dpkg-deb", "-W", "/var/cache/apt/archives/bo-c_1%3a1_all.deb"), "bo-c\t1:1")
	b.gone(t, "*")
	b.add(t, two("1:2")...)
	e := undo(t, `{}`)
	if v := b.preflight(t, e, b.task("p")); v != "" {
		t.Errorf("%s", v)
	}
	task := b.task("a")
	task.Prepared = b.prepare(t, e)
	facts := task.Prepared[0].Facts
	says(t, facts["package bo-a:all"], "1:1 ", " cache")
	says(t, facts["package bo-c:all"], "1:1 ", " repacked")
	b.Do(t, "sh", "-c", "rm /var/cache/apt/archives/bo-a_*")
	b.apt(t, "upgrade")
	task.Delta = b.delta(t, before)
	b.execute(t, e, task, before)
}

func lockHeld(t *testing.T, b *box) {
	before, task := b.patched(t, one("1"), one("2"))
	b.Do(t, "systemd-run", "-q", "--unit=bo-lock", "python3", "-c", "import fcntl,time; f=[open('/var/lib/dpkg/lock'+x,'w') for x in ('-frontend','')]; [fcntl.lockf(x,2) for x in f]; time.sleep(8)")
	b.Do(t, "sleep", "1")
	e := undo(t, `{}`)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("one who has just begun is waited for: %s", v)
	}
	b.execute(t, e, task, before)
}

func byIDs(t *testing.T, b *box) {
	two := func(v string) []deb { return []deb{{name: "bo-a", version: v}, {name: "bo-b", version: v}} }
	b.add(t, two("1")...)
	b.apt(t, "install", "bo-a", "bo-b")
	b.add(t, two("2")...)
	e := undo(t, `{}`)
	p, ok := e.(backout.Preparer)
	if !ok {
		t.Fatal("nothing can be prepared")
	}
	task := b.task("prepare")
	task.Patch = backout.Patch{Kind: "packages", IDs: []string{"bo-b=2"}}
	made, err := p.Prepare(t.Context(), task, b.host, &bytes.Buffer{})
	if err != nil || made.Facts["package bo-b:all"] == "" || made.Facts["package bo-a:all"] != "" {
		t.Errorf("%+v %v", made, err)
	}
	for id, want := range map[string]string{"bo-b=9": "Version '9' for 'bo-b' was not found", "bo-z": "Unable to locate package", "-x": "is not a package of apt", "a b; id": "is not a package of apt"} {
		task.Patch.IDs = []string{id}
		says(t, b.preflight(t, e, task), want)
	}
}

func operator(t *testing.T, b *box) {
	before, task := b.patched(t, one("1"), one("2"))
	n, err := ssh.New(ssh.Options{User: hosttest.Operator, Key: b.KeySecret, KnownHosts: b.KnownHosts, Port: b.Port, ConnectTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	h, err := n.Host(b.Target.Address)
	if err != nil {
		t.Fatal(err)
	}
	asUser := *b
	asUser.host = h
	says(t, asUser.preflight(t, undo(t, `{}`), task), "user: packages can be changed by root only", "sudo")
	root := b.host
	sudo, err := ssh.New(ssh.Options{User: hosttest.Operator, Sudo: true, Key: b.KeySecret, KnownHosts: b.KnownHosts, Port: b.Port, ConnectTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer sudo.Close()
	if b.host, err = sudo.Host(b.Target.Address); err != nil {
		t.Fatal(err)
	}
	defer func() { b.host = root }()
	b.execute(t, undo(t, `{"hold": false}`), task, before)
}

func cleanup(t *testing.T, b *box) {
	b.add(t, one("1")...)
	b.apt(t, "install", "bo-a")
	b.add(t, one("2")...)
	e := undo(t, `{}`)
	b.prepare(t, e)
	says(t, b.Do(t, "sh", "-c", "cd /var/lib/backout && find stash -printf '%m %p\n'"), "700 stash/CHG0030001/apt\n", "700 stash/CHG0030001/apt/debs\n", "600 stash/CHG0030001/apt/debs/bo-a_1_all.deb")
	c, ok := e.(backout.Cleaner)
	if !ok {
		t.Fatal("no clean-up")
	}
	for _, attempt := range []string{"clean", "again"} {
		if err := c.Cleanup(t.Context(), b.task(attempt), b.host, &bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	}
	if got := b.Do(t, "ls", "/var/lib/backout/stash"); got != "" {
		t.Errorf("left: %s", got)
	}
	bad := b.task("bad")
	bad.ChangeID = "../../etc"
	if err := c.Cleanup(t.Context(), bad, b.host, &bytes.Buffer{}); !backout.IsPermanent(err) {
		t.Errorf("%v", err)
	}
}

// outside: the target's repositories never show the patch.
func outside(t *testing.T, b *box) {
	b.add(t, one("1")...)
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	e := undo(t, `{"packages": ["bo-*"]}`)
	if v := b.preflight(t, e, b.task("p")); v != "" {
		t.Errorf("%s", v)
	}
	prepared := b.prepare(t, e)
	b.add(t, one("2")...)
	b.Do(t, "cp", "/srv/repo/bo-a_2_all.deb", "/root/bo-a.deb")
	b.gone(t, "*")
	b.apt(t, "install", "/root/bo-a.deb")
	task := b.task("a")
	// A step with another limit has prepared too.
	task.Prepared = append([]backout.Prepared{{Uses: apt.Name, Facts: map[string]string{"folder": "/x", "package bo-a:all": "1 x 1 kept"}}}, prepared...)
	task.Delta = b.delta(t, before)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("%s", v)
	}
	b.execute(t, e, task, before)
}

// toldAfterwards: what asks for a reboot or a restart, and who may bring the patch
// back, stands in the summary.
func toldAfterwards(t *testing.T, b *box) {
	before, task := b.patched(t, one("1"), one("2"))
	b.Do(t, "sh", "-c", `echo bo-a >/run/reboot-required.pkgs; touch /run/reboot-required
printf '#!/bin/sh\necho NEEDRESTART-VER: 3.6; echo NEEDRESTART-SVC: bo.service\n' >/usr/local/sbin/needrestart; chmod +x /usr/local/sbin/needrestart
systemctl unmask -q apt-daily-upgrade.timer; systemctl start apt-daily-upgrade.timer`)
	defer b.Do(t, "sh", "-c", "rm /run/reboot-required* /usr/local/sbin/needrestart; systemctl stop apt-daily-upgrade.timer; systemctl mask -q apt-daily-upgrade.timer")
	o, _ := b.execute(t, undo(t, `{}`), task, before)
	says(t, o.Summary, "the target asks for a reboot bo-a", "to be restarted: bo.service", "apt-daily-upgrade.timer")
}
