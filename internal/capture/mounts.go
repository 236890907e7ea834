package capture

import (
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// pseudo are file systems that hold nothing, or come and go by themselves.
var pseudo = []string{
	"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd",
	"nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal",
}

// passed are folders below which mounts come and go with logins, containers and
// snaps.
var passed = []string{"/dev/", "/proc/", "/run/", "/snap/", "/sys/", "/var/lib/containers/", "/var/lib/docker/", "/var/lib/kubelet/", "/var/snap/"}

// readMounts reads /proc/self/mountinfo, see proc(5).
func readMounts(said sections, inv *backout.Inventory) error {
	const tool = "/proc/self/mountinfo"
	lines, err := said.lines("mounts", backout.PartMounts, tool)
	if err != nil {
		return err
	}
	seen := map[string]backout.Mount{}
	root := false
	for _, line := range lines {
		left, right, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 6 || len(g) < 2 {
			return unparsed(backout.PartMounts, tool, line)
		}
		m := backout.Mount{Path: plain(octal(f[4])), Type: plain(g[0]), Source: plain(octal(g[1]))}
		root = root || m.Path == "/"
		// What is mounted over another hides it.
		delete(seen, m.Path)
		if slices.Contains(pseudo, m.Type) || slices.ContainsFunc(passed, func(dir string) bool { return strings.HasPrefix(m.Path+"/", dir) }) {
			continue
		}
		options := strings.Split(f[5], ",")
		// A file system that is read-only as a whole is so on each of its mounts.
		if len(g) > 2 && slices.Contains(strings.Split(g[2], ","), "ro") {
			options = append(slices.DeleteFunc(options, func(o string) bool { return o == "rw" || o == "ro" }), "ro")
		}
		slices.Sort(options)
		m.Options = plain(strings.Join(options, ","))
		seen[m.Path] = m
	}
	if !root {
		return invalid("look at mounts: %s has no root file system", tool)
	}
	for _, m := range seen {
		inv.Mounts = append(inv.Mounts, m)
	}
	return nil
}

// octal undoes the kernel's escapes: \040 is a space.
func octal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
