package baseline

import (
	"path"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// DefaultIgnores are the differences that are expected after every rollback. A unit
// that has failed is covered by none of them, only by the plan's own rules; and no
// rule of either covers a package that the patch has changed, or its kernel.
func DefaultIgnores() []backout.IgnoreDrift {
	return slices.Concat(ignoreCounters(), ignoreUnits(), ignorePaths())
}

func ignoreCounters() []backout.IgnoreDrift {
	return []backout.IgnoreDrift{
		{Part: partMachine, Name: "boot_id", Reason: "it changes with each boot"},
		{Part: partPackages, Name: "history", Reason: "patch and rollback are transactions too"},
		{Part: partPackages, Name: "hold/**", Reason: "a hold keeps the patch from coming back"},
		{Part: partPackages, Name: "repository/**", Reason: "it is the same version, from a cache or from the packages kept before the patch"},
	}
}

func ignoreUnits() []backout.IgnoreDrift {
	const (
		asked = "it is started when somebody asks, and leaves when nobody does"
		once  = "it runs at the first boot after a change only"
	)
	var rules []backout.IgnoreDrift
	for _, name := range []string{"systemd-hostnamed", "systemd-localed", "systemd-timedated", "packagekit", "snapperd", "fwupd", "udisks2", "dnf-makecache", "fwupd-refresh"} {
		rules = append(rules, backout.IgnoreDrift{Part: backout.PartUnits, Name: name + ".service", Reason: asked})
	}
	for _, name := range []string{
		"systemd-firstboot", "systemd-machine-id-commit", "systemd-sysusers", "systemd-hwdb-update", "systemd-journal-catalog-update", "systemd-update-done", "ldconfig",
	} {
		rules = append(rules, backout.IgnoreDrift{Part: backout.PartUnits, Name: name + ".service", Reason: once})
	}
	return rules
}

func ignorePaths() []backout.IgnoreDrift {
	const (
		database = "it is the package manager's own, and the packages are compared"
		moment   = "what is there is of the moment"
		again    = "it is made again from what is installed"
		hold     = "a hold keeps the patch from coming back"
	)
	var rules []backout.IgnoreDrift
	for _, r := range [][2]string{
		{"/var/log/**", "logs go on"},
		{"/var/cache/**", again},
		{"/run/**", moment},
		{"/tmp/**", moment},
		{"/var/tmp/**", moment},
		{"/var/spool/**", moment},
		{"/var/lib/rpm/**", database},
		{"/usr/lib/sysimage/rpm/**", database},
		{"/usr/lib/sysimage/libdnf5/**", database},
		{"/var/lib/dnf/**", database},
		{"/var/lib/yum/**", database},
		{"/var/lib/zypp/**", database},
		{"/var/lib/dpkg/**", database},
		{"/var/lib/apt/**", database},
		{"/var/lib/ucf/**", database},
		{"/etc/dnf/plugins/versionlock.list", hold},
		{"/etc/dnf/versionlock.toml", hold},
		{"/etc/yum/pluginconf.d/versionlock.list", hold},
		{"/etc/zypp/locks", hold},
		{"/etc/ld.so.cache", again},
		{"/boot/initr*", again},
		{"/var/lib/aide/**", "it is AIDE's own, and compared by its digest"},
		{"/var/lib/backout/**", "it is where backout keeps its attempts and the old packages"},
		{"/var/lib/systemd/**", "timers, random seed and the like are of the moment"},
		{"/var/lib/logrotate/**", "logs go on"},
	} {
		rules = append(rules, backout.IgnoreDrift{Part: backout.PartAIDE, Name: r[0], Reason: r[1]})
	}
	return rules
}

// ruleFor names the rule by which a difference is expected, or is empty.
func ruleFor(d backout.Difference, plan []backout.IgnoreDrift) string {
	for _, r := range plan {
		if matches(r, d) {
			return r.Part + " " + r.Name + ": " + r.Reason
		}
	}
	if d.Part == backout.PartUnits && strings.HasPrefix(d.Now, "failed") {
		return ""
	}
	for _, r := range defaults {
		if matches(r, d) {
			return r.Part + " " + r.Name + ": " + r.Reason
		}
	}
	return ""
}

var defaults = DefaultIgnores()

// matches tells whether a rule is about a difference. "**" at the end of a pattern
// stands for all that is below, and for what it is below of.
func matches(r backout.IgnoreDrift, d backout.Difference) bool {
	if r.Part != d.Part {
		return false
	}
	head, deep := strings.CutSuffix(r.Name, "**")
	if !deep {
		ok, err := path.Match(r.Name, d.Name)
		return ok && err == nil
	}
	if head == "" {
		return true
	}
	folder, whole := strings.CutSuffix(head, "/")
	if !whole { // the last element is only begun
		folder += "*"
	}
	want, got := strings.Split(folder, "/"), strings.Split(d.Name, "/")
	if len(got) < len(want) {
		return false
	}
	ok, err := path.Match(folder, strings.Join(got[:len(want)], "/"))
	return ok && err == nil
}
