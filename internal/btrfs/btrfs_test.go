package btrfs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/btrfs"
)

func TestListsOfSeveralVersions(t *testing.T) {
	got, err := btrfs.ParseList([]string{
		"ID 256 gen 7 parent 5 top level 5 parent_uuid -                                    uuid de06ee58-e60b-594e-9416-a36f0b74626a path @",
		"ID 257 gen 7 cgen 6 parent 256 top level 256 parent_uuid u1 uuid u2 path <FS_TREE>/@/a b",
	})
	want := []btrfs.Subvolume{
		{ID: 256, Parent: 5, Generation: 7, UUID: "de06ee58-e60b-594e-9416-a36f0b74626a", ParentUUID: "-", Tree: "@"},
		{ID: 257, Parent: 256, Generation: 7, UUID: "u2", ParentUUID: "u1", Tree: "@/a b"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"", "ID 256 gen 7 top level 5 path @", "ID 99999999999999999999 gen 7 parent 5 top level 5 parent_uuid - uuid u path @"} {
		if _, err := btrfs.ParseList([]string{bad}); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestMountsWithBlanks(t *testing.T) {
	mounts, err := btrfs.ParseMounts([]string{`36 35 0:39 /@ /mnt/a\040b rw shared:1 - btrfs /dev/vda2 rw,subvolid=256,subvol=/@`, `37 35 0:40 / /proc rw - proc proc`})
	want := []btrfs.Mount{
		{Path: "/mnt/a b", Source: "/dev/vda2", Type: "btrfs", Options: "rw,subvolid=256,subvol=/@"},
		{Path: "/proc", Source: "proc", Type: "proc"},
	}
	if diff := cmp.Diff(want, mounts); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := btrfs.ParseMounts([]string{"nonsense"}); err == nil {
		t.Error("nonsense was read")
	}
	fstab := btrfs.ParseFstab([]string{"# x y z w", "", "too few", `UUID=1 /a\040b btrfs subvol=@,noatime 0 0`})
	if diff := cmp.Diff([]btrfs.Mount{{Path: "/a b", Source: "UUID=1", Type: "btrfs", Options: "subvol=@,noatime"}}, fstab); diff != "" {
		t.Error(diff)
	}
	if v, ok := fstab[0].Option("subvol"); v != "@" || !ok {
		t.Error(v, ok)
	}
	if _, ok := fstab[0].Option("sub"); ok {
		t.Error("half an option was found")
	}
}

// TestLastMountHidesOthers: what is mounted over something is what is seen.
func TestLastMountHidesOthers(t *testing.T) {
	table := btrfs.Table{Mounts: []btrfs.Mount{{Path: "/", Source: "/dev/a"}, {Path: "/x", Source: "/dev/b"}, {Path: "/x", Source: "/dev/c"}}}
	for p, want := range map[string]string{"/x": "/dev/c", "/x/y/z": "/dev/c", "/y": "/dev/a", "/": "/dev/a"} {
		if got := table.Device(p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}

func TestRoomOfMixedGroups(t *testing.T) {
	text := "    Device unallocated:\t\t 1000\n    Free (estimated):\t\t 5000\t(min: 4000)\n    Metadata ratio:\t\t 1.00\n    Global reserve:\t\t 100\t(used: 0)\nData+Metadata,single: Size:700, Used:200 (1.00%)\n"
	free, trees, err := btrfs.ParseUsage(strings.Split(text, "\n"))
	if free != 4000 || trees != 1400 || err != nil {
		t.Errorf("%d %d %v", free, trees, err)
	}
	if _, _, err := btrfs.ParseUsage([]string{"ERROR: not a btrfs filesystem"}); err == nil {
		t.Error("an error was read")
	}
}
