// Package baseline compares what was captured of a target: the baseline with the
// state right after patching, which is the patch delta, and with the state after a
// rollback, which is the drift. It is pure.
package baseline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/backout-io/backout"
)

// Encode is the one form in which a baseline is stored: the same state gives the same
// bytes. It leaves b as it is.
func Encode(b backout.Baseline) []byte {
	b.Inventory = sorted(b.Inventory)
	return mustMarshal(b)
}

// EncodeInventory is the same for what was looked at later.
func EncodeInventory(inv backout.Inventory) []byte {
	return mustMarshal(sorted(inv))
}

// Digest is the name under which such bytes are stored.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// mustMarshal encodes what is made of texts and numbers only, which cannot fail.
func mustMarshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("baseline: " + err.Error())
	}
	return data
}

// sorted returns the inventory in its order, in lists of its own.
func sorted(inv backout.Inventory) backout.Inventory {
	inv.Without = slices.Clone(inv.Without)
	inv.Packages.Installed, inv.Packages.Held = slices.Clone(inv.Packages.Installed), slices.Clone(inv.Packages.Held)
	inv.Units, inv.Ports, inv.Mounts = slices.Clone(inv.Units), slices.Clone(inv.Ports), slices.Clone(inv.Mounts)
	inv.Accounts, inv.Files = slices.Clone(inv.Accounts), slices.Clone(inv.Files)
	inv.Sort()
	return inv
}

// Compare returns what changed from before to after. Target and the digests of both
// are for the caller to fill in.
//
// A package that was there once and is there once is one change from its old to its
// new version. Where it is or was there in several versions, as kernels are, each
// version that came or went is a change of its own; so is either side of one that
// changed its architecture.
func Compare(before, after backout.Inventory) backout.Delta {
	d := backout.Delta{
		Manager: before.Packages.Manager, HistoryFrom: before.Packages.History, HistoryTo: after.Packages.History,
	}
	for _, k := range pairUp(before.Packages.Installed, after.Packages.Installed) {
		d.Packages = append(d.Packages, k.changes()...)
		if k.halfDone() || k.onlyState() {
			d.Differences = append(d.Differences, k.difference(after.Packages.Manager))
		}
	}
	slices.SortFunc(d.Packages, func(a, b backout.PackageChange) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for _, f := range differences(before, after) {
		d.Differences = append(d.Differences, f.Difference)
	}
	return d
}

// kinds is a package by name and arch, with its versions before and now.
type kinds struct {
	name, arch string
	was, is    []backout.Package
}

// pairUp finds the packages that differ, sorted by name and arch.
func pairUp(before, now []backout.Package) []kinds {
	type key struct{ name, arch string }
	all := make(map[key]*kinds, len(before)+16)
	get := func(p backout.Package) *kinds {
		k := all[key{p.Name, p.Arch}]
		if k == nil {
			k = &kinds{name: p.Name, arch: p.Arch}
			all[key{p.Name, p.Arch}] = k
		}
		return k
	}
	for _, p := range before {
		k := get(p)
		k.was = append(k.was, p)
	}
	for _, p := range now {
		k := get(p)
		k.is = append(k.is, p)
	}
	var differ []kinds
	same := func(a, b backout.Package) bool { return a.Version == b.Version && a.State == b.State }
	byVersion := func(a, b backout.Package) int { return cmp.Compare(a.Version, b.Version) }
	for _, k := range all {
		slices.SortFunc(k.was, byVersion)
		slices.SortFunc(k.is, byVersion)
		if !slices.EqualFunc(k.was, k.is, same) {
			differ = append(differ, *k)
		}
	}
	slices.SortFunc(differ, func(a, b kinds) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.arch, b.arch)) })
	return differ
}

func has(list []backout.Package, version string) bool {
	return slices.ContainsFunc(list, func(p backout.Package) bool { return p.Version == version })
}

// changes are the versions that came and went.
func (k kinds) changes() []backout.PackageChange {
	var changes []backout.PackageChange
	for _, p := range k.was {
		if !has(k.is, p.Version) {
			changes = append(changes, backout.PackageChange{Name: k.name, Arch: k.arch, From: p.Version})
		}
	}
	for _, p := range k.is {
		if !has(k.was, p.Version) {
			changes = append(changes, backout.PackageChange{Name: k.name, Arch: k.arch, To: p.Version})
		}
	}
	if len(k.was) == 1 && len(k.is) == 1 && len(changes) == 2 {
		return []backout.PackageChange{{Name: k.name, Arch: k.arch, From: changes[0].From, To: changes[1].To}}
	}
	return changes
}

// onlyState tells that the versions are the same and whole in another way.
func (k kinds) onlyState() bool { return len(k.changes()) == 0 }

// difference is the package in words, named as its manager does.
func (k kinds) difference(manager string) backout.Difference {
	text := func(list []backout.Package) (all string) {
		for i, p := range list {
			if i > 0 {
				all += ", "
			}
			all += p.Version
			if p.State != "" {
				all += " (" + p.State + ")"
			}
		}
		return all
	}
	between := "."
	if manager == "dpkg" {
		between = ":"
	}
	return backout.Difference{Part: partPackages, Name: k.name + between + k.arch, Was: text(k.was), Now: text(k.is)}
}
