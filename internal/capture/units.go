package capture

import (
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

var (
	// passing are units that come and go with a login, a connection, or a crash.
	passing = regexp.MustCompile(`^(user@|user-runtime-dir@|session-|run-|systemd-fsck@|systemd-coredump@|[^@]+@[0-9]+-)`)
	// goals are the targets that say how far the machine has booted; others count
	// only when somebody has enabled them.
	goals = []string{"multi-user.target", "graphical.target", "rescue.target", "emergency.target"}
)

// readUnits puts together what may run (the unit files) and what does. A unit that
// is not loaded is inactive, so that it does not matter what systemd has forgotten.
func readUnits(said sections, inv *backout.Inventory) error {
	if inv.Machine.Init != "systemd" {
		return nil
	}
	version, err := said.lines("systemd", backout.PartUnits, "systemctl")
	if err != nil {
		return err
	}
	tool := "systemctl"
	if len(version) > 0 {
		tool = quote(version[0])
	}
	units := map[string]*backout.Unit{}
	transient, err := readUnitFiles(said, tool, units)
	if err != nil {
		return err
	}
	lines, err := said.lines("unit-states", backout.PartUnits, tool)
	if err != nil {
		return err
	}
	if len(lines) == 0 || len(units) == 0 {
		return invalid("look at units: %s knows of no unit", tool)
	}
	for _, line := range lines {
		if err := readState(line, tool, units, transient); err != nil {
			return err
		}
	}
	for name, u := range units {
		if strings.HasSuffix(name, ".target") && !slices.Contains(goals, name) && !strings.HasPrefix(u.Enabled, "enabled") {
			continue
		}
		inv.Units = append(inv.Units, *u)
	}
	return nil
}

// readUnitFiles reads lines of file, state and, of newer ones, preset. It returns
// the units of which nothing is to be told.
func readUnitFiles(said sections, tool string, units map[string]*backout.Unit) (map[string]bool, error) {
	lines, err := said.lines("unit-files", backout.PartUnits, tool)
	transient := map[string]bool{}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 || !word(f[0]) || !strings.Contains(f[0], ".") || !word(f[1]) {
			return nil, unparsed(backout.PartUnits, tool, line)
		}
		switch {
		case f[1] == "transient":
			transient[f[0]] = true
		case f[1] == "alias" || passing.MatchString(f[0]):
		case strings.Contains(f[0], "@."):
			// A template is no unit; what is made of it is.
		default:
			units[f[0]] = &backout.Unit{Name: f[0], Enabled: f[1], Active: "inactive"}
		}
	}
	return transient, err
}

// readState reads unit, load, active and sub of one that is loaded.
func readState(line, tool string, units map[string]*backout.Unit, transient map[string]bool) error {
	f := strings.Fields(line)
	if len(f) > 0 && (f[0] == "*" || f[0] == "●" || f[0] == "○" || f[0] == "×" || f[0] == "x" || f[0] == "↻") {
		f = f[1:]
	}
	if len(f) < 4 || !word(f[0]) || !strings.Contains(f[0], ".") || !word(f[2]) || !word(f[3]) {
		return unparsed(backout.PartUnits, tool, line)
	}
	name, load, active, sub := f[0], f[1], f[2], f[3]
	if transient[name] || passing.MatchString(name) {
		return nil
	}
	u := units[name]
	if u == nil {
		if active == "inactive" || load == "not-found" && active != "active" {
			return nil // soon forgotten, or only named by another
		}
		u = &backout.Unit{Name: name}
		units[name] = u
	}
	u.Active = activity(name, active, sub, units)
	return nil
}

// activity is what a unit does, without what is over in a moment.
func activity(name, active, sub string, units map[string]*backout.Unit) string {
	stem, service := strings.CutSuffix(name, ".service")
	timed := service && units[stem+".timer"] != nil
	switch {
	case active == "reloading" || active == "refreshing":
		return "active"
	case active == "active" && sub == "exited":
		return "active (exited)"
	case timed && (active == "activating" && sub != "auto-restart" || active == "deactivating"):
		return "inactive" // the work of a timer, on its way to an end
	}
	return active
}
