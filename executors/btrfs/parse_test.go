package btrfs_test

import (
	"context"
	"encoding/json"
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

// What btrfs-progs 6.2 says of a root in subvolume @ with a snapshot of CHG1.
const (
	mountinfo = "=mounts\n|22 1 0:39 /@ / rw,relatime - btrfs /dev/vda2 rw,space_cache=v2,subvolid=256,subvol=/@\n|30 22 8:1 / /boot rw - ext4 /dev/vda1 rw\n"
	fstab     = "=fstab\n|# a comment\n|UUID=1 / btrfs subvol=@,noatime 0 0\n"
	cmdline   = "=cmdline\n|root=UUID=1 rootflags=subvol=@ quiet\n"
	swaps     = "=swaps\n|Filename\tType\tSize\tUsed\tPriority\n|/dev/vda3 partition 1 0 -2\n"
	show      = "=path /\n=show\n|@\n|\tName: \t\t\t@\n|\tUUID: \t\t\tu1\n|\tParent UUID: \t\t-\n|\tSubvolume ID: \t\t256\n|\tGeneration: \t\t9\n"
	list      = "=list\n|ID 256 gen 9 parent 5 top level 5 parent_uuid -                                    uuid u1 path <FS_TREE>/@\n|ID 258 gen 8 parent 5 top level 5 parent_uuid u1 uuid s1 path <FS_TREE>/.backout/CHG1/root\n"
	byDefault = "=default\n|ID 5 (FS_TREE)\n"
	usage     = "=usage\n|    Device unallocated:\t\t        2659188736\n|    Free (estimated):\t\t        2667577344\t(min: 1337982976)\n|    Metadata ratio:\t\t              2.00\n" +
		"|    Global reserve:\t\t           5767168\t(used: 16384)\n|Metadata,DUP: Size:268435456, Used:131072 (0.05%)\n"
	marks = "=marks\n|bin\n|.backout-pre-CHG1-K\n|.backout-post-CHG1-K\n"
)

const atRoot = `{}`

func answer(parts ...string) answers {
	return answers{text: "=begin\n=version\n|btrfs-progs v6.2\n" + strings.Join(parts, "") + "=end\n", state: backout.AttemptFinished}
}

func prepared(t *testing.T) backout.Task {
	t.Helper()
	one, err := json.Marshal(map[string]any{"path": "/", "name": "root", "tree": "@", "device": "/dev/vda2", "uuid": "s1", "of": "u1"})
	if err != nil {
		t.Fatal(err)
	}
	task := task("btrfs.restore", "r1.L2.s1.t1.a1")
	task.Opened = true
	task.Prepared = []backout.Prepared{{Uses: "btrfs.snapshot", Facts: map[string]string{"key": "CHG1-K", "subvolume.root": string(one), "made": time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339)}}}
	return task
}

// TestFstabOverridesTheDefaultSubvolume: what the next boot mounts has to be what is
// put back, whichever way it is named.
func TestFstabOverridesTheDefaultSubvolume(t *testing.T) {
	plain := "=fstab\n|UUID=1 / btrfs defaults 0 0\n"
	quiet := "=cmdline\n|root=UUID=1 quiet\n"
	for name, tt := range map[string][2]string{
		"by name":              {mountinfo + fstab + cmdline + swaps + show + list + byDefault + usage + marks, ""},
		"by default":           {mountinfo + plain + quiet + swaps + show + list + strings.Replace(byDefault, "5 (FS_TREE)", "256 gen 9 top level 5 path @", 1) + usage + marks, ""},
		"neither":              {mountinfo + plain + quiet + show + list + byDefault + usage + marks, "neither fstab names nor is the default"},
		"rootflags of another": {mountinfo + plain + strings.Replace(cmdline, "=@", "=@old", 1) + show + list + byDefault + usage + marks, "rootflags= of the kernel's command line says subvol=@old"},
		"rootflags by number":  {mountinfo + plain + "=cmdline\n|rootflags=subvolid=256\n" + show + list + byDefault + usage + marks, "by number (subvolid=256"},
		"fstab of another":     {mountinfo + strings.Replace(fstab, "=@", "=/@old", 1) + cmdline + show + list + byDefault + usage + marks, "/etc/fstab says subvol=@old"},
	} {
		if got := preflight(t, answer(tt[0]), atRoot, prepared(t)); (got == "") != (tt[1] == "") || !strings.Contains(got, tt[1]) {
			t.Errorf("%s: %q, want %q", name, got, tt[1])
		}
	}
}

// TestMetadataIsFullThoughThereIsRoom: ENOSPC comes from the trees first.
func TestMetadataIsFullThoughThereIsRoom(t *testing.T) {
	all := mountinfo + fstab + cmdline + swaps + show + list + byDefault + marks
	full := strings.NewReplacer("Device unallocated:\t\t        2659188736", "Device unallocated: 1048576", "Used:131072 ", "Used:262144000 ").Replace(usage)
	for name, tt := range map[string][2]string{
		"room":     {all + usage, ""},
		"metadata": {all + full, "the metadata of / has 1 MiB left"},
		"data":     {all + strings.Replace(usage, "min: 1337982976", "min: 1000000", 1), "/ has 0 MiB free"},
		"torn":     {all + "=usage\n|ERROR: cannot\n", "btrfs filesystem usage says"},
	} {
		if got := preflight(t, answer(tt[0]), atRoot, task("btrfs.snapshot", "p")); (got == "") != (tt[1] == "") || !strings.Contains(got, tt[1]) {
			t.Errorf("%s: %q, want %q", name, got, tt[1])
		}
	}
}

func TestWhatCannotBeSnapshotted(t *testing.T) {
	rest := list + byDefault + usage + marks
	for name, tt := range map[string][2]string{
		"swap file":  {mountinfo + fstab + cmdline + "=swaps\n|/swapfile file 1 0 -2\n" + show + rest, "swap file /swapfile is active inside /"},
		"top level":  {mountinfo + strings.ReplaceAll(show, "256", "5") + "=list\n" + byDefault + usage + marks, "top level of its file system"},
		"no btrfs":   {"=missing btrfs-progs\n", "btrfs-progs is not installed"},
		"no root":    {"=unprivileged\n", "by root only"},
		"ext4":       {"=path /\n=show\n|ERROR: not a btrfs filesystem: /\n=failed 1\n", "is not a btrfs subvolume: btrfs subvolume show: ERROR: not a btrfs"},
		"no device":  {strings.Replace(mountinfo, "/dev/vda2", "none", 1) + fstab + cmdline + show + rest, "no device's path"},
		"list":       {show + "=list\n|ID x\n", "btrfs subvolume list has the line"},
		"mounts":     {"=mounts\n|x\n", "mountinfo has the line"},
		"silent":     {"", "does not tell of /"},
		"not listed": {show + "=list\n", "does not have subvolume 256"},
	} {
		got := preflight(t, answer(tt[0]), atRoot, task("btrfs.snapshot", "p"))
		if !strings.Contains(got, tt[1]) {
			t.Errorf("%s: %q, want %q", name, got, tt[1])
		}
	}
	if got := preflight(t, answers{text: "=begin\n"}, atRoot, task("btrfs.snapshot", "p")); !strings.Contains(got, "not whole") {
		t.Errorf("%q", got)
	}
}

// TestMarkersAndNamesAreTheProbe: no tool's memory counts.
func TestMarkersAndNamesAreTheProbe(t *testing.T) {
	swapped := strings.NewReplacer("uuid u1 path <FS_TREE>/@", "uuid u1 path <FS_TREE>/.backout/CHG1/root-backed-out").Replace(list) + "|ID 260 gen 9 parent 5 top level 5 parent_uuid s1 uuid n1 path <FS_TREE>/@\n"
	back := strings.NewReplacer("UUID: \t\t\tu1", "UUID: \t\t\tn1", "Parent UUID: \t\t-", "Parent UUID: \t\ts1", "\t256", "\t260").Replace(show)
	reverted, blank := "=marks\n|.backout-pre-CHG1-K\n", "=marks\n|bin\n"
	for name, tt := range map[string]struct {
		text string
		want backout.ProbeState
	}{
		"as it was":              {show + list + byDefault + usage + marks, backout.ProbeNotDone},
		"next boot by name":      {show + swapped + byDefault + usage + marks, backout.ProbePendingReboot},
		"default still the old":  {show + swapped + "=default\n|ID 256 gen 9 top level 5 path x\n" + usage + marks, backout.ProbeNotDone},
		"booted":                 {back + swapped + byDefault + usage + reverted, backout.ProbeDone},
		"booted, and the marker": {back + swapped + byDefault + usage + blank, backout.ProbeUnknown},
		"booted, and patched":    {back + swapped + byDefault + usage + marks, backout.ProbeUnknown},
		"another snapshot runs":  {strings.Replace(back, "\ts1", "\tother", 1) + strings.Replace(swapped, "parent_uuid s1 uuid n1", "parent_uuid other uuid n1", 1) + byDefault + usage + reverted, backout.ProbeUnknown},
	} {
		if got := probe(t, answer(tt.text), atRoot, prepared(t)); got.State != tt.want {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
	running := answer(show + list + byDefault + usage + marks)
	running.state = backout.AttemptRunning
	if got := probe(t, running, atRoot, prepared(t)); got.State != backout.ProbeInProgress {
		t.Errorf("running: %+v", got)
	}
}

func TestLossIsToldWithItsAge(t *testing.T) {
	l, ok := executorstest.Build(t, kindOf(t, "btrfs.restore"), `{"subvolumes": ["/"]}`).(backout.Loser)
	if !ok {
		t.Fatal("it does not say what is lost")
	}
	// Another step of the kind has snapshotted something else.
	two := prepared(t)
	two.Prepared = append([]backout.Prepared{{Uses: "btrfs.snapshot", Facts: map[string]string{"key": "K2", "subvolume.srv": "{}"}}}, two.Prepared...)
	if got, err := l.Loses(t.Context(), two, nil); err != nil || !strings.HasPrefix(got, "data written to / since 20") || !strings.HasSuffix(got, "Z (2h ago)") {
		t.Errorf("%q %v", got, err)
	}
	if got, err := l.Loses(t.Context(), task("btrfs.restore", "a1"), nil); err != nil || !strings.Contains(got, "when the window opens") {
		t.Errorf("%q %v", got, err)
	}
}

// TestGateBeforeAnythingIsMade: what other steps have prepared says nothing of the
// snapshots, which come when the window opens; from then on they must be there. A
// preflight is no attempt.
func TestGateBeforeAnythingIsMade(t *testing.T) {
	all := answer(mountinfo + fstab + cmdline + swaps + show + list + byDefault + usage + marks)
	for _, kind := range []string{"btrfs.snapshot", "btrfs.restore"} {
		before := task(kind, "")
		before.AttemptID, before.Prepared = "", []backout.Prepared{{Uses: "zypper.undo", Facts: map[string]string{}}}
		if got := preflight(t, all, atRoot, before); got != "" {
			t.Errorf("%s: %s", kind, got)
		}
		before.Opened = true
		if got := preflight(t, all, atRoot, before); kind == "btrfs.restore" && !strings.Contains(got, "btrfs.snapshot has to be a step of it") {
			t.Errorf("%s without a snapshot: %q", kind, got)
		}
	}
}

func TestBaselineOfOthersIsRefused(t *testing.T) {
	e := executorstest.Build(t, kindOf(t, "btrfs.restore"), `{"subvolumes": ["/", "/var"]}`)
	if _, err := e.Execute(t.Context(), prepared(t), answer(), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "no snapshot of / and /var") {
		t.Errorf("%v", err)
	}
	second := prepared(t)
	second.Prepared = append([]backout.Prepared{{Uses: "btrfs.snapshot", Facts: map[string]string{"key": "K2", "subvolume.srv": "{}"}}}, second.Prepared...)
	if l, ok := e.(backout.Loser); ok {
		if got, err := l.Loses(t.Context(), second, nil); err != nil || !strings.Contains(got, "since the snapshot that is made") {
			t.Errorf("of steps with other sets it reads: %s, %v", got, err)
		}
	}
	if _, err := e.Execute(t.Context(), task("btrfs.restore", "a1"), answer(), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "has to be a step of it") {
		t.Errorf("%v", err)
	}
	hostile := prepared(t)
	hostile.ChangeID = "../x"
	if _, err := executorstest.Build(t, kindOf(t, "btrfs.restore"), atRoot).Execute(t.Context(), hostile, answer(), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "cannot name") {
		t.Errorf("%v", err)
	}
}
