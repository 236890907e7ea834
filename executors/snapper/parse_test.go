package snapper_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors/executorstest"
)

// answers is a host that says what was recorded, or made up, to every look.
type answers struct {
	backout.Host
	text  string
	state backout.AttemptState
}

func (a answers) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{Stdout: []byte(a.text)}, nil
}

func (a answers) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{State: a.state}, nil
}

func prepared() backout.Task {
	t := task("snapper.rollback", "r1.L2.s1.t1.a1")
	t.Opened = true
	t.Prepared = []backout.Prepared{{Uses: "snapper.snapshot", Facts: map[string]string{"key": "CHG1-b1.B.s1.t1", "config.root": "1", "made": time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339)}}}
	return t
}

// TestListIsTheProbe: + is what the next boot finds, - what runs, * both.
func TestListIsTheProbe(t *testing.T) {
	json, csv := "=jsonout\n"+recorded(t, "after-rollback.json"), "=csvout\n"+recorded(t, "after-rollback.csv")
	never := strings.ReplaceAll(json, "backout-rollback", "other")
	for name, tt := range map[string]struct {
		list    string
		attempt backout.AttemptState
		want    backout.ProbeState
	}{
		"rolled back":          {json, backout.AttemptFinished, backout.ProbePendingReboot},
		"rolled back, as CSV":  {csv, backout.AttemptFinished, backout.ProbePendingReboot},
		"rebooted":             {strings.Replace(json, "\"default\": true,\n|      \"active\": false", "\"default\": true,\n|      \"active\": true", 1), backout.AttemptNotStarted, backout.ProbeDone},
		"rebooted, as CSV":     {strings.Replace(csv, "root,/,3,yes,no", "root,/,3,yes,yes", 1), backout.AttemptNotStarted, backout.ProbeDone},
		"set to another since": {strings.Replace(csv, "root,/,3,yes,no", "root,/,3,no,no", 1), backout.AttemptFinished, backout.ProbeNotDone},
		"not rolled back":      {never, backout.AttemptNotStarted, backout.ProbeNotDone},
		"under way":            {never, backout.AttemptRunning, backout.ProbeInProgress},
		"config gone":          {"=jsonout\n|Unknown config.\n=failed 1\n", backout.AttemptFinished, backout.ProbeUnknown},
	} {
		if got := probe(t, answers{text: "=begin\n=config root\n" + tt.list + "=end\n", state: tt.attempt}, root, prepared()); got.State != tt.want {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
}

func TestListsThatAreNotUnderstood(t *testing.T) {
	json, csv := recorded(t, "after-rollback.json"), recorded(t, "after-rollback.csv")
	for name, tt := range map[string][2]string{
		"df is silent":    {"=jsonout\n" + json + "=free\n", "df says"},
		"no JSON":         {"=jsonout\n|Segmentation fault\n", "no JSON"},
		"half":            {"=jsonout\n" + json[:len(json)/2] + "\n", "no JSON"},
		"another config":  {"=jsonout\n" + strings.Replace(json, `"root": [`, `"home": [`, 1), `is of ["home"]`},
		"old snapper":     {"=jsonout\n" + strings.ReplaceAll(json, `"active"`, `"activ"`), "snapper 0.8 or later"},
		"no number 0":     {"=jsonout\n|{\"root\": []}\n", "number 0"},
		"no subvolume":    {"=jsonout\n" + strings.ReplaceAll(json, `"subvolume": "/"`, `"subvolume": ""`), "of which subvolume"},
		"CSV of others":   {"=csvout\n" + strings.Replace(csv, "default", "standard", 1), "no column default"},
		"CSV is torn":     {"=csvout\n|\"a\n", "no CSV"},
		"CSV is empty":    {"=csvout\n", "no CSV"},
		"CSV of nonsense": {"=csvout\n" + strings.Replace(csv, "root,/,3", "root,/,x", 1), `number "x"`},
	} {
		got := preflight(t, answers{text: "=begin\n=version\n|snapper 0.10.4\n=config root\n" + tt[0] + "=end\n"}, root, prepared())
		if !strings.Contains(got, tt[1]) || !strings.Contains(got, "snapper 0.10.4") {
			t.Errorf("%s: %q, want %q and the version", name, got, tt[1])
		}
	}
	if got := preflight(t, answers{text: "=begin\n=config root\n"}, root, prepared()); !strings.Contains(got, "not whole") {
		t.Errorf("%q", got)
	}
}

// target is an openSUSE-like one on which everything is right.
const (
	mountinfo = "=mounts\n|440 420 0:39 /@/.snapshots/1/snapshot / rw - btrfs /dev/sda2 rw,subvolid=268,subvol=/@/.snapshots/1/snapshot\n"
	fstab     = "=fstab\n|UUID=1 / btrfs defaults 0 0\n|UUID=1 /.snapshots btrfs subvol=/@/.snapshots 0 0\n|UUID=1 /var btrfs subvol=/@/var 0 0\n"
	cmdline   = "=cmdline\n|BOOT_IMAGE=/boot/vmlinuz root=UUID=1 splash=silent\n"
	df        = "=free\n|Filesystem 1024-blocks Used Available Capacity Mounted on\n|/dev/sda2 4194304 70000 3600000 2% /\n"
	show      = "=show\n|@/.snapshots/1/snapshot\n|\tUUID: u1\n|\tSubvolume ID: 268\n"
	list      = "=list\n|ID 256 gen 7 parent 5 top level 5 parent_uuid - uuid u0 path <FS_TREE>/@\n|ID 258 gen 7 parent 256 top level 256 parent_uuid - uuid u3 path <FS_TREE>/@/var\n" +
		"|ID 268 gen 7 parent 257 top level 257 parent_uuid - uuid u1 path <FS_TREE>/@/.snapshots/1/snapshot\n"
)

func TestWhatKeepsARollbackFromTheNextBoot(t *testing.T) {
	json := "=jsonout\n" + recorded(t, "after-rollback.json")
	for name, tt := range map[string][2]string{
		"nothing":              {mountinfo + fstab + cmdline + "=config root\n" + json + df + show + list, ""},
		"no snapper":           {"=missing snapper\n", "snapper is not installed"},
		"no root":              {"=unprivileged\n", "by root only"},
		"transactional":        {"=transactional\n", "transactional-update"},
		"unknown config":       {"=config root\n=jsonout\n|Unknown config.\n=failed 1\n", "config root: Unknown config."},
		"rootflags":            {mountinfo + fstab + "=cmdline\n|root=UUID=1 rootflags=subvol=@\n=config root\n" + json + df + show + list, "subvol=@ in rootflags= of the kernel's command line overrides the default subvolume"},
		"subvol in fstab":      {mountinfo + strings.Replace(fstab, "defaults", "subvol=@", 1) + "=config root\n" + json + df + show + list, "subvol=@ in /etc/fstab overrides"},
		"snapshots not listed": {mountinfo + "=fstab\n|UUID=1 / btrfs defaults 0 0\n=config root\n" + json + df + show + list, "snapper would find no snapshot"},
		"nested": {
			mountinfo + fstab + "=config root\n" + json + df + show + list + "|ID 300 gen 7 parent 268 top level 268 parent_uuid - uuid u9 path @/.snapshots/1/snapshot/opt/db\n",
			"subvolume /opt/db is inside / and would come back empty",
		},
		"another file system": {strings.Replace(mountinfo, "btrfs", "ext4", 1) + fstab + "=config root\n" + json + df, "/ is ext4"},
		"full":                {mountinfo + fstab + "=config root\n" + json + strings.Replace(df, "3600000", "1000", 1) + show + list, "/ has 0 MiB free"},
	} {
		got := preflight(t, answers{text: "=begin\n" + tt[0] + "=end\n"}, root, prepared())
		if (got == "") != (tt[1] == "") || !strings.Contains(got, tt[1]) {
			t.Errorf("%s: %q, want %q", name, got, tt[1])
		}
	}
}

// TestGateBeforeAnythingIsMade: what other steps have prepared says nothing of the
// snapshots, which come when the window opens; from then on they must be there. A
// preflight is no attempt.
func TestGateBeforeAnythingIsMade(t *testing.T) {
	all := answers{text: "=begin\n" + mountinfo + fstab + cmdline + "=config root\n=jsonout\n" + recorded(t, "after-rollback.json") + df + show + list + "=end\n"}
	for _, kind := range []string{"snapper.snapshot", "snapper.rollback"} {
		before := task(kind, "")
		before.AttemptID, before.Prepared = "", []backout.Prepared{{Uses: "zypper.undo", Facts: map[string]string{}}}
		if got := preflight(t, all, root, before); got != "" {
			t.Errorf("%s: %s", kind, got)
		}
		before.Opened = true
		if got := preflight(t, all, root, before); kind == "snapper.rollback" && !strings.Contains(got, "snapper.snapshot has to be a step of it") {
			t.Errorf("%s without a snapshot: %q", kind, got)
		}
	}
}

func TestLossIsToldWithItsAge(t *testing.T) {
	l, ok := executorstest.Build(t, kindOf(t, "snapper.rollback"), root).(backout.Loser)
	if !ok {
		t.Fatal("it does not say what is lost")
	}
	if got, err := l.Loses(t.Context(), prepared(), nil); err != nil || !strings.HasSuffix(got, "Z (2h ago)") || !strings.HasPrefix(got, "data written to what snapper calls root since 20") {
		t.Errorf("%q %v", got, err)
	}
	if got, err := l.Loses(t.Context(), task("snapper.rollback", "a1"), nil); err != nil || !strings.Contains(got, "when the window opens") {
		t.Errorf("%q %v", got, err)
	}
}
