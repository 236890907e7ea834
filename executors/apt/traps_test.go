package apt_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestTraps are the traps of apt, each met on a real Debian.
func TestTraps(t *testing.T) {
	b := newBox(t)
	for _, trap := range []struct {
		name string
		meet func(*testing.T, *box)
	}{
		{"version gone, refused, stashed, patched, back and held", versionGone},
		{"no allow-downgrades means nothing done", noAllowDowngrades},
		{"downgrade only the library removes the dependants", onlyTheLibrary},
		{"noninteractive and an edited conffile end at EOF", conffileEOF},
		{"already done", alreadyDone},
		{"version gone without a stash", withoutStash},
		{"holds that were there before stay", holdsBefore},
		{"packages added by the patch go unless needed", addedByThePatch},
		{"packages removed by the patch come back", removedByThePatch},
		{"a package of one architecture becomes one of all", otherArchitecture},
		{"killed half way", killedHalfWay},
		{"locale and time zone of the target do not matter", strangeLocale},
		{"what packages print is only text", hostileOutput},
		{"a maintainer script fails", scriptFails},
		{"dpkg was interrupted before the patch", interruptedBefore},
		{"nothing pending and no lists are a no", nothingPending},
		{"protected packages are refused", protectedRefused},
		{"a kept file was changed", spoiltStash},
		{"kept from the cache and packed again", cacheAndRepack},
		{"somebody else has the lock", lockHeld},
		{"the patch's ids say what is kept", byIDs},
		{"an operator with sudo", operator},
		{"the patch comes from outside the repositories", outside},
		{"reboot, restarts and updaters are told", toldAfterwards},
		{"conformance", conformance},
		{"clean-up removes what was kept", cleanup},
	} {
		t.Run(trap.name, func(t *testing.T) {
			b.reset(t)
			trap.meet(t, b)
		})
	}
}

// versionGone is the whole story of a change.
func versionGone(t *testing.T, b *box) {
	b.add(t, deb{name: "bo-app", version: "1.0", depends: "bo-lib (= 1.0)"}, deb{name: "bo-lib", version: "1.0"})
	b.apt(t, "install", "bo-app")
	before := b.state(t)
	b.add(t, deb{name: "bo-app", version: "1:2.0", depends: "bo-lib (= 1:2.0), bo-new"}, deb{name: "bo-lib", version: "1:2.0"}, deb{name: "bo-new", version: "1"})
	b.gone(t, "bo-lib_1.0_all.deb")
	e := undo(t, `{"hold": true}`)
	b.Do(t, "chmod", "-x", "/usr/bin/dpkg-repack")
	says(t, b.preflight(t, e, b.task("p")), "versions: no repository of the target has bo-lib 1.0 any more", "bring the version back into a repository", "dpkg-repack")
	b.Do(t, "chmod", "+x", "/usr/bin/dpkg-repack")
	b.add(t, deb{name: "bo-lib", version: "1.0"})
	if v := b.preflight(t, e, b.task("p")); v != "" {
		t.Fatalf("the gate says no: %s", v)
	}
	prepared := b.prepare(t, e)
	b.gone(t, "bo-lib_1.0_all.deb", "bo-app_1.0_all.deb")
	b.apt(t, "dist-upgrade")
	task := b.task("a")
	task.Prepared = prepared
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("what is kept is not enough: %s", v)
	}
	task.Delta = b.delta(t, before)
	if v := b.preflight(t, e, task); v != "" {
		t.Errorf("solver: %s", v)
	}
	without := task
	without.Prepared = nil
	says(t, b.preflight(t, e, without), "versions: neither kept nor in a repository: bo-app all 1.0, bo-lib all 1.0")
	if p := b.probe(t, e, task); p.State != backout.ProbeNotDone {
		t.Errorf("before: %+v", p)
	}
	o, _ := b.execute(t, e, task, before)
	if got := strings.Join(o.Held, " "); got != "bo-app bo-lib" {
		t.Errorf("held %q", got)
	}
	says(t, o.Summary, "3 of 3 packages are as they were", "held: bo-app, bo-lib")
	says(t, b.Do(t, "apt-mark", "showauto"), "bo-lib\n")
	if strings.Contains(b.Do(t, "apt-mark", "showmanual"), "bo-lib") {
		t.Error("bo-lib counts as chosen by hand")
	}
	b.apt(t, "upgrade")
	b.Do(t, "unattended-upgrade", "--debug")
	if got := b.state(t); !maps.Equal(got, before) {
		t.Errorf("the patch has come back: %v", got)
	}
}

// noAllowDowngrades: with -y alone apt refuses, and the step does not.
func noAllowDowngrades(t *testing.T, b *box) {
	b.add(t, deb{name: "bo-a", version: "1"})
	b.apt(t, "install", "bo-a")
	before := b.state(t)
	b.add(t, deb{name: "bo-a", version: "2"})
	b.apt(t, "upgrade")
	says(t, b.Do(t, "sh", "-c", "apt-get -y install bo-a=1 2>&1; echo rc $?"), "rc 100")
	task := b.task("a")
	task.Delta = b.delta(t, before)
	b.execute(t, undo(t, `{}`), task, before)
}
