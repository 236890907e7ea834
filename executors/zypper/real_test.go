package zypper_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// patched is a world in which web 1.0 and gone 1.0 became web 2.0 and weblib.
func patched(t *testing.T) *world {
	t.Helper()
	w := unpatched(t)
	w.patch(t)
	return w
}

func unpatched(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.build(t, pkg{name: "web", version: "1.0"}, pkg{name: "gone", version: "1.0"}, pkg{name: "other", version: "1.0"}, pkg{name: "weblib", version: "2.0"},
		pkg{name: "web", version: "2.0", extra: "Epoch: 1\nRequires: weblib\nObsoletes: gone"}, pkg{name: "web", version: "1.5"}, pkg{name: "user", version: "1.0", extra: "Requires: weblib"})
	w.publish(t, "web-1.0", "gone-1.0", "other-1.0")
	w.Sh(t, "zypper -n install web gone other")
	w.publish(t, "web-1.0", "web-1.5", "gone-1.0", "other-1.0", "web-2.0", "weblib-2.0", "user-1.0")
	return w
}

func (w *world) patch(t *testing.T) {
	t.Helper()
	w.Sh(t, "zypper -n update")
	if got := w.installed(t); got != "other-1.0 web-2.0 weblib-2.0" {
		t.Fatalf("the patch made it %s", got)
	}
}

func patch() *backout.Delta {
	return delta(change("gone", "1.0", ""), change("web", "1.0", "1:2.0"), change("weblib", "", "2.0"))
}

func TestDeltaIsTakenBackToExactVersionsAndHeld(t *testing.T) {
	w := patched(t)
	task := task("r1.L1.s1.t1.a1")
	task.Delta = patch()
	u := undo(t, `{}`)
	if got := reasons(t, u.Preflight(t.Context(), task, w)); got != "" {
		t.Fatalf("preflight: %s", got)
	}
	if p, err := u.Probe(t.Context(), task, w); err != nil || p.State != backout.ProbeNotDone {
		t.Errorf("before: %+v %v", p, err)
	}
	for range 2 {
		var out bytes.Buffer
		o, err := u.Execute(t.Context(), task, w, &out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		if o.Summary != "1 packages back, 1 removed, 1 installed again" || strings.Join(o.Held, ", ") != "web == 1:2.0-1, weblib == 2.0-1" && strings.Join(o.Held, ", ") != "web == 1:2.0-1, weblib == 0:2.0-1" {
			t.Errorf("%+v", o)
		}
	}
	if got := w.installed(t); got != "gone-1.0 other-1.0 web-1.0" {
		t.Errorf("installed is %s", got)
	}
	if p, err := u.Probe(t.Context(), task, w); err != nil || p.State != backout.ProbeDone {
		t.Errorf("after: %+v %v", p, err)
	}
	w.Sh(t, "zypper -n update")
	if got := w.installed(t); strings.Contains(got, "web-2.0") {
		t.Errorf("the patch came back: %s", got)
	}
	if err := u.Release(t.Context(), withAttempt(task, "h1.release"), w, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if got := w.Sh(t, "zypper -n locks"); !strings.Contains(got, "no package locks") {
		t.Errorf("after the release: %s", got)
	}
}

func withAttempt(t backout.Task, attempt string) backout.Task {
	t.AttemptID = "CHG1-" + attempt
	return t
}

// TestNothingElseIsRemoved: zypper removes what needs a removed package by itself.
func TestNothingElseIsRemoved(t *testing.T) {
	w := patched(t)
	w.Sh(t, "zypper -n install user")
	task := task("r1.L1.s1.t1.a1")
	task.Delta = patch()
	u := undo(t, `{}`)
	if got := reasons(t, u.Preflight(t.Context(), task, w)); !strings.Contains(got, "zypper would also remove user 1.0-1") && !strings.Contains(got, "solver finds no way") {
		t.Errorf("preflight: %q", got)
	}
	if _, err := u.Execute(t.Context(), task, w, &bytes.Buffer{}); err == nil || !strings.Contains(w.installed(t), "user-1.0 web-2.0 weblib-2.0") {
		t.Errorf("%v, installed is %s", err, w.installed(t))
	}
}

// TestCommitCutHalfWay: zypper's commit is not one transaction; what is left is
// worked out from what is installed.
func TestCommitCutHalfWay(t *testing.T) {
	w := patched(t)
	task := task("r1.L1.s1.t1.a2")
	task.Delta = patch()
	u := undo(t, `{}`)
	w.Sh(t, "rpm -e --nodeps weblib")
	if p, err := u.Probe(t.Context(), task, w); err != nil || p.State != backout.ProbeBroken {
		t.Errorf("%+v %v", p, err)
	}
	var out bytes.Buffer
	if _, err := u.Execute(t.Context(), task, w, &out); err != nil || w.installed(t) != "gone-1.0 other-1.0 web-1.0" {
		t.Errorf("%v, installed is %s\n%s", err, w.installed(t), out.Bytes())
	}
}

// TestOldPackageIsGoneFromTheRepository: the gate says no, unless it was kept.
func TestOldPackageIsGoneFromTheRepository(t *testing.T) {
	w := unpatched(t)
	u := undo(t, `{}`)
	if got := reasons(t, u.Preflight(t.Context(), task("p"), w)); got != "" {
		t.Errorf("all are there: %s", got)
	}
	w.publish(t, "gone-1.0", "other-1.0", "web-2.0", "weblib-2.0")
	if got := reasons(t, u.Preflight(t.Context(), task("p"), w)); !strings.Contains(got, "web.noarch=1.0-1 is installed, would be updated, and is in no repository") {
		t.Errorf("missing: %q", got)
	}
	if _, err := u.Prepare(t.Context(), task("b0.L1.s1.t1.prepare"), w, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "not to be had any more: web.noarch=1.0-1") {
		t.Errorf("kept what is not there: %v", err)
	}
	w.publish(t, "web-1.0", "gone-1.0", "other-1.0", "web-2.0", "weblib-2.0")
	kept, err := u.Prepare(t.Context(), task("b1.L1.s1.t1.prepare"), w, &bytes.Buffer{})
	if err != nil || kept.Facts["packages"] != "2" {
		t.Fatalf("%+v %v", kept, err)
	}
	more, err := undo(t, `{"packages": ["oth*"]}`).Prepare(t.Context(), task("b2.L1.s1.t1.prepare"), w, &bytes.Buffer{})
	if err != nil || more.Facts["packages"] != "3" {
		t.Fatalf("with what the repositories do not tell of: %+v %v", more, err)
	}
	if kept, err = u.Prepare(t.Context(), task("b3.L1.s1.t1.prepare"), w, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	w.patch(t)
	w.publish(t, "other-1.0", "web-2.0", "weblib-2.0")
	back := task("r1.L1.s1.t1.a1")
	back.Delta = patch()
	if got := reasons(t, u.Preflight(t.Context(), back, w)); !strings.Contains(got, "not found") {
		t.Errorf("without the kept ones: %q", got)
	}
	back.Prepared = []backout.Prepared{kept}
	if got := reasons(t, u.Preflight(t.Context(), back, w)); got != "" {
		t.Errorf("with the kept ones: %q", got)
	}
	spoilt := back
	w.Sh(t, `cd /var/lib/backout/stash/CHG1/zypper; cp web-1.0-1.noarch.rpm /srv/; echo x >>web-1.0-1.noarch.rpm`)
	if got := reasons(t, u.Preflight(t.Context(), spoilt, w)); !strings.Contains(got, "not as they were") {
		t.Errorf("spoilt: %q", got)
	}
	w.Sh(t, `mv /srv/web-1.0-1.noarch.rpm /var/lib/backout/stash/CHG1/zypper/`)
	// Unsigned, although the system wants signatures: the digests are known.
	var out bytes.Buffer
	if _, err := u.Execute(t.Context(), back, w, &out); err != nil || w.installed(t) != "gone-1.0 other-1.0 web-1.0" {
		t.Errorf("%v, installed is %s\n%s", err, w.installed(t), out.Bytes())
	}
	// Each step removes what is its own.
	if err := u.Cleanup(t.Context(), task("c1"), w, &bytes.Buffer{}); err != nil || w.Sh(t, `ls -A /var/lib/backout/stash/CHG1/*`) != "SHA256SUMS\ngone-1.0-1.noarch.rpm\nother-1.0-1.noarch.rpm\nweb-1.0-1.noarch.rpm" {
		t.Errorf("clean-up: %v, left are %s", err, w.Sh(t, `find /var/lib/backout/stash`))
	}
	if err := undo(t, `{"packages": ["oth*"]}`).Cleanup(t.Context(), task("c2"), w, &bytes.Buffer{}); err != nil || w.Sh(t, `ls -A /var/lib/backout/stash`) != "" {
		t.Errorf("clean-up: %v, left are %s", err, w.Sh(t, `find /var/lib/backout/stash`))
	}
}

// TestRepositoryThatIsSkipped: zypper goes on without it and says 106.
func TestRepositoryThatIsSkipped(t *testing.T) {
	w := patched(t)
	w.Sh(t, `zypper -n addrepo -f dir:///srv/nowhere broken`)
	u := undo(t, `{}`)
	back := task("r1.L1.s1.t1.a1")
	if got := reasons(t, u.Preflight(t.Context(), back, w)); !strings.Contains(got, "left it out (code 106)") {
		t.Errorf("before the patch: %q", got)
	}
	back.Delta = patch()
	if got := reasons(t, u.Preflight(t.Context(), back, w)); !strings.Contains(got, "repository") {
		t.Errorf("with the delta: %q", got)
	}
	// What stands in nobody's way does not stop the way back.
	if _, err := u.Execute(t.Context(), back, w, &bytes.Buffer{}); err != nil || w.installed(t) != "gone-1.0 other-1.0 web-1.0" {
		t.Errorf("%v, installed is %s", err, w.installed(t))
	}
}

// TestRefusedSignatureChangesNothing: without all packages downloaded before, zypper
// removes first and finds out then.
func TestRefusedSignatureChangesNothing(t *testing.T) {
	w := patched(t)
	w.Sh(t, "sed -i s/gpgcheck=0/gpgcheck=0\\npkg_gpgcheck=1/ /etc/zypp/repos.d/test.repo; rm -rf /var/cache/zypp/packages/*")
	back := task("r1.L1.s1.t1.a1")
	back.Delta = patch()
	_, err := undo(t, `{}`).Execute(t.Context(), back, w, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "code 8") || w.installed(t) != "other-1.0 web-2.0 weblib-2.0" {
		t.Errorf("%v, installed is %s", err, w.installed(t))
	}
}

func TestLockStandsInTheWay(t *testing.T) {
	w := patched(t)
	w.Sh(t, "zypper -n addlock web")
	back := task("r1.L1.s1.t1.a1")
	back.Delta = patch()
	if got := reasons(t, undo(t, `{}`).Preflight(t.Context(), back, w)); got == "" {
		t.Error("a locked package is no reason")
	}
}
