package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// The parts that are always looked at.
const (
	partMachine  = "machine"
	partPackages = "packages"
)

// finding is a difference and what it means for the way back.
type finding struct {
	backout.Difference
	// grave: while it is so the target is not back.
	grave bool
	// sure: no rule can make it an expected one.
	sure bool
}

// differences are all but those of packages' versions, in the order of the parts. A
// part that either side leaves out is not compared.
func differences(before, now backout.Inventory) []finding {
	all := slices.Concat(machine(before.Machine, now.Machine), aroundPackages(before.Packages, now.Packages))
	compared := func(part string) bool {
		return !slices.Contains(before.Without, part) && !slices.Contains(now.Without, part)
	}
	if compared(backout.PartUnits) {
		all = append(all, units(before.Units, now.Units)...)
	}
	if compared(backout.PartPorts) {
		all = append(all, ports(before.Ports, now.Ports)...)
	}
	if compared(backout.PartMounts) {
		all = append(all, mounts(before.Mounts, now.Mounts)...)
	}
	if compared(backout.PartAccounts) {
		all = append(all, files(backout.PartAccounts, before.Accounts, now.Accounts)...)
	}
	if compared(backout.PartFiles) {
		all = append(all, files(backout.PartFiles, before.Files, now.Files)...)
	}
	if compared(backout.PartAIDE) {
		all = append(all, aide(before.AIDE, now.AIDE)...)
	}
	return all
}

func finder(part string, all *[]finding) func(name, was, now string) {
	return func(name, was, now string) {
		if was != now {
			*all = append(*all, finding{Difference: backout.Difference{Part: part, Name: name, Was: was, Now: now}})
		}
	}
}

func machine(before, now backout.Machine) (all []finding) {
	add := finder(partMachine, &all)
	add("arch", before.Arch, now.Arch)
	add("boot_id", before.BootID, now.BootID)
	add("build", before.Build, now.Build)
	add("cmdline", before.Cmdline, now.Cmdline)
	add("hostname", before.Hostname, now.Hostname)
	add("init", before.Init, now.Init)
	add("kernel", before.Kernel, now.Kernel)
	add("machine_id", before.MachineID, now.MachineID)
	add("os", before.OS, now.OS)
	add("version", before.Version, now.Version)
	return all
}

// aroundPackages is what the manager knows beside the versions. A hold that came and
// one that went have different names, so that a rule can tell them apart.
func aroundPackages(before, now backout.PackageState) (all []finding) {
	add := finder(partPackages, &all)
	add("history", before.History, now.History)
	for _, h := range now.Held {
		if !slices.Contains(before.Held, h) {
			add("hold/"+h, "", "held")
		}
	}
	for _, h := range before.Held {
		if !slices.Contains(now.Held, h) {
			add("lost-hold/"+h, "held", "")
		}
	}
	add("manager", before.Manager, now.Manager)
	type key struct{ name, version, arch string }
	from := make(map[key]string, len(before.Installed))
	for _, p := range before.Installed {
		from[key{p.Name, p.Version, p.Arch}] = p.Repository
	}
	for _, p := range now.Installed {
		if was := from[key{p.Name, p.Version, p.Arch}]; was != "" && p.Repository != "" {
			add("repository/"+p.Name, was, p.Repository)
		}
	}
	add("tool", before.Tool, now.Tool)
	return all
}

// align calls f for each key of either side, in order, with what is there.
func align[T any, K cmp.Ordered](before, now []T, key func(T) K, f func(k K, was, is *T)) {
	type two struct{ was, is *T }
	all := make(map[K]two, len(before))
	for i := range before {
		all[key(before[i])] = two{was: &before[i]}
	}
	for i := range now {
		k := key(now[i])
		all[k] = two{all[k].was, &now[i]}
	}
	keys := make([]K, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		f(k, all[k].was, all[k].is)
	}
}

func portName(p backout.Port) string {
	host := p.Address
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return p.Protocol + "/" + host + ":" + strconv.Itoa(p.Port)
}

func mountText(m *backout.Mount) string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%s on %s (%s)", m.Type, m.Source, m.Options)
}

func files(part string, before, now []backout.FileState) (all []finding) {
	add := finder(part, &all)
	align(before, now, func(f backout.FileState) string { return f.Path }, func(path string, was, is *backout.FileState) {
		if was != nil && is != nil && *was == *is {
			return
		}
		add(path, fileText(was), fileText(is))
	})
	return all
}

// fileText is a file in words. A file that is not matched any more is as absent as
// one that is named and not there.
func fileText(f *backout.FileState) string {
	if f == nil || f.Kind == "absent" {
		return "absent"
	}
	what := "sha256 " + f.SHA256[:min(16, len(f.SHA256))]
	if f.Kind == "link" {
		what = "link to " + f.Target
	}
	return fmt.Sprintf("%s, mode %s, owner %s", what, f.Mode, f.Owner)
}

// aide takes the report of a check only when it was made with the database of the
// baseline.
func aide(before, now *backout.AIDEState) (all []finding) {
	add := finder(backout.PartAIDE, &all)
	switch {
	case before == nil && now == nil:
	case before == nil:
		add("database", "", now.Database)
	case now == nil:
		add("database", before.Database, "")
	default:
		add("database", before.Database, now.Database)
		add("version", before.Version, now.Version)
		if now.Report != nil && before.Database == now.Database {
			report(now.Report, add)
		}
	}
	return all
}

func report(r *backout.AIDEReport, add func(name, was, now string)) {
	for _, path := range r.Added {
		add(path, "absent", "added")
	}
	for _, path := range r.Changed {
		add(path, "as in the database", "changed")
	}
	for _, path := range r.Removed {
		add(path, "as in the database", "removed")
	}
}
