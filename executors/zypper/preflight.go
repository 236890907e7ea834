package zypper

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
	"github.com/backout-io/backout/internal/sections"
)

const checkZypper, checkPackages, checkRepositories, checkStash = "zypper", "packages", "repositories", "stash"

// Preflight implements [backout.Preflighter]. Before the patch it asks for what an
// update would replace; once the delta is known, for exactly its inverse.
func (u Undo) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	var v executors.Violations
	var changes []backout.PackageChange
	var args []string
	if t.Delta != nil {
		var err error
		if changes, err = changesOf(t); err != nil {
			v.Add(checkPackages, err.Error(), "use the executor of the target's package manager")
			return v
		}
		if args = wanted(packages.Undo(changes)); len(args) == 0 {
			return nil
		}
	}
	mode := "undo"
	if t.Delta == nil {
		mode, args = "before", u.config.Packages
	}
	stash, sums, err := u.stash(t)
	if err != nil {
		v.Add(checkStash, err.Error(), "give the change another id")
		return v
	}
	all, err := look(ctx, h, backout.Exec{Argv: append([]string{"sh", "-c", sections.Shell + commonText + lookText, "sh", mode, stash, sums}, args...)})
	if err != nil {
		v.Add(checkZypper, err.Error(), "see what zypper says on the target")
		return v
	}
	version, said := "", map[string]bool{}
	for _, s := range all {
		said[s.Name] = true
		if s.Name == "version" {
			version = s.Text()
		}
		u.judge(t, s, changes, version, &v)
	}
	// What is to be kept is asked for; nothing to ask for is nothing to go back to.
	if len(v) == 0 && said["update"] && !said["download"] && !t.Opened && sums == "" {
		v.Add(checkPackages, u.unseen(), "refresh the target's repositories, or correct packages of the step: [httpd*, ...]")
	}
	return v
}

// unseen says why it is not known what the patch will replace.
func (u Undo) unseen() string {
	if len(u.config.Packages) > 0 {
		return "no installed package is called " + strings.Join(u.config.Packages, " or ")
	}
	return "the target's repositories have nothing of the patch, so nobody knows which packages to keep"
}

// judge takes one section of the look.
func (u Undo) judge(t backout.Task, s sections.Section, changes []backout.PackageChange, version string, v *executors.Violations) {
	switch s.Name {
	case "missing":
		v.Add(checkZypper, s.Arg+" is not installed on the target", "install the package that has "+s.Arg+" (zypper, rpm, gawk, coreutils)")
	case "unprivileged":
		v.Add(checkZypper, "zypper may be run by root only", "let the target's commands run as root (sudo: true)")
	case "transactional":
		v.Add(checkZypper, "the target is a transactional system: zypper cannot change it while it runs", "use transactional-update rollback with the snapshot's number, as a command step")
	case "spoilt":
		v.Add(checkStash, "the kept packages are not as they were when they were kept", "take the baseline anew before the patch, or let the repositories keep the old packages")
	case "rpm":
		if _, err := parseRPM(s.Lines); err != nil || s.Failed != "" {
			v.Add(checkZypper, "rpm's list cannot be read: "+s.Text(), "see what rpm -qa says on the target")
		}
	case "update", "download", "refresh", "try":
		u.judgeZypper(t, s, changes, version, v)
	}
}

// judgeZypper takes what zypper says.
func (u Undo) judgeZypper(t backout.Task, s sections.Section, changes []backout.PackageChange, version string, v *executors.Violations) {
	if s.Failed != "" && !slices.Contains([]string{"100", "101", "102", "103"}, s.Failed) {
		reason, fix := meaning(s.Failed)
		if said := messages(s.Lines); len(said) > 0 {
			reason += ": " + some(said)
		} else if s.Name == "refresh" {
			reason += ": " + s.Text()
		}
		check := checkZypper
		if s.Name == "refresh" || s.Failed == "106" {
			check = checkRepositories
		}
		v.Add(check, reason, fix)
		if s.Failed != "106" {
			return
		}
	}
	switch s.Name {
	case "download":
		// It ends with 0 although it has not found them.
		for _, m := range messages(s.Lines) {
			if ref, ok := strings.CutPrefix(m, "Argument resolves to no package: "); ok && !u.kept(t) {
				v.Add(checkPackages, ref+" is installed, would be updated, and is in no repository any more", "let a repository keep it, or have it in zypper's cache")
			}
		}
	case "update", "try":
		actions, err := parseSummary(s.Lines)
		if err != nil {
			v.Add(checkZypper, fmt.Sprintf("%v (%s)", err, version), "see zypper --xmlout on the target")
			return
		}
		if s.Name == "update" {
			for _, a := range actions {
				changes = append(changes, backout.PackageChange{Name: a.name})
			}
		}
		u.judgeChanges(changes, v)
		if s.Name == "try" {
			if err := compare(actions, packages.Undo(changes)); err != nil {
				v.Add(checkPackages, strings.ReplaceAll(err.Error(), "\n", "; "), "see a dry run of it on the target, or use a snapshot")
			}
		}
	}
}

// kept tells whether this change has kept packages already.
func (u Undo) kept(t backout.Task) bool {
	_, sums, err := u.stash(t)
	return err == nil && sums != ""
}

// judgeChanges tells of packages that are not taken back like others.
func (u Undo) judgeChanges(changes []backout.PackageChange, v *executors.Violations) {
	if u.config.AllowProtected {
		return
	}
	var kernels, protected []string
	for _, c := range changes {
		switch {
		case packages.Kernel(packages.RPM, c.Name):
			kernels = append(kernels, c.Name)
		case packages.Protected(packages.RPM, c.Name, u.config.Protect):
			protected = append(protected, c.Name)
		}
	}
	if len(kernels) > 0 {
		v.Add(checkPackages, "the patch has kernels: "+some(kernels), "boot the old one, use a snapshot, or set allow_protected: true")
	}
	if len(protected) > 0 {
		v.Add(checkPackages, "the patch has packages that everything stands on: "+some(protected), "use a snapshot, or set allow_protected: true")
	}
}
