// Package zypper takes a patch back with zypper, which has no undo of its own: the
// inverse of the patch delta is one transaction, by exact versions.
//
//	uses: zypper.undo
//	with: {packages: ["apache2*"]}
//
// zypper's commit is not one transaction of rpm's: cut in the middle, some packages
// are changed and some are not. So what is to be done is worked out from what is
// installed each time, and what rpm says at the end is what counts.
//
// A dry run must say exactly the inverse and nothing beside it, both when the
// preflight asks and right before the work: zypper removes by itself what needs a
// removed package.
//
// The old packages are kept on the target before the patch, unless stash is off, in
// /var/lib/backout/stash/CHANGE/zypper, with a list of digests whose own digest is
// in the baseline: they are used instead of a repository, unsigned ones too, as
// long as all of them are as they were.
package zypper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
)

const undoKind = "zypper.undo"

// Config is the section of a step.
type Config struct {
	// Packages are patterns of names. Without them the target's own repositories are
	// asked what the patch will replace.
	Packages []string `json:"packages,omitempty" yaml:"packages,omitempty" doc:"patterns of the packages that the patch replaces, such as apache2*; needed only where the target's repositories do not show the patch before it is applied"`
	// Stash and Hold are true unless they say no.
	Stash *bool `json:"stash,omitempty" yaml:"stash,omitempty" doc:"keep a copy of the installed packages on the target before the patch; default true. With false they must be in an enabled repository at any time"`
	Hold  *bool `json:"hold,omitempty" yaml:"hold,omitempty" doc:"lock the bad versions afterwards, so that the next update does not bring them back; default true"`
	// Protect are patterns beside the ones that are always protected.
	Protect []string `json:"protect,omitempty" yaml:"protect,omitempty" doc:"patterns of further packages that must not be taken back this way"`
	// AllowProtected takes back kernels, glibc and so on all the same.
	AllowProtected bool `json:"allow_protected,omitempty" yaml:"allow_protected,omitempty" doc:"take back protected packages too: kernels, glibc, systemd, libopenssl, selinux-policy, rpm, zypper, python3, shim, grub2 and dbus; vendors do not support it"`
}

// Validate refuses patterns that could not be names of packages.
func (c *Config) Validate() error {
	var errs []error
	for what, list := range map[string][]string{"packages": c.Packages, "protect": c.Protect} {
		for _, p := range list {
			if err := packages.CheckPattern(p); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (c Config) stash() bool { return c.Stash == nil || *c.Stash }
func (c Config) hold() bool  { return c.Hold == nil || *c.Hold }

// Kind is zypper.undo.
func Kind() executors.Kind {
	k := executors.Define(undoKind, "take the patch's packages back to their exact old versions with zypper", func(_ context.Context, c Config) (backout.Executor, error) { return Undo{c}, nil })
	k.WantsDelta = true
	return k
}

// Undo is one configured step.
type Undo struct{ config Config }

var (
	_ backout.Executor    = Undo{}
	_ backout.Preflighter = Undo{}
	_ backout.Preparer    = Undo{}
	_ backout.Prober      = Undo{}
	_ backout.Cleaner     = Undo{}
	_ backout.Holder      = Undo{}
	_ backout.Privileged  = Undo{}
)

// changesOf are the delta's, once they have passed as names and versions.
func changesOf(t backout.Task) ([]backout.PackageChange, error) {
	if err := packages.CheckDelta(packages.RPM, t.Delta); err != nil {
		return nil, err
	}
	return t.Delta.Packages, nil
}

// ref is how zypper is told one version of a package.
func ref(name, version, arch string) string { return name + "." + arch + "=" + plain(version) }

// plain leaves an epoch of 0 out, which zypper prints never.
func plain(version string) string { return strings.TrimPrefix(version, "0:") }

// file is what a repository calls the package.
func file(name, version, arch string) string {
	_, vr, _ := strings.Cut(version, ":")
	return name + "-" + vr + "." + arch + ".rpm"
}

// installed are packages with version and architecture, as key says them.
type installed map[string]bool

func key(name, version, arch string) string { return name + " " + version + " " + arch }

// parseRPM reads what rpm -qa says in the format of the scripts.
func parseRPM(lines []string) (installed, error) {
	have := installed{}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("rpm -qa has the line %q", line)
		}
		have[key(f[0], f[1], f[2])] = true
	}
	if len(have) == 0 {
		return nil, errors.New("rpm -qa says nothing")
	}
	return have, nil
}

// rest is what of the changes is still to be undone.
func (have installed) rest(changes []backout.PackageChange) packages.Inverse {
	in := packages.Undo(changes)
	from := func(c backout.PackageChange) bool { return have[key(c.Name, c.From, c.Arch)] }
	to := func(c backout.PackageChange) bool { return !have[key(c.Name, c.To, c.Arch)] }
	in.Back = slices.DeleteFunc(in.Back, func(c backout.PackageChange) bool { return from(c) && to(c) })
	in.Install = slices.DeleteFunc(in.Install, from)
	in.Remove = slices.DeleteFunc(in.Remove, to)
	return in
}

func count(in packages.Inverse) int { return len(in.Back) + len(in.Install) + len(in.Remove) }

// wanted are the arguments for what is to be done: for each what zypper is told,
// and the file that may be used instead.
func wanted(in packages.Inverse) []string {
	var args []string
	for _, c := range slices.Concat(in.Back, in.Install) {
		args = append(args, ref(c.Name, c.From, c.Arch), file(c.Name, c.From, c.Arch))
	}
	for _, c := range in.Remove {
		args = append(args, "!"+ref(c.Name, c.To, c.Arch), "-")
	}
	return args
}
