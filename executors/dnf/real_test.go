package dnf_test

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
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

const before = "boa-1.0-1.noarch lib-1.0-1.noarch other-1.0-1.noarch"

// TestOnAMachine runs the executor's own commands on a machine of its own, with
// real packages, a real repository and dnf.
func TestOnAMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	w := newWorld(t)
	for name, run := range map[string]func(*testing.T, *world){
		"the patch is undone exactly": exactly,
	} {
		t.Run(name, func(t *testing.T) { run(t, w) })
	}
}

func exactly(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	e := undo(t, `{}`)
	w.passes(t, e, w.task("CHG1", nil))
	prepared := w.prepare(t, e, "CHG1")
	if got := w.rpms(t); got != before {
		t.Fatalf("preparing changed the packages: %s", got)
	}
	d := w.patch(t, "dnf -q -y upgrade")
	task := w.task("CHG1", d)
	task.Prepared = prepared
	w.passes(t, e, task)
	w.probe(t, e, task, backout.ProbeNotDone)
	o, out := w.mustExecute(t, e, task)
	if got := w.rpms(t); got != before {
		t.Errorf("after the undo there is %s\n%s", got, out)
	}
	w.probe(t, e, task, backout.ProbeDone)
	if got := strings.Join(o.Held, " "); got != "!boa-0:2.0-1.* !fresh-0:2.0-1.* !lib-1:2.0-1.*" {
		t.Errorf("held: %s", got)
	}
	t.Log(o.Summary)
}
