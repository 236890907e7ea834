package btrfs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout/executors"
	tool "github.com/backout-io/backout/internal/btrfs"
)

// minTrees is what the trees must have left: less, and the file system may turn
// read-only while it is written to.
const minTrees = 64 << 20

// check tells what stands in the way of a set's snapshots and of putting them back.
func (s set) check(now seen) executors.Violations {
	var v executors.Violations
	switch {
	case now.missing != "":
		v.Add("btrfs", now.missing+" is not installed on the target", "install the package "+now.missing)
		return v
	case now.unprivileged:
		v.Add("btrfs", "btrfs can be looked at by root only", "let the target's commands run as root (sudo: true)")
		return v
	}
	ids := map[int]string{}
	for _, p := range s.paths() {
		at := now.paths[p]
		switch {
		case at == nil:
			v.Add("btrfs", "the look does not tell of "+p, "look again")
			return v
		case at.why != "":
			v.Add("btrfs", p+" is not a btrfs subvolume: "+at.why, "correct subvolumes of the step")
			return v
		case at.subvolume.ID == tool.TopLevel:
			v.Add("btrfs", p+" is the top level of its file system, which cannot be replaced", "move it into a subvolume of its own (such as @), or use another way back")
			return v
		}
		ids[at.subvolume.ID] = p
	}
	for _, p := range s.paths() {
		s.checkMount(now, p, ids, &v)
		s.checkNested(now, p, ids, &v)
		s.checkRoom(now.paths[p], p, &v)
	}
	for _, file := range now.swaps {
		if p := s.holds(file); p != "" {
			v.Add("btrfs", fmt.Sprintf("swap file %s is active inside %s: its subvolume cannot be snapshotted", file, p), "move it into a subvolume of its own outside of the set")
		}
	}
	return v
}

// holds returns the path of the set that a file is below.
func (s set) holds(file string) string {
	paths := s.paths()
	slices.Reverse(paths)
	for _, p := range paths {
		if below(file, p) {
			return p
		}
	}
	return ""
}

func below(file, dir string) bool {
	return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

var plainDevice = regexp.MustCompile(`^/dev/[A-Za-z0-9/_.+:-]+$`)

// checkMount tells whether the next mount of the path would find what takes the
// subvolume's name, or the default. fstab's subvol= and the kernel's rootflags=
// override the default subvolume.
func (s set) checkMount(now seen, p string, ids map[int]string, v *executors.Violations) {
	at := now.paths[p]
	if d := now.table.Device(p); !plainDevice.MatchString(d) {
		v.Add("btrfs", fmt.Sprintf("%s is mounted from %q, which is no device's path", p, d), "mount it from a device")
	}
	if _, ok := now.table.Mounted(p); !ok {
		if ids[at.subvolume.Parent] == "" {
			v.Add("btrfs", fmt.Sprintf("%s is inside a subvolume that is not in the set, and is not mounted by itself", p), "mount it by its own line of fstab, or take the subvolume around it into the set")
		}
		return
	}
	given, listed := now.table.Asked(p)
	if !listed && p != "/" {
		v.Add("btrfs", p+" is not in /etc/fstab: nobody knows how it is mounted again", "write it to /etc/fstab with subvol="+at.subvolume.Tree)
		return
	}
	named := false
	for _, m := range given {
		if id, ok := m.Option("subvolid"); ok {
			v.Add("btrfs", fmt.Sprintf("%s is mounted by number (subvolid=%s in %s), and the number changes when it is put back", p, id, m.Source), "keep only subvol="+at.subvolume.Tree+" there")
			return
		}
		name, ok := m.Option("subvol")
		if !ok {
			continue
		}
		named = true
		if name = strings.Trim(name, "/"); name != at.subvolume.Tree {
			v.Add("btrfs", fmt.Sprintf("%s is subvolume %s now, but %s says subvol=%s", p, at.subvolume.Tree, m.Source, name), "correct it, so that the next boot finds what runs now")
			return
		}
	}
	if !named && at.deflt != at.subvolume.ID {
		v.Add("btrfs", fmt.Sprintf("%s is subvolume %s, which neither fstab names nor is the default: the next boot finds another", p, at.subvolume.Tree), "btrfs subvolume set-default it, or name it by subvol= in fstab and rootflags=")
	}
}

// checkNested tells of subvolumes inside that would come back empty.
func (s set) checkNested(now seen, p string, ids map[int]string, v *executors.Violations) {
	at := now.paths[p]
	for _, sub := range at.all {
		if sub.Parent != at.subvolume.ID || ids[sub.ID] != "" {
			continue
		}
		seenAt := path.Join(p, strings.TrimPrefix(sub.Tree, at.subvolume.Tree))
		if slices.Contains(s.config.Except, seenAt) {
			continue
		}
		v.Add("btrfs", fmt.Sprintf("subvolume %s is inside %s and would come back empty", seenAt, p), "add it to subvolumes, or to except when it may be empty")
	}
}

func (s set) checkRoom(at *place, p string, v *executors.Violations) {
	if at.free < s.need() {
		v.Add("space", fmt.Sprintf("%s has %d MiB free, %d MiB are needed", p, at.free>>20, s.need()>>20), "free space on it, or correct free_mib")
	}
	if at.metadata < minTrees {
		v.Add("space", fmt.Sprintf("the metadata of %s has %d MiB left, %d MiB are needed: it would be full though there is room for data", p, at.metadata>>20, minTrees>>20), "btrfs balance start -dusage=10 "+p)
	}
}
