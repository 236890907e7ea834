// Package packages holds what all executors of packages must know alike: which
// names and versions are taken from a target, what undoing a delta means, which
// packages are not to be undone this way, and how versions are kept from coming
// back. It is pure: scripts are texts here, and somebody else runs them.
package packages

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// The values of [backout.PackageState].Manager that have packages.
const (
	RPM  = "rpm"
	DPKG = "dpkg"
)

// What a target says of its packages becomes arguments of commands that root runs:
// only what the packages' own formats allow is let through. None of these patterns
// matches a leading dash, white space, or a character that a glob or a shell knows.
var (
	rpmName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	rpmEVR   = regexp.MustCompile(`^[0-9]{1,10}:[A-Za-z0-9_][A-Za-z0-9_.+~^]*-[A-Za-z0-9_][A-Za-z0-9_.+~^]*$`)
	rpmArch  = regexp.MustCompile(`^[a-z0-9_]+$`)
	dpkgName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	dpkgVer  = regexp.MustCompile(`^([0-9]{1,10}:)?[0-9A-Za-z][A-Za-z0-9.+~:-]*$`)
	dpkgArch = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

const longest = 255

// CheckName refuses what is not a package's name of this manager.
func CheckName(manager, name string) error {
	return check(manager, "name", name, rpmName, dpkgName)
}

// CheckVersion refuses what is not a whole version of this manager:
// "epoch:version-release" for rpm.
func CheckVersion(manager, version string) error {
	return check(manager, "version", version, rpmEVR, dpkgVer)
}

// CheckArch refuses what is not an architecture of this manager.
func CheckArch(manager, arch string) error {
	return check(manager, "architecture", arch, rpmArch, dpkgArch)
}

func check(manager, what, text string, rpm, dpkg *regexp.Regexp) error {
	pattern := rpm
	switch manager {
	case RPM:
	case DPKG:
		pattern = dpkg
	default:
		return fmt.Errorf("package manager %q: want rpm or dpkg", manager)
	}
	if len(text) > longest || !pattern.MatchString(text) {
		return fmt.Errorf("%q is not a package's %s of %s", text, what, manager)
	}
	return nil
}

// Check refuses a change with a name, an architecture or a version that this
// manager could not have, and one without any version.
func Check(manager string, c backout.PackageChange) error {
	errs := []error{CheckName(manager, c.Name), CheckArch(manager, c.Arch)}
	if c.From == "" && c.To == "" {
		errs = append(errs, fmt.Errorf("package %q has no version", c.Name))
	}
	for _, v := range []string{c.From, c.To} {
		if v != "" {
			errs = append(errs, CheckVersion(manager, v))
		}
	}
	return errors.Join(errs...)
}

// CheckDelta is [Check] for each of the delta's packages; manager is the one that
// the executor speaks to.
func CheckDelta(manager string, d *backout.Delta) error {
	if d == nil {
		return errors.New("what the patch changed is not known yet")
	}
	if d.Manager != manager {
		return fmt.Errorf("the delta is of packages of %q, not of %s", d.Manager, manager)
	}
	for _, c := range d.Packages {
		if err := Check(manager, c); err != nil {
			return fmt.Errorf("the delta cannot be used: %w", err)
		}
	}
	return nil
}

// Clean returns the delta without what rpm lists and nobody can install: the keys
// that a package manager has imported meanwhile. nil stays nil.
func Clean(d *backout.Delta) *backout.Delta {
	if d == nil || d.Manager != RPM {
		return d
	}
	clean := *d
	clean.Packages = slices.DeleteFunc(slices.Clone(d.Packages), func(c backout.PackageChange) bool { return c.Name == "gpg-pubkey" })
	return &clean
}

// Inverse is what has to be done to undo a delta.
type Inverse struct {
	// Back are packages whose version goes back to From: most are downgrades.
	Back []backout.PackageChange
	// Install are packages that the patch removed, Remove those that it added.
	Install, Remove []backout.PackageChange
}

// Undo sorts the changes by what undoes them; their order within stays.
func Undo(changes []backout.PackageChange) Inverse {
	var in Inverse
	for _, c := range changes {
		switch {
		case c.From == c.To:
		case c.From == "":
			in.Remove = append(in.Remove, c)
		case c.To == "":
			in.Install = append(in.Install, c)
		default:
			in.Back = append(in.Back, c)
		}
	}
	return in
}

// Bad are the changes that have a version which must not come back: all but those
// of removed packages.
func Bad(changes []backout.PackageChange) []backout.PackageChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c backout.PackageChange) bool { return c.To == "" || c.To == c.From })
}

// NEVRA names one version of a package of rpm: "bash-0:5.1.8-6.el9.x86_64".
func NEVRA(name, version, arch string) string { return name + "-" + version + "." + arch }

var kernels = map[string][]string{
	RPM: {
		"kernel", "kernel-core", "kernel-modules", "kernel-modules-*", "kernel-default*", "kernel-debug*", "kernel-rt*", "kernel-uek*", "kernel-64k*",
		"kernel-16k*", "kernel-azure*", "kernel-kvmsmall*", "kernel-PAE*", "kernel-lt*", "kernel-ml*", "kernel-longterm*",
	},
	DPKG: {"linux-image-*", "linux-modules-*"},
}

// Kernel tells whether the package is a kernel: the way back from it is a boot
// choice, not an older version.
func Kernel(manager, name string) bool { return matches(kernels[manager], name) }

var protected = map[string][]string{
	RPM: {
		"glibc*", "selinux-policy*", "systemd*", "openssl-libs", "libopenssl*", "rpm", "rpm-libs", "dnf*", "libdnf*", "yum", "zypper", "libzypp",
		"python3*", "platform-python*", "shim*", "grub2*", "dbus*",
		// Another minor release of the whole system.
		"redhat-release*", "centos-release*", "centos-stream-release*", "rocky-release*", "almalinux-release*", "oraclelinux-release*", "fedora-release*",
		"system-release", "openSUSE-release*", "sles-release*",
	},
	DPKG: {
		"libc6*", "libc-bin", "systemd*", "libsystemd*", "libssl3*", "libssl1*", "dpkg", "apt", "libapt-*", "python3", "python3-minimal", "python3.*", "perl-base",
		"shim*", "grub*", "dbus*", "init", "base-files",
	},
}

// Protected tells whether the package is one that everything stands on: vendors do
// not support to take it back in a running system. extra are further patterns.
func Protected(manager, name string, extra []string) bool {
	return matches(protected[manager], name) || matches(extra, name)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// CheckPattern refuses what is no pattern of package names: letters, digits,
// "_.+-" and "*" and "?".
func CheckPattern(pattern string) error {
	if pattern == "" || strings.HasPrefix(pattern, "-") || strings.Trim(pattern, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-*?") != "" {
		return fmt.Errorf("%q is not a pattern of package names, such as httpd or openssl*", pattern)
	}
	return nil
}

// Matches tells whether the name fits one of the patterns, or there are none.
func Matches(patterns []string, name string) bool {
	return len(patterns) == 0 || matches(patterns, name)
}
