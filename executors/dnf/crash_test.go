package dnf_test

import (
	"context"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

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
