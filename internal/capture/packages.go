package capture

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

const partPackages = "packages"

func readPackages(said sections, p *backout.PackageState) error {
	manager, err := said.lines("manager", partPackages, "/etc/os-release")
	if err != nil {
		return err
	}
	if len(manager) != 1 {
		return unparsed(partPackages, "the script", strings.Join(manager, " "))
	}
	switch p.Manager = manager[0]; p.Manager {
	case "none":
		return nil
	case "both":
		return invalid("look at packages: both dpkg and rpm know of packages, and ID and ID_LIKE of /etc/os-release do not say which of them the system is made of: name one there")
	case "dpkg", "rpm":
	default:
		return unparsed(partPackages, "the script", p.Manager)
	}
	switch busy, err := said.lines("busy", partPackages, p.Manager); {
	case err != nil:
		return err
	case len(busy) > 0:
		return fmt.Errorf("look at packages: %s is at work, its lock %s is held: %w", p.Manager, quote(busy[0]), ErrBusy)
	}
	version, err := said.lines(p.Manager+"-version", partPackages, p.Manager)
	if err != nil {
		return err
	}
	tool := p.Manager
	if len(version) > 0 {
		tool = quote(version[0])
	}
	if p.Manager == "dpkg" {
		return readDpkg(said, p, tool)
	}
	return readRPM(said, p, tool)
}

// readDpkg reads lines of state, name, version and arch.
func readDpkg(said sections, p *backout.PackageState, tool string) error {
	lines, err := said.lines("dpkg", partPackages, tool)
	if err != nil {
		return err
	}
	native, held := "", [][2]string{}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 4 || len(f[0]) < 2 || len(f[0]) > 3 || !word(f[1]) {
			return unparsed(partPackages, tool, line)
		}
		// Of what was never there, or has left only its configuration, there is no
		// package.
		if f[0][1] == 'n' || f[0][1] == 'c' {
			continue
		}
		if !word(f[2]) || !word(f[3]) || strings.IndexByte("iUFHWt", f[0][1]) < 0 {
			return unparsed(partPackages, tool, line)
		}
		state := strings.TrimSpace(f[0])
		if len(state) == 2 && state[1] == 'i' {
			state = ""
		}
		if f[0][0] == 'h' {
			held = append(held, [2]string{f[1], f[3]})
		}
		switch f[1] {
		case "dpkg":
			native = f[3]
		case "apt":
			p.Tool = "apt " + f[2]
		}
		p.Installed = append(p.Installed, backout.Package{Name: f[1], Version: f[2], Arch: f[3], State: state})
	}
	if len(p.Installed) == 0 {
		return invalid("look at packages: %s knows of no package: is /var/lib/dpkg/status damaged?", tool)
	}
	for _, h := range held {
		// As apt-mark showhold prints them.
		if h[1] == native || h[1] == "all" {
			p.Held = append(p.Held, h[0])
		} else {
			p.Held = append(p.Held, h[0]+":"+h[1])
		}
	}
	history, err := said.lines("apt-history", partPackages, "/var/log/apt/history.log")
	for _, line := range history {
		date, ok := strings.CutPrefix(line, "Start-Date: ")
		if !ok {
			return unparsed(partPackages, "/var/log/apt/history.log of "+p.Tool, line)
		}
		p.History = plain(strings.Join(strings.Fields(date), " "))
	}
	return err
}

// readRPM reads lines of name, version and arch, and what the front end adds.
func readRPM(said sections, p *backout.PackageState, tool string) error {
	lines, err := said.lines("rpm", partPackages, tool)
	if err != nil {
		return err
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 3 || !word(f[0]) || !evr(f[1]) || !word(f[2]) {
			return unparsed(partPackages, tool, line)
		}
		if f[0] != "gpg-pubkey" { // a key that rpm trusts, not a package
			p.Installed = append(p.Installed, backout.Package{Name: f[0], Version: f[1], Arch: f[2]})
		}
	}
	if len(p.Installed) == 0 {
		return invalid("look at packages: %s knows of no package: is its database damaged? Try rpm --rebuilddb", tool)
	}
	if !said.has("tool") {
		return nil
	}
	return readFrontEnd(said, p)
}

// evr tells whether s is "epoch:version-release".
func evr(s string) bool {
	epoch, rest, ok := strings.Cut(s, ":")
	if _, err := strconv.ParseUint(epoch, 10, 32); !ok || err != nil {
		return false
	}
	version, release, ok := strings.Cut(rest, "-")
	return ok && version != "" && release != "" && word(rest)
}

func readFrontEnd(said sections, p *backout.PackageState) error {
	tool, err := said.lines("tool", partPackages, "the front end of rpm")
	if err != nil {
		return err
	}
	if len(tool) != 1 {
		return invalid("look at packages: the front end of rpm does not say its version: %s", quote(strings.Join(tool, " ")))
	}
	p.Tool = plain(strings.Join(strings.Fields(tool[0]), " "))
	name, _, _ := strings.Cut(p.Tool, " ")
	if p.History, err = readHistory(said, name, p.Tool); err != nil {
		return err
	}
	if err := readSources(said, p); err != nil {
		return err
	}
	held, err := said.lines("held", partPackages, "the locks of "+p.Tool)
	if err != nil {
		return err
	}
	switch name {
	case "dnf5":
		p.Held, err = tomlLocks(held, p.Tool)
	case "zypper":
		p.Held = zyppLocks(held)
	default:
		p.Held = listedLocks(held)
	}
	return err
}

// readHistory returns the highest number in the table of transactions; zypper has
// none, but the time of what it did last.
func readHistory(said sections, name, tool string) (string, error) {
	lines, err := said.lines("history", partPackages, tool+" history")
	if err != nil || len(lines) == 0 {
		return "", err
	}
	if name == "zypper" {
		date, ok := strings.CutPrefix(lines[len(lines)-1], "date ")
		if !ok {
			return "", unparsed(partPackages, tool+" history", lines[len(lines)-1])
		}
		return plain(date), nil
	}
	last, table := uint64(0), false
	for _, line := range lines {
		first, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "|", " ")), " ")
		switch n, err := strconv.ParseUint(first, 10, 32); {
		case err == nil && table:
			last = max(last, n)
		case first == "ID":
			table = true
		case table && strings.Trim(first, "-") != "" && first != "history":
			return "", unparsed(partPackages, tool+" history", line)
		}
	}
	if !table {
		return "", unparsed(partPackages, tool+" history", lines[0])
	}
	if last == 0 {
		return "", nil
	}
	return strconv.FormatUint(last, 10), nil
}

// readSources adds the repository of each package, as far as the front end knows.
func readSources(said sections, p *backout.PackageState) error {
	lines, err := said.lines("sources", partPackages, p.Tool+" repoquery")
	if err != nil {
		return err
	}
	from := make(map[backout.Package]string, len(lines))
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return unparsed(partPackages, p.Tool+" repoquery", line)
		}
		if f[3] != "<unknown>" && f[3] != "(none)" && f[3] != "System" && f[3] != "@System" {
			from[backout.Package{Name: f[0], Version: f[1], Arch: f[2]}] = plain(f[3])
		}
	}
	for i, pkg := range p.Installed {
		p.Installed[i].Repository = from[pkg]
	}
	return nil
}
