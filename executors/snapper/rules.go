package snapper

import (
	"fmt"
	"path"
	"strings"

	"github.com/backout-io/backout/executors"
)

// check tells what stands in the way of the set's snapshots and of going back.
func (s set) check(now seen) executors.Violations {
	var v executors.Violations
	switch {
	case now.missing != "":
		v.Add("snapper", now.missing+" is not installed on the target", "install the package "+now.missing)
		return v
	case now.unprivileged:
		v.Add("snapper", "snapper can be asked by root only", "let the target's commands run as root (sudo: true)")
		return v
	case now.transactional:
		v.Add("snapper", "the target is a transactional system, whose snapshots belong to transactional-update", "use a command step with transactional-update rollback NUMBER, never without the number")
		return v
	}
	for _, name := range s.config.Configs {
		at := now.configs[name]
		if at == nil || at.why != "" {
			why := "the look does not tell of it"
			if at != nil {
				why = at.why
			}
			v.Add("snapper", fmt.Sprintf("config %s: %s", name, why), "correct configs of the step, or snapper create-config")
			continue
		}
		if at.free < s.need() {
			v.Add("space", fmt.Sprintf("%s has %d MiB free, %d MiB are needed", at.path(), at.free>>20, s.need()>>20), "free space on it, or correct free_mib")
		}
		if at.path() == "/" {
			checkRoot(now, at, &v)
		}
	}
	return v
}

// checkRoot tells what would keep the next boot from finding what a rollback makes:
// snapper changes the default subvolume, and nothing else.
func checkRoot(now seen, at *state, v *executors.Violations) {
	root, _ := now.table.Mounted("/")
	if root.Type != "btrfs" {
		v.Add("snapper", fmt.Sprintf("/ is %s: snapper rolls back btrfs only", root.Type), "use another way back for /")
		return
	}
	given, _ := now.table.Asked("/")
	for _, m := range given {
		for _, option := range []string{"subvol", "subvolid"} {
			if value, ok := m.Option(option); ok {
				v.Add("snapper", fmt.Sprintf("%s=%s in %s overrides the default subvolume, which is what a rollback changes", option, value, m.Source), "remove it there, or use btrfs.restore")
				return
			}
		}
	}
	if _, listed := now.table.Asked("/.snapshots"); !listed {
		v.Add("snapper", "/.snapshots is not in /etc/fstab: after a rollback snapper would find no snapshot", "mount its subvolume there by a line of /etc/fstab")
	}
	if at.root == nil {
		v.Add("snapper", "btrfs is not there to see which subvolumes are inside /", "install the package btrfsprogs (of Debian: btrfs-progs)")
		return
	}
	for _, sub := range at.all {
		if sub.Parent != at.root.ID || sub.Tree == "" {
			continue
		}
		seenAt := nestedPath(at, sub.Tree)
		if _, mounted := now.table.Asked(seenAt); !mounted && seenAt != "/.snapshots" && !harmless[seenAt] {
			v.Add("snapper", fmt.Sprintf("subvolume %s is inside / and would come back empty", seenAt), "mount it by a line of /etc/fstab, or remove it")
		}
	}
}

// harmless are subvolumes that systemd makes by itself, empty.
var harmless = map[string]bool{"/var/lib/machines": true, "/var/lib/portables": true}

// nestedPath is where a subvolume inside / is seen.
func nestedPath(at *state, tree string) string {
	for _, sub := range at.all {
		if sub.ID == at.root.ID {
			return path.Join("/", strings.TrimPrefix(tree, sub.Tree))
		}
	}
	return path.Join("/", tree)
}
