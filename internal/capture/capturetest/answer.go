// Package capturetest lets a simulated host answer the script of internal/capture.
package capturetest

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
)

// IsCapture tells whether a command is the script that takes an inventory.
func IsCapture(e backout.Exec) bool {
	return len(e.Argv) > 3 && e.Argv[3] == capture.Name
}

// Answer is what the script prints on a target with this inventory: Take returns it
// again, sorted, and without the parts that the plan leaves out. Machine.Cmdline comes
// back as its digest. Fields of the machine that must be there have a default.
func Answer(inv backout.Inventory) []byte {
	var b strings.Builder
	b.WriteString(capture.Name + " 1\n")
	release(&b, inv.Machine)
	packages(&b, inv.Packages)
	units(&b, inv.Units)
	ports(&b, inv.Ports)
	mounts(&b, inv.Mounts)
	files(&b, "accounts", inv.Accounts)
	files(&b, "files", inv.Files)
	var aide []string
	if a := inv.AIDE; a != nil {
		aide = []string{"version " + a.Version, "database " + a.Database}
	}
	part(&b, "aide", aide...)
	b.WriteString("@whole\n")
	return []byte(b.String())
}

func part(b *strings.Builder, name string, lines ...string) {
	fmt.Fprintf(b, "@%s\n", name)
	for _, line := range lines {
		fmt.Fprintf(b, " %s\n", line)
	}
	b.WriteString(" \n@end 0\n")
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func release(b *strings.Builder, m backout.Machine) {
	part(b, "release", `ID="`+or(m.OS, "linux")+`"`, "VERSION_ID="+m.Version)
	lines := []string{
		"hostname " + or(m.Hostname, "host"), "kernel " + or(m.Kernel, "6.1.0"), "arch " + or(m.Arch, "x86_64"), "boot_id " + or(m.BootID, "boot-1"),
		"init " + or(m.Init, "systemd"),
	}
	for name, value := range map[string]string{"build": m.Build, "machine_id": m.MachineID, "cmdline": m.Cmdline} {
		if value != "" {
			lines = append(lines, name+" "+value)
		}
	}
	slices.Sort(lines)
	part(b, "machine", lines...)
}

func packages(b *strings.Builder, p backout.PackageState) {
	part(b, "manager", or(p.Manager, "none"))
	part(b, "busy")
	switch p.Manager {
	case "dpkg":
		part(b, "dpkg-version", "Debian dpkg-query package management program query tool version 1.21.22 (amd64).")
		var lines []string
		for _, pkg := range p.Installed {
			state := or(pkg.State, "ii")
			if slices.Contains(p.Held, pkg.Name) || slices.Contains(p.Held, pkg.Name+":"+pkg.Arch) {
				state = "h" + state[1:]
			}
			lines = append(lines, fmt.Sprintf("%-3s\t%s\t%s\t%s", state, pkg.Name, pkg.Version, pkg.Arch))
		}
		part(b, "dpkg", lines...)
		if p.History != "" {
			part(b, "apt-history", "Start-Date: "+p.History)
		} else {
			part(b, "apt-history")
		}
	case "rpm":
		rpm(b, p)
	}
}

func rpm(b *strings.Builder, p backout.PackageState) {
	part(b, "rpm-version", "RPM version 4.16.1.3")
	var lines, sources []string
	for _, pkg := range p.Installed {
		line := strings.Join([]string{pkg.Name, pkg.Version, pkg.Arch}, "\t")
		lines = append(lines, line)
		if pkg.Repository != "" {
			sources = append(sources, line+"\t"+pkg.Repository)
		}
	}
	part(b, "rpm", lines...)
	if p.Tool == "" {
		return
	}
	part(b, "tool", p.Tool)
	part(b, "sources", sources...)
	tool, _, _ := strings.Cut(p.Tool, " ")
	var history, held []string
	switch {
	case p.History == "":
	case tool == "zypper":
		history = []string{"date " + p.History}
	default:
		history = []string{"ID     | Command line | Date and time    | Action(s)      | Altered", "-----", "     " + p.History + " | update       | 2026-11-26 18:00 | Upgrade        |    1   "}
	}
	part(b, "history", history...)
	for _, h := range p.Held {
		switch tool {
		case "zypper":
			held = append(held, "type: package", "solvable_name: "+h)
		case "dnf5":
			held = append(held, "[[packages]]", `name = "`+h+`"`)
		default:
			held = append(held, h)
		}
	}
	part(b, "held", held...)
}

func units(b *strings.Builder, all []backout.Unit) {
	part(b, "systemd", "systemd 252 (252.39-1~deb12u2)")
	// Of this target nothing is told, and without any unit systemd would not be believed.
	filed, loaded := []string{"sysinit.target static enabled"}, []string{"sysinit.target loaded active active System Initialization"}
	for _, u := range all {
		if u.Enabled != "" {
			filed = append(filed, u.Name+" "+u.Enabled+" enabled")
		}
		active, sub := or(u.Active, "inactive"), "running"
		if active == "active (exited)" {
			active, sub = "active", "exited"
		}
		loaded = append(loaded, u.Name+" loaded "+active+" "+sub+" Some unit")
	}
	part(b, "unit-files", filed...)
	part(b, "unit-states", loaded...)
}

func ports(b *strings.Builder, all []backout.Port) {
	var lines []string
	for _, p := range all {
		state := map[string]string{"tcp": "0A", "udp": "07"}[p.Protocol]
		raw := netip.MustParseAddr(or(p.Address, "0.0.0.0")).AsSlice()
		six := map[int]string{16: "6"}[len(raw)]
		for word := range slices.Chunk(raw, 4) {
			slices.Reverse(word)
		}
		lines = append(lines, fmt.Sprintf("%s%s %s %s:%04X", p.Protocol, six, state, strings.ToUpper(hex.EncodeToString(raw)), p.Port))
	}
	part(b, "range", "32768\t60999")
	part(b, "sockets-before", lines...)
	part(b, "sockets-after", lines...)
}

func mounts(b *strings.Builder, all []backout.Mount) {
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	lines := []string{"1 0 0:1 / / rw - ramfs root rw"} // always there, and never told of
	for i, m := range all {
		lines = append(lines, fmt.Sprintf("%d 1 8:%d / %s %s - %s %s rw", i+2, i, escape.Replace(m.Path), or(m.Options, "rw"), m.Type, escape.Replace(m.Source)))
	}
	part(b, "mounts", lines...)
}

func files(b *strings.Builder, name string, all []backout.FileState) {
	var lines []string
	for _, f := range all {
		lines = append(lines, strings.Join([]string{f.Kind, f.Mode, f.Owner, f.SHA256, f.Path}, "\t"))
		if f.Kind == "link" {
			lines = append(lines, "to\t"+f.Target)
		}
	}
	part(b, name, lines...)
}
