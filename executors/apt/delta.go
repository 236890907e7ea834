package apt

import (
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/packages"
)

// changes are what the step undoes of the delta.
func (u Undo) changes(t backout.Task) ([]backout.PackageChange, error) {
	if err := packages.CheckDelta(packages.DPKG, t.Delta); err != nil {
		return nil, err
	}
	var list []backout.PackageChange
	for _, c := range joined(t.Delta.Packages) {
		if c.From != c.To && packages.Matches(u.c.Packages, c.Name) {
			list = append(list, c)
		}
	}
	return list, nil
}

// joined makes one change of a package that has gone from an architecture of its own
// to all, or back: to dpkg it is the same package, and it cannot be removed and
// installed at once.
func joined(all []backout.PackageChange) []backout.PackageChange {
	list := slices.Clone(all)
	for i := range list {
		if list[i].To != "" {
			continue
		}
		j := slices.IndexFunc(list, func(c backout.PackageChange) bool {
			return c.Name == list[i].Name && c.From == "" && (c.Arch == "all") != (list[i].Arch == "all")
		})
		if j >= 0 {
			list[i].To, list[j].To = list[j].To, ""
		}
	}
	return slices.DeleteFunc(list, func(c backout.PackageChange) bool { return c.From == "" && c.To == "" })
}

// items are the changes as the scripts take them: the old version with the digest
// of its kept file, or none for what has to go.
func items(changes []backout.PackageChange, kept map[string]keptFile) []string {
	var list []string
	for _, c := range changes {
		sum := ""
		if c.From != "" {
			sum = kept[mark(c.Name, c.Arch, c.From)].sum
		}
		list = append(list, c.Name, c.Arch, c.From, sum)
	}
	return list
}

// holdWords are the arguments that say what is to be held.
func (u Undo) holdWords(changes []backout.PackageChange) []string {
	if !u.hold() {
		return nil
	}
	return packages.HoldArgs(packages.HoldPlace, packages.FrontAPT, "", changes)[3:]
}

// keptFile is one file of the stash.
type keptFile struct{ name, arch, version, sum, size, how string }

// factPrefix begins the facts that stand for one package each.
const factPrefix = "package "

// keptBy reads what Prepare has returned, by mark.
func keptBy(facts map[string]string) map[string]keptFile {
	kept := map[string]keptFile{}
	for key, value := range facts {
		id, ok := strings.CutPrefix(key, factPrefix)
		name, arch, ok2 := strings.Cut(id, ":")
		f := strings.Fields(value)
		if !ok || !ok2 || len(f) != 4 {
			continue
		}
		k := keptFile{name, arch, f[0], f[1], f[2], f[3]}
		if k.sum == noSum {
			k.sum = ""
		}
		kept[mark(name, arch, k.version)] = k
	}
	return kept
}

const noSum = "-"
