package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// Drift compares a target with its baseline. delta is what the patch had changed;
// nil when that is not known: then each package in another version than in the
// baseline counts as the patch. ignore are the plan's rules beside the defaults, and
// come before them.
//
// The differences are sorted: those for which the target is not back, the others that
// count, and those that are expected, each with its rule.
func Drift(before, now backout.Inventory, delta *backout.Delta, ignore []backout.IgnoreDrift) (backout.DriftVerdict, []backout.Difference) {
	found := slices.Concat(kernels(before, now, delta), packages(before, now, delta))
	for _, f := range differences(before, now) {
		if known := slices.ContainsFunc(found, func(g finding) bool { return g.Part == f.Part && g.Name == f.Name }); !known {
			found = append(found, f)
		}
	}
	weight := func(f finding) int {
		switch {
		case f.Ignored != "":
			return 2
		case f.grave:
			return 0
		}
		return 1
	}
	verdict := backout.DriftNone
	for i, f := range found {
		if !f.sure {
			found[i].Ignored = ruleFor(f.Difference, ignore)
		}
		switch {
		case found[i].Ignored != "":
		case f.grave:
			verdict = backout.DriftNotBack
		case verdict == backout.DriftNone:
			verdict = backout.DriftSome
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(weight(a), weight(b)) })
	list := make([]backout.Difference, len(found))
	for i, f := range found {
		list[i] = f.Difference
	}
	return verdict, list
}

// packages judges each package that is not as in the baseline.
func packages(before, now backout.Inventory, delta *backout.Delta) []finding {
	type key struct{ name, arch string }
	changes := map[key][]backout.PackageChange{}
	if delta != nil {
		for _, c := range delta.Packages {
			changes[key{c.Name, c.Arch}] = append(changes[key{c.Name, c.Arch}], c)
		}
	}
	var all []finding
	for _, k := range pairUp(before.Packages.Installed, now.Packages.Installed) {
		f := finding{Difference: k.difference(now.Packages.Manager)}
		mine := changes[key{k.name, k.arch}]
		f.sure = len(mine) > 0 // no rule may hide that a part of the patch is there
		switch {
		case k.halfDone() || k.doubled():
			f.grave, f.sure = true, true
		case len(k.is) == 0:
			f.grave = !installOnly(k.name)
		case delta == nil:
			f.grave = len(k.was) > 0 && !installOnly(k.name)
			f.sure = f.grave
		default:
			f.grave = slices.ContainsFunc(mine, k.remains)
		}
		all = append(all, f)
	}
	return all
}

// halfDone tells of a package whose installation was interrupted since.
func (k kinds) halfDone() bool {
	return slices.ContainsFunc(k.is, func(p backout.Package) bool {
		return p.State != "" && !slices.ContainsFunc(k.was, func(q backout.Package) bool { return q.Version == p.Version && q.State == p.State })
	})
}

// doubled tells of two versions where there can be one: what a transaction leaves
// that was killed half way.
func (k kinds) doubled() bool {
	return len(k.is) > 1 && len(k.is) > len(k.was) && !installOnly(k.name)
}

// remains tells whether a change of the patch is not undone; both versions at once
// are told by doubled. What the patch has added
// does no harm while it is not used; that of a kernel is judged by what runs.
func (k kinds) remains(c backout.PackageChange) bool {
	if installOnly(k.name) && (c.From == "" || c.To == "") {
		return false
	}
	return c.From != "" && !has(k.is, c.From)
}

// installOnly tells of packages of which several versions stand side by side, and of
// which the manager removes old ones by itself.
func installOnly(name string) bool {
	one := []string{"kernel-tools", "kernel-headers", "kernel-doc", "kernel-firmware", "kernel-abi", "kernel-srpm-macros", "kernel-rpm-macros"}
	many := []string{"kernel-", "kmod-", "linux-image-", "linux-modules-", "linux-headers-"}
	begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return name == "kernel" || slices.ContainsFunc(many, begins) && !slices.ContainsFunc(one, begins)
}

// kernels judges the kernel that runs: the one of the patch, or only another one than
// at the baseline.
func kernels(before, now backout.Inventory, delta *backout.Delta) []finding {
	was, is := before.Machine, now.Machine
	sameBuild := was.Build == is.Build || was.Build == "" || is.Build == ""
	if was.Kernel == is.Kernel && sameBuild {
		return nil
	}
	changes := Compare(before, now).Packages
	if delta != nil {
		changes = delta.Packages
	}
	f := finding{Difference: backout.Difference{Part: partMachine, Name: "kernel", Was: was.Kernel, Now: is.Kernel}}
	if was.Kernel == is.Kernel {
		f.Name, f.Was, f.Now = "build", was.Build, is.Build
	}
	f.grave = slices.ContainsFunc(changes, func(c backout.PackageChange) bool { return c.To != "" && runs(c, is) })
	f.sure = f.grave
	return []finding{f}
}

// runs tells whether the running kernel is the one that a change brought.
func runs(c backout.PackageChange, m backout.Machine) bool {
	if release, ok := strings.CutPrefix(c.Name, "linux-image-"); ok {
		// A new build of the same release: its build names the version of the package.
		return strings.TrimPrefix(release, "unsigned-") == m.Kernel && (c.From == "" || !strings.Contains(m.Build, c.From+" ") && !strings.HasSuffix(m.Build, c.From))
	}
	if !installOnly(c.Name) || strings.HasPrefix(c.Name, "kmod-") {
		return false
	}
	_, version, _ := strings.Cut(c.To, ":")
	if strings.HasPrefix(m.Kernel, version+"."+c.Arch) {
		return true
	}
	// SUSE: 5.14.21-150500.55.52.1 runs as 5.14.21-150500.55.52-default.
	i := strings.LastIndexByte(m.Kernel, '-')
	return i > 0 && strings.Contains(m.Kernel[:i], "-") && (version == m.Kernel[:i] || strings.HasPrefix(version, m.Kernel[:i]+"."))
}

// Summary says the differences that count in a few words; empty when none does.
func Summary(list []backout.Difference) string {
	const shown = 3
	var b strings.Builder
	count := 0
	for _, d := range list {
		if d.Ignored != "" {
			continue
		}
		if count++; count > shown {
			continue
		}
		if count > 1 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %s: %s, was %s", d.Part, d.Name, cmp.Or(d.Now, "gone"), cmp.Or(d.Was, "not there"))
	}
	if count > shown {
		fmt.Fprintf(&b, "; and %d more", count-shown)
	}
	return b.String()
}
