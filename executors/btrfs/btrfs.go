// Package btrfs keeps read-only snapshots of subvolumes while a window opens, and
// puts them back.
//
//	baseline:
//	  steps:
//	    - uses: btrfs.snapshot
//	      with: {subvolumes: [/, /var]}
//	levels:
//	  - steps:
//	      - uses: btrfs.restore
//	        with: {subvolumes: [/, /var]}
//	      - uses: system.reboot
//
// A snapshot is of one subvolume. Subvolumes inside it come back empty, so each of
// them has to be in the set, or in except. The snapshots of a set are taken one
// after the other, not at one moment.
//
// # What is made
//
// The snapshots are in the folder .backout/CHANGE of the file system's top level,
// which is mounted for that in a mount namespace of its own. Beside them the set
// has two empty files in the root of each subvolume: .backout-pre-KEY, written
// before the snapshot, and .backout-post-KEY, written after it. A subvolume that
// has the first and not the second is the snapshot: this does not depend on what
// any tool remembers.
//
// # How it is put back
//
// A writable snapshot of the snapshot takes the name of the subvolume, and becomes
// the default subvolume where the old one was it. So it does not matter whether
// the boot loader and fstab(5) go by name or by default; by number (subvolid=) is
// refused, since the number changes. The old subvolume is kept as
// .backout/CHANGE/NAME-backed-out until the change is cleaned up.
//
// With / in the set nothing is unmounted: the next boot does it, and a step that
// reboots has to follow. Without / the subvolumes are unmounted and mounted again:
// what uses them has to be stopped by a step before.
package btrfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

const snapshotKind, restoreKind = "btrfs.snapshot", "btrfs.restore"

// Config is the section of both kinds.
type Config struct {
	// Subvolumes are where the subvolumes of the set are seen on the target.
	Subvolumes []string `json:"subvolumes,omitempty" yaml:"subvolumes,omitempty" doc:"absolute paths of the subvolumes; default [/]. The same in btrfs.snapshot and btrfs.restore"`
	// Except are subvolumes inside the set that may come back empty.
	Except []string `json:"except,omitempty" yaml:"except,omitempty" doc:"absolute paths of subvolumes inside those, which come back empty"`
	// FreeMiB is how much room there must be.
	FreeMiB int `json:"free_mib,omitempty" yaml:"free_mib,omitempty" doc:"MiB that must be free when the snapshot is made, since what is written from then on is kept twice; default 1024"`
}

// Kinds are btrfs.snapshot and btrfs.restore.
func Kinds() []executors.Kind {
	snapshot := executors.Define(snapshotKind, "keep read-only snapshots of btrfs subvolumes, as a baseline step", func(_ context.Context, c Config) (backout.Executor, error) {
		return Snapshot{set{c}}, nil
	})
	restore := executors.Define(restoreKind, "put btrfs subvolumes back to their snapshots; those with / at the next boot", func(_ context.Context, c Config) (backout.Executor, error) {
		return Restore{set{c}}, nil
	})
	restore.Destructive, restore.Loses = true, "data written to the subvolumes since their snapshots"
	return []executors.Kind{snapshot, restore}
}

var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._@:+/-]*$`)

// Validate refuses sets that cannot be told apart on the target.
func (c *Config) Validate() error {
	if len(c.Subvolumes) == 0 {
		c.Subvolumes = []string{"/"}
	}
	var errs []error
	for _, p := range slices.Concat(c.Subvolumes, c.Except) {
		if !plainPath.MatchString(p) || path.Clean(p) != p {
			errs = append(errs, fmt.Errorf("%q is not a plain absolute path, such as / or /var", p))
		}
	}
	names := map[string]string{}
	for _, p := range c.Subvolumes {
		if other, ok := names[nameOf(p)]; ok {
			errs = append(errs, fmt.Errorf("subvolumes: %s and %s would both be kept as %s", other, p, nameOf(p)))
		}
		names[nameOf(p)] = p
		if slices.Contains(c.Except, p) {
			errs = append(errs, fmt.Errorf("%s is in subvolumes and in except", p))
		}
	}
	if c.FreeMiB < 0 || c.FreeMiB > 1<<30 {
		errs = append(errs, fmt.Errorf("free_mib: %d is not a number of MiB", c.FreeMiB))
	}
	return errors.Join(errs...)
}

// nameOf is what the snapshot of a path is called.
func nameOf(p string) string {
	if p == "/" {
		return "root"
	}
	return strings.ReplaceAll(strings.TrimPrefix(p, "/"), "/", "-")
}

// set is what both kinds know of their section.
type set struct{ config Config }

// paths are those of the set, what contains another one before it.
func (s set) paths() []string {
	paths := slices.Clone(s.config.Subvolumes)
	slices.SortFunc(paths, func(a, b string) int {
		if d := strings.Count(path.Join(a, "x"), "/") - strings.Count(path.Join(b, "x"), "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return paths
}

// atBoot tells whether the set can only be put back by a reboot.
func (s set) atBoot() bool { return slices.Contains(s.config.Subvolumes, "/") }

// need is the room in bytes that there must be.
func (s set) need() int64 {
	if s.config.FreeMiB == 0 {
		return 1 << 30
	}
	return int64(s.config.FreeMiB) << 20
}

// snapshots are the facts of the baseline step that has snapshotted the whole set.
func (s set) snapshots(t backout.Task) map[string]string {
	return t.PreparedBy(snapshotKind, func(facts map[string]string) bool {
		return !slices.ContainsFunc(s.paths(), func(p string) bool { return facts[factPrefix+nameOf(p)] == "" })
	})
}
