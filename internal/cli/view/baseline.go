package view

import (
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// Baseline shows what a target was before the patch: in numbers, or with all of it.
func Baseline(b *backout.Baseline, s Style, all bool) string {
	i := &b.Inventory
	out := s.paint(toneBold, text(b.Target)) + "  before " + text(b.ChangeID) + "\n" + s.fields(
		"machine", joined(", ", i.Machine.Hostname, strings.TrimSpace(i.Machine.OS+" "+i.Machine.Version), i.Machine.Arch),
		"kernel", joined(", ", i.Machine.Kernel, prefixed("boot ", i.Machine.BootID)),
		"packages", joined(", ", strconv.Itoa(len(i.Packages.Installed))+" of "+i.Packages.Manager, i.Packages.Tool, prefixed("history at ", i.Packages.History)),
		"held", names(i.Packages.Held, 20),
		"units", amount(i, backout.PartUnits, len(i.Units))+running(i.Units),
		"ports", amount(i, backout.PartPorts, len(i.Ports)),
		"mounts", amount(i, backout.PartMounts, len(i.Mounts)),
		"accounts", amount(i, backout.PartAccounts, len(i.Accounts)),
		"files", amount(i, backout.PartFiles, len(i.Files)),
		"aide", aideWords(i),
	)
	for _, p := range b.Prepared {
		out += "prepared by " + text(p.Uses) + prefixed(": ", labels(p.Facts)) + "\n"
	}
	if all {
		out += s.inventory(i)
	}
	return out
}

func amount(i *backout.Inventory, part string, n int) string {
	for _, left := range i.Without {
		if left == part {
			return "not looked at: the plan leaves them out"
		}
	}
	return strconv.Itoa(n)
}

func running(units []backout.Unit) string {
	n := 0
	for _, u := range units {
		if u.Active == "active" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return ", " + strconv.Itoa(n) + " active"
}

func aideWords(i *backout.Inventory) string {
	if i.AIDE == nil {
		return ""
	}
	return text(i.AIDE.Version) + ", database " + shortHash(i.AIDE.Database)
}

// inventory lists everything, a table for each part that is not empty.
func (s Style) inventory(i *backout.Inventory) string {
	var b strings.Builder
	part := func(header []string, n int, row func(int) []cell) {
		if n == 0 {
			return
		}
		rows := make([][]cell, n)
		for k := range n {
			rows[k] = row(k)
		}
		b.WriteString("\n" + s.table(header, rows))
	}
	part([]string{"PACKAGE", "VERSION", "ARCH", "REPOSITORY", "STATE"}, len(i.Packages.Installed), func(k int) []cell {
		p := i.Packages.Installed[k]
		return []cell{data(p.Name), data(p.Version), data(p.Arch), data(p.Repository), data(p.State)}
	})
	part([]string{"UNIT", "ENABLED", "ACTIVE"}, len(i.Units), func(k int) []cell {
		return []cell{data(i.Units[k].Name), data(i.Units[k].Enabled), data(i.Units[k].Active)}
	})
	part([]string{"PROTOCOL", "ADDRESS", "PORT"}, len(i.Ports), func(k int) []cell {
		return []cell{data(i.Ports[k].Protocol), data(i.Ports[k].Address), data(strconv.Itoa(i.Ports[k].Port))}
	})
	part([]string{"MOUNT", "SOURCE", "TYPE", "OPTIONS"}, len(i.Mounts), func(k int) []cell {
		m := i.Mounts[k]
		return []cell{data(m.Path), data(m.Source), data(m.Type), data(m.Options)}
	})
	files := append(append([]backout.FileState(nil), i.Accounts...), i.Files...)
	part([]string{"FILE", "KIND", "MODE", "OWNER", "CONTENT"}, len(files), func(k int) []cell {
		f := files[k]
		content := f.Target
		if f.SHA256 != "" {
			content = shortHash(f.SHA256)
		}
		return []cell{data(f.Path), data(f.Kind), data(f.Mode), data(f.Owner), data(content)}
	})
	return b.String()
}

// Delta shows what the patch changed on a target.
func Delta(d *backout.Delta, s Style) string {
	out := s.paint(toneBold, text(d.Target)) + "  " + count(len(d.Packages), "package", "packages") + " changed by the patch"
	if d.HistoryTo != "" && d.HistoryTo != d.HistoryFrom {
		out += ", history " + orDash(text(d.HistoryFrom)) + " to " + text(d.HistoryTo)
	}
	return out + "\n" + s.changed(d, "BEFORE", "AFTER")
}

// Compared shows in what two targets differ.
func Compared(d *backout.Delta, first, second string, s Style) string {
	if len(d.Packages)+len(d.Differences) == 0 {
		return text(first) + " and " + text(second) + " do not differ\n"
	}
	return s.changed(d, Clean(first), Clean(second))
}

func (s Style) changed(d *backout.Delta, was, now string) string {
	var b strings.Builder
	if len(d.Packages) > 0 {
		rows := make([][]cell, len(d.Packages))
		for i, p := range d.Packages {
			rows[i] = []cell{data(p.Name), data(p.Arch), data(p.From), data(p.To)}
		}
		b.WriteString(s.table([]string{"PACKAGE", "ARCH", was, now}, rows))
	}
	if len(d.Differences) > 0 {
		rows := make([][]cell, len(d.Differences))
		for i, x := range d.Differences {
			rows[i] = []cell{data(x.Part), data(x.Name), data(x.Was), data(x.Now)}
		}
		b.WriteString(s.table([]string{"PART", "NAME", was, now}, rows))
	}
	return b.String()
}

func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = text(p); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

func prefixed(words, value string) string {
	if value == "" {
		return ""
	}
	return words + value
}
