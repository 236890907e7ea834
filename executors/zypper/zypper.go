// Package zypper takes a patch back with zypper, which has no undo of its own: the
// inverse of the patch delta is one transaction, by exact versions.
//
//	uses: zypper.undo
//	with: {stash: true}
//
// zypper's commit is not one transaction of rpm's: cut in the middle, some packages
// are changed and some are not. So what is to be done is worked out from what is
// installed each time, and what rpm says at the end is what counts.
//
// A dry run must say exactly the inverse and nothing beside it, both when the
// preflight asks and right before the work: zypper removes by itself what needs a
// removed package.
//
// With stash, the old packages are kept on the target before the patch, in
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
	// Hold keeps the bad versions from coming back; nil means yes.
	Hold *bool `json:"hold,omitempty" yaml:"hold,omitempty" doc:"lock the bad versions afterwards; default true"`
	// Stash keeps the old packages on the target before the patch.
	Stash bool `json:"stash,omitempty" yaml:"stash,omitempty" doc:"keep the old packages on the target before the patch"`
	// Kernels says what is done with kernels of the patch.
	Kernels string `json:"kernels,omitempty" yaml:"kernels,omitempty" doc:"leave: kernels of the patch stay, the old one has to be booted; default refuse"`
	// Allow are protected packages that may be taken back all the same.
	Allow []string `json:"allow,omitempty" yaml:"allow,omitempty" doc:"patterns of protected packages (glibc, systemd, libopenssl…) that may be taken back all the same"`
}

// Validate refuses what is no setting.
func (c *Config) Validate() error {
	var errs []error
	if c.Kernels != "" && c.Kernels != "leave" && c.Kernels != "refuse" {
		errs = append(errs, fmt.Errorf("kernels: %q: want leave or refuse", c.Kernels))
	}
	for _, p := range c.Allow {
		if err := packages.CheckPattern(p); err != nil {
			errs = append(errs, fmt.Errorf("allow: %w", err))
		}
	}
	return errors.Join(errs...)
}

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

func (u Undo) holds() bool { return u.config.Hold == nil || *u.config.Hold }

// changes are the delta's, without kernels where those are left.
func (u Undo) changes(t backout.Task) ([]backout.PackageChange, error) {
	if err := packages.CheckDelta(packages.RPM, t.Delta); err != nil {
		return nil, err
	}
	all := slices.Clone(t.Delta.Packages)
	if u.config.Kernels == "leave" {
		all = slices.DeleteFunc(all, func(c backout.PackageChange) bool { return packages.Kernel(packages.RPM, c.Name) })
	}
	return all, nil
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
