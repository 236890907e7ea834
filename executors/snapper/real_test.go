package snapper_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
)

const srv = `{"configs": ["srv"]}`

func TestSnapshotConformance(t *testing.T) {
	w := newWorld(t)
	executorstest.Run(t, executorstest.Suite{
		Kind: kindOf(t, "snapper.snapshot"), Host: w, Quick: srv,
		Effects: func() int { return strings.Count(w.Sh(t, `snapper --no-dbus -c srv list`), "backout=") },
		Bad: map[string]string{
			`{"configs": ["a b"]}`: "not a name", `{"configs": ["-c"]}`: "not a name", `{"configs": ["a", "a"]}`: "named twice", `{"free_mib": -1}`: "free_mib",
		},
	})
}

func TestFilesOfAConfigGoBack(t *testing.T) {
	w := newWorld(t)
	w.Sh(t, "mkdir /srv/d; echo old >/srv/d/version; echo gone >/srv/gone; ln -s version /srv/d/link; chmod 600 /srv/gone")
	if got := preflight(t, w, srv, task("snapper.rollback", "p")); got != "" {
		t.Errorf("before the snapshot: %s", got)
	}
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	if got := preflight(t, w, srv, back); got != "" {
		t.Errorf("with the snapshot: %s", got)
	}
	// The numbers in between are not ours.
	w.Sh(t, "snapper --no-dbus -c srv create; echo new >/srv/d/version; rm /srv/gone; mkdir /srv/added; echo x >'/srv/added/a b'; snapper --no-dbus -c srv create")
	if got := probe(t, w, srv, back); got.State != backout.ProbeNotDone {
		t.Errorf("before: %+v", got)
	}
	e := executorstest.Build(t, kindOf(t, "snapper.rollback"), srv)
	for _, attempt := range []string{"r1.L2.s1.t1.a1", "r1.L2.s1.t1.a1", "r1.L2.s1.t1.a2"} {
		back.AttemptID = "CHG1-" + attempt
		var out bytes.Buffer
		if o, err := e.Execute(t.Context(), back, w, &out); err != nil || o.Summary != "gone back: srv" {
			t.Fatalf("%s: %+v %v\n%s", attempt, o, err, out.Bytes())
		}
		// What is written afterwards is not lost to another attempt.
		if attempt == "r1.L2.s1.t1.a1" && w.Sh(t, "cat /srv/d/version") == "old" {
			w.Sh(t, "echo since >/srv/since; echo later >/srv/d/version")
		}
	}
	if got := w.Sh(t, "cat /srv/d/version /srv/gone; readlink /srv/d/link; ls /srv; stat -c %a /srv/gone"); got != "later\ngone\nversion\nd\ngone\nsince\n600" {
		t.Errorf("after: %q", got)
	}
	if err := cleanup(t, w, srv, "c1"); err != nil {
		t.Error(err)
	}
	if got := w.Sh(t, `snapper --no-dbus -c srv list`); strings.Contains(got, "backout") {
		t.Errorf("after clean-up: %s", got)
	}
	if err := cleanup(t, w, srv, "c2"); err != nil {
		t.Error(err)
	}
}

// TestUndochangeCutHalfWay: what the cut attempt compared with is used again; a new
// snapshot would take the half for what was before.
func TestUndochangeCutHalfWay(t *testing.T) {
	w := newWorld(t)
	w.Sh(t, "echo old | tee /srv/a >/srv/b")
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	key := back.Prepared[0].Facts["key"]
	w.Sh(t, `echo new | tee /srv/a >/srv/b; n=$(snapper --no-dbus -c srv create -p -u "backout-before=$1"); snapper --no-dbus -c srv undochange "1..$n" /srv/a`, key)
	if got := probe(t, w, srv, back); got.State != backout.ProbeBroken {
		t.Errorf("half: %+v", got)
	}
	if _, err := executorstest.Build(t, kindOf(t, "snapper.rollback"), srv).Execute(t.Context(), back, w, &bytes.Buffer{}); err != nil || w.Sh(t, "cat /srv/a /srv/b") != "old\nold" {
		t.Errorf("%v", err)
	}
	if got := strings.Count(w.Sh(t, "snapper --no-dbus -c srv list"), "backout-before"); got != 1 {
		t.Errorf("%d snapshots were made before the undochange", got)
	}
}

func TestNothingToUndo(t *testing.T) {
	w := newWorld(t)
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	var out bytes.Buffer
	if o, err := executorstest.Build(t, kindOf(t, "snapper.rollback"), srv).Execute(t.Context(), back, w, &out); err != nil || o.Summary != "gone back: srv" {
		t.Errorf("%+v %v\n%s", o, err, out.Bytes())
	}
}

// TestNumbersAreReused: snapper may give a number again; the userdata tells.
func TestNumbersAreReused(t *testing.T) {
	w := newWorld(t)
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, "snapper --no-dbus -c srv delete 1; snapper --no-dbus -c srv create")
	if got := preflight(t, w, srv, back); !strings.Contains(got, "snapshot 1 of srv is gone, or is another one") {
		t.Errorf("%q", got)
	}
	if _, err := executorstest.Build(t, kindOf(t, "snapper.rollback"), srv).Execute(t.Context(), back, w, &bytes.Buffer{}); err == nil {
		t.Error("went back to a foreign snapshot")
	}
}

func TestCleanupAlgorithmsDoNotDeleteTheBaseline(t *testing.T) {
	w := newWorld(t)
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, `snapper --no-dbus -c srv set-config NUMBER_CLEANUP=yes NUMBER_MIN_AGE=0 NUMBER_LIMIT=0 NUMBER_LIMIT_IMPORTANT=0 TIMELINE_CLEANUP=yes TIMELINE_MIN_AGE=0
snapper --no-dbus -c srv create -c number
for a in number timeline empty-pre-post; do snapper --no-dbus -c srv cleanup $a; done`)
	if got := w.Sh(t, "snapper --no-dbus -c srv list | tail -n +3 | wc -l"); got != "2" {
		t.Errorf("%s snapshots are left, want number 0 and ours", got)
	}
	if got := preflight(t, w, srv, back); got != "" {
		t.Error(got)
	}
}

func TestSnapshotIsRenewed(t *testing.T) {
	w := newWorld(t)
	snapshot(t, w, srv, "b1.B.s1.t1")
	back := snapshot(t, w, srv, "b2.B.s1.t1")
	if got := w.Sh(t, `snapper --no-dbus -c srv list`); strings.Contains(got, "CHG1-b1") || !strings.Contains(got, "backout=CHG1-b2.B.s1.t1") {
		t.Errorf("%s", got)
	}
	if got := preflight(t, w, srv, back); got != "" {
		t.Error(got)
	}
	for section, want := range map[string]string{`{"configs": ["none"]}`: "config none", `{"configs": ["srv"], "free_mib": 80000}`: "80000 MiB are needed"} {
		if got := preflight(t, w, section, task("snapper.snapshot", "p")); !strings.Contains(got, want) {
			t.Errorf("%s: %q", section, got)
		}
	}
}

// TestComparisonThatFails: snapper compares over a bus that may not answer in time.
// What it cannot tell is not "nothing has changed".
func TestComparisonThatFails(t *testing.T) {
	w := newWorld(t)
	w.Sh(t, "echo old >/srv/a")
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, `echo new >/srv/a; cp /usr/bin/snapper /run/snapper
printf '#!/bin/sh\ncase " $* " in *" status "*) echo "Failure (org.freedesktop.DBus.Error.NoReply)." >&2; exit 1;; esac\nexec /run/snapper "$@"\n' >/run/wrapped; chmod +x /run/wrapped; mount --bind /run/wrapped /usr/bin/snapper`)
	e := executorstest.Build(t, kindOf(t, "snapper.rollback"), srv)
	if o, err := e.Execute(t.Context(), back, w, &bytes.Buffer{}); err == nil {
		t.Errorf("it says %+v, and /srv/a is %s", o, w.Sh(t, "cat /srv/a"))
	}
	if got := probe(t, w, srv, back); got.State == backout.ProbeDone {
		t.Errorf("%+v", got)
	}
	w.Sh(t, "umount /usr/bin/snapper")
	back.AttemptID = "CHG1-r1.L2.s1.t1.a2"
	if _, err := e.Execute(t.Context(), back, w, &bytes.Buffer{}); err != nil || w.Sh(t, "cat /srv/a") != "old" {
		t.Errorf("the next attempt: %v", err)
	}
}

// TestSnapshotsOfAnotherChangeStay: the id of one change may begin as that of
// another one.
func TestSnapshotsOfAnotherChangeStay(t *testing.T) {
	w := newWorld(t)
	other := task("snapper.snapshot", "")
	other.ChangeID, other.AttemptID = "CHG1-2", "CHG1-2-b1.B.s1.t1"
	if _, err := executorstest.Build(t, kindOf(t, "snapper.snapshot"), srv).Execute(t.Context(), other, w, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	snapshot(t, w, srv, "b1.B.s1.t1")
	if err := cleanup(t, w, srv, "c1"); err != nil {
		t.Error(err)
	}
	if got := w.Sh(t, `snapper --no-dbus -c srv list`); strings.Count(got, "backout=") != 1 || !strings.Contains(got, "backout=CHG1-2-b1.B.s1.t1") {
		t.Errorf("left are %s", got)
	}
}

// TestNoSnapshotAfterThePatch: it would have the patch in it, and replace the one
// that leads back.
func TestNoSnapshotAfterThePatch(t *testing.T) {
	w := newWorld(t)
	back := snapshot(t, w, srv, "b1.B.s1.t1")
	late := task("snapper.snapshot", "b2.B.s1.t1")
	late.Opened = true
	if _, err := executorstest.Build(t, kindOf(t, "snapper.snapshot"), srv).Execute(t.Context(), late, w, &bytes.Buffer{}); !backout.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	if got := preflight(t, w, srv, back); got != "" {
		t.Error(got)
	}
}
