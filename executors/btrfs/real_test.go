package btrfs_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
)

const srv = `{"subvolumes": ["/srv"]}`

func TestSnapshotConformance(t *testing.T) {
	w := newWorld(t)
	executorstest.Run(t, executorstest.Suite{
		Kind: kindOf(t, "btrfs.snapshot"), Host: w, Quick: srv,
		Effects: func() int {
			return len(strings.Fields(w.Sh(t, `btrfs subvolume show /srv | sed -n '/Snapshot/,$p' | tail -n +2`)))
		},
		Bad: map[string]string{
			`{"subvolumes": ["srv"]}`: "absolute path", `{"subvolumes": ["/a/../b"]}`: "absolute path", `{"subvolumes": ["/$(id)"]}`: "absolute path",
			`{"subvolumes": ["/a/b", "/a-b"]}`: "both be kept", `{"subvolumes": ["/a"], "except": ["/a"]}`: "in except", `{"free_mib": -1}`: "free_mib",
		},
	})
}

func TestSubvolumeIsPutBackWhileTheSystemRuns(t *testing.T) {
	w := newWorld(t)
	w.Sh(t, "echo old >/srv/version")
	if got := preflight(t, w, srv, task("btrfs.restore", "p")); got != "" {
		t.Errorf("before the snapshot: %s", got)
	}
	restore := snapshot(t, w, srv, "b1.B.s1.t1")
	if got := preflight(t, w, srv, restore); got != "" {
		t.Errorf("with the snapshot: %s", got)
	}
	w.Sh(t, "echo new >/srv/version; echo data >/srv/data")
	if got := probe(t, w, srv, restore); got.State != backout.ProbeNotDone {
		t.Errorf("before: %+v", got)
	}
	e := executorstest.Build(t, kindOf(t, "btrfs.restore"), srv)
	for range 2 {
		var out bytes.Buffer
		if o, err := e.Execute(t.Context(), restore, w, &out); err != nil || o.Summary != "put back: /srv" {
			t.Fatalf("%+v %v\n%s", o, err, out.Bytes())
		}
	}
	if got := w.Sh(t, "cat /srv/version; ls /srv"); got != "old\nversion" {
		t.Errorf("after the restore: %q", got)
	}
	if got := w.Sh(t, `cat "$1"`, w.top(".backout/CHG1/srv-backed-out/data")); got != "data" {
		t.Errorf("what was put aside: %q", got)
	}
	// Another attempt after it loses nothing.
	w.Sh(t, "echo kept >/srv/since")
	restore.AttemptID = "CHG1-r1.L2.s1.t1.a2"
	if _, err := e.Execute(t.Context(), restore, w, &bytes.Buffer{}); err != nil || w.Sh(t, "cat /srv/since") != "kept" {
		t.Errorf("a second attempt: %v", err)
	}
	cleanup(t, w, srv)
	if got := w.Sh(t, `ls -A /srv; ls -A "$1"; btrfs subvolume list "$1" | wc -l`, w.top("")); got != "since\nversion\n@srv\n1" {
		t.Errorf("after clean-up: %q", got)
	}
}

func cleanup(t *testing.T, h backout.Host, section string) {
	t.Helper()
	c, ok := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), section).(backout.Cleaner)
	if !ok {
		t.Fatal("no clean-up")
	}
	for _, attempt := range []string{"c1", "c2"} {
		var out bytes.Buffer
		if err := c.Cleanup(t.Context(), task("btrfs.snapshot", attempt), h, &out); err != nil {
			t.Errorf("%s: %v\n%s", attempt, err, out.Bytes())
		}
	}
}

func TestCleanupOfWhatIsNotMounted(t *testing.T) {
	w := newWorld(t)
	done := task("btrfs.snapshot", "c1")
	done.Prepared = snapshot(t, w, srv, "b1.B.s1.t1").Prepared
	w.Sh(t, "umount /srv")
	c, ok := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), srv).(backout.Cleaner)
	if !ok {
		t.Fatal("no clean-up")
	}
	if err := c.Cleanup(t.Context(), done, w, &bytes.Buffer{}); err != nil || w.Sh(t, `ls -A "$1"`, w.top("")) != "@srv" {
		t.Errorf("%v, left are %s", err, w.Sh(t, `ls -A "$1"`, w.top("")))
	}
}

func TestSubvolumeInUseIsLeftAsItIs(t *testing.T) {
	w := newWorld(t)
	restore := snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, `cd /srv; sleep 3600 >/dev/null 2>&1 & echo $! >"$1"`, w.top("pid"))
	_, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), srv).Execute(t.Context(), restore, w, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "/srv is in use") {
		t.Errorf("%v", err)
	}
	w.Sh(t, `kill "$(cat "$1")"`, w.top("pid"))
	if got := probe(t, w, srv, restore); got.State != backout.ProbeNotDone {
		t.Errorf("%+v", got)
	}
}

// TestNestedSubvolumesComeBackEmpty: a snapshot does not go into subvolumes below.
func TestNestedSubvolumesComeBackEmpty(t *testing.T) {
	w := newWorld(t)
	w.Sh(t, "btrfs subvolume create /srv/db; echo old >/srv/db/rows")
	if got := preflight(t, w, srv, task("btrfs.snapshot", "p")); !strings.Contains(got, "/srv/db is inside /srv and would come back empty") {
		t.Errorf("%q", got)
	}
	if got := preflight(t, w, `{"subvolumes": ["/srv"], "except": ["/srv/db"]}`, task("btrfs.snapshot", "p")); got != "" {
		t.Errorf("excepted: %q", got)
	}
	const both = `{"subvolumes": ["/srv/db", "/srv"]}`
	restore := snapshot(t, w, both, "b1.B.s1.t1")
	w.Sh(t, "echo new >/srv/db/rows")
	var out bytes.Buffer
	if _, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), both).Execute(t.Context(), restore, w, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	if got := w.Sh(t, "cat /srv/db/rows"); got != "old" {
		t.Errorf("the nested subvolume has %q", got)
	}
	cleanup(t, w, both)
	if got := w.Sh(t, `btrfs subvolume list "$1" | wc -l`, w.top("")); got != "2" {
		t.Errorf("%s subvolumes are left", got)
	}
}

// TestRestoreCutHalfWay: each state that a killed script can leave is gone on from.
func TestRestoreCutHalfWay(t *testing.T) {
	for name, cut := range map[string]string{
		"writable snapshot made": `btrfs subvolume snapshot .backout/CHG1/srv .backout/CHG1/srv-restored; echo half >.backout/CHG1/srv-restored/version`,
		"old one put aside":      `btrfs subvolume snapshot .backout/CHG1/srv .backout/CHG1/srv-restored; umount /srv; mv @srv .backout/CHG1/srv-backed-out`,
		"exchanged":              `btrfs subvolume snapshot .backout/CHG1/srv x; umount /srv; mv @srv .backout/CHG1/srv-restored; mv x @srv`,
		"not mounted again":      `btrfs subvolume snapshot .backout/CHG1/srv x; umount /srv; mv @srv .backout/CHG1/srv-backed-out; mv x @srv`,
		"default not moved":      `btrfs subvolume set-default /srv; btrfs subvolume snapshot .backout/CHG1/srv x; mv @srv .backout/CHG1/srv-backed-out; mv x @srv`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Sh(t, "echo old >/srv/version")
			restore := snapshot(t, w, srv, "b1.B.s1.t1")
			w.Sh(t, "echo new >/srv/version")
			w.Sh(t, `cd "$1"; `+cut, w.top(""))
			var out bytes.Buffer
			if _, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), srv).Execute(t.Context(), restore, w, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			if got := w.Sh(t, `cat /srv/version "$1"; btrfs subvolume get-default /srv`, w.top(".backout/CHG1/srv-backed-out/version")); !strings.HasPrefix(got, "old\nnew\n") || strings.Contains(got, "backed-out") {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestSnapshotIsRenewedByTheSameChangeOnly: the markers tell whose it is.
func TestSnapshotIsRenewedByTheSameChangeOnly(t *testing.T) {
	w := newWorld(t)
	snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, "echo later >/srv/version")
	restore := snapshot(t, w, srv, "b2.B.s1.t1")
	if got := w.Sh(t, `cat "$1"/version; ls -A "$1"; ls -A /srv`, w.top(".backout/CHG1/srv")); got != "later\n.backout-pre-CHG1-b2.B.s1.t1\nversion\n.backout-post-CHG1-b2.B.s1.t1\n.backout-pre-CHG1-b2.B.s1.t1\nversion" {
		t.Errorf("%q", got)
	}
	e := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), srv)
	if _, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), srv).Execute(t.Context(), restore, w, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Execute(t.Context(), task("btrfs.snapshot", "b3.B.s1.t1"), w, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "has been put back") {
		t.Errorf("renewed after a restore: %v", err)
	}
	w.Sh(t, `btrfs subvolume create "$1/.backout/CHG2" 2>/dev/null || mkdir -p "$1/.backout/CHG2"; btrfs subvolume create "$1/.backout/CHG2/srv"`, w.top(""))
	other := task("btrfs.snapshot", "b1")
	other.ChangeID, other.AttemptID = "CHG2", "CHG2-b1.B.s1.t1"
	if _, err := e.Execute(t.Context(), other, w, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "this change has not made") {
		t.Errorf("over a foreign one: %v", err)
	}
}

func TestPreflightSeesTheTarget(t *testing.T) {
	w := newWorld(t)
	restore := snapshot(t, w, srv, "b1.B.s1.t1")
	for _, tt := range []struct{ name, do, undo, want string }{
		{"fstab by number", `x=$(sed s/subvol=@srv/subvolid=256,subvol=@srv/ /etc/fstab); echo "$x" >/etc/fstab`, "", "by number (subvolid=256"},
		{"fstab names another", `x=$(sed s/subvol=@srv/subvol=@other/ /etc/fstab); echo "$x" >/etc/fstab`, "", "is subvolume @srv now, but /etc/fstab says subvol=@other"},
		{"fstab names none", `x=$(sed s/subvol=@srv/defaults/ /etc/fstab); echo "$x" >/etc/fstab`, "", "neither fstab names nor is the default"},
		{"default", `x=$(sed s/subvol=@srv/defaults/ /etc/fstab); echo "$x" >/etc/fstab; btrfs subvolume set-default /srv`, "btrfs subvolume set-default 5 /srv", ""},
		{"not in fstab", `echo >/etc/fstab`, "", "is not in /etc/fstab"},
		{"snapshot gone", `btrfs subvolume delete "$1/.backout/CHG1/srv"`, "", "the snapshot of /srv is gone"},
		{"marker gone", `rm /srv/.backout-post-*`, "", "the markers of the snapshot are gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fstab := w.Sh(t, "cat /etc/fstab")
			w.Sh(t, tt.do, w.top(""))
			if got := preflight(t, w, srv, restore); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			w.Sh(t, `printf '%s\n' "$1" >/etc/fstab; `+tt.undo, fstab)
		})
	}
	for section, want := range map[string]string{
		`{"subvolumes": ["/proc"]}`:                   "is not a btrfs subvolume",
		`{"subvolumes": ["` + w.top("") + `"]}`:       "is the top level",
		`{"subvolumes": ["/srv"], "free_mib": 80000}`: "80000 MiB are needed",
	} {
		if got := preflight(t, w, section, task("btrfs.snapshot", "p")); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", section, got, want)
		}
	}
}

// TestCleanupBeforeTheReboot: the old subvolume still runs, though it has lost its name.
func TestCleanupBeforeTheReboot(t *testing.T) {
	w := newWorld(t)
	snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, `cd "$1"; btrfs subvolume snapshot .backout/CHG1/srv x; mv @srv .backout/CHG1/srv-backed-out; mv x @srv; echo alive >/srv/alive`, w.top(""))
	c, ok := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), srv).(backout.Cleaner)
	if !ok {
		t.Fatal("no clean-up")
	}
	err := c.Cleanup(t.Context(), task("btrfs.snapshot", "c1"), w, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "still mounted") || w.Sh(t, "cat /srv/alive") != "alive" {
		t.Errorf("%v", err)
	}
}

func TestMarkersTellAWrongVolume(t *testing.T) {
	w := newWorld(t)
	restore := snapshot(t, w, srv, "b1.B.s1.t1")
	w.Sh(t, "rm /srv/.backout-pre-*")
	if got := probe(t, w, srv, restore); got.State != backout.ProbeUnknown {
		t.Errorf("%+v", got)
	}
}

// TestMarkersOfAnotherChangeStay: the id of one change may begin as that of another
// one.
func TestMarkersOfAnotherChangeStay(t *testing.T) {
	w := newWorld(t)
	other := task("btrfs.snapshot", "")
	other.ChangeID, other.AttemptID = "CHG1-2", "CHG1-2-b1.B.s1.t1"
	o, err := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), srv).Execute(t.Context(), other, w, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	snapshot(t, w, srv, "b1.B.s1.t1")
	cleanup(t, w, srv)
	other.Step.Uses, other.Opened, other.Prepared = "btrfs.restore", true, []backout.Prepared{{Uses: "btrfs.snapshot", Facts: o.Facts}}
	if got := preflight(t, w, srv, other); got != "" {
		t.Error(got)
	}
}

// TestNoSnapshotAfterThePatch: it would have the patch in it, and replace the one
// that leads back.
func TestNoSnapshotAfterThePatch(t *testing.T) {
	w := newWorld(t)
	restore := snapshot(t, w, srv, "b1.B.s1.t1")
	late := task("btrfs.snapshot", "b2.B.s1.t1")
	late.Opened = true
	if _, err := executorstest.Build(t, kindOf(t, "btrfs.snapshot"), srv).Execute(t.Context(), late, w, &bytes.Buffer{}); !backout.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	if got := preflight(t, w, srv, restore); got != "" {
		t.Error(got)
	}
}
