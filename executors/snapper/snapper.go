// Package snapper keeps snapper's snapshots while a window opens, and goes back to
// them.
//
//	baseline:
//	  steps:
//	    - uses: snapper.snapshot
//	      with: {configs: [root]}
//	levels:
//	  - steps:
//	      - uses: snapper.rollback
//	        with: {configs: [root]}
//	      - uses: system.reboot
//
// A snapshot is made without a cleanup algorithm, which could delete it while the
// window is open, and is known by its number and the userdata backout=KEY.
//
// The config whose subvolume is / goes back by "snapper rollback NUMBER": the next
// boot finds a copy of the snapshot, and a step that reboots has to follow. Without
// a number snapper would keep the system as it is. Every other config goes back
// while it is mounted, file by file, by "snapper undochange" between the snapshot
// and one that is made right before it.
//
// snapper is asked over D-Bus where the system's bus is, else without it.
package snapper

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

const snapshotKind, rollbackKind = "snapper.snapshot", "snapper.rollback"

// Config is the section of both kinds.
type Config struct {
	// Configs are snapper's, by name.
	Configs []string `json:"configs,omitempty" yaml:"configs,omitempty" doc:"names of snapper's configurations; default [root]. The same in snapper.snapshot and snapper.rollback"`
	// FreeMiB is how much room there must be.
	FreeMiB int `json:"free_mib,omitempty" yaml:"free_mib,omitempty" doc:"MiB that must be free when the snapshot is made, since what is written from then on is kept twice; default 1024"`
}

// Kinds are snapper.snapshot and snapper.rollback.
func Kinds() []executors.Kind {
	snapshot := executors.Define(snapshotKind, "keep a snapshot of snapper, as a baseline step", func(_ context.Context, c Config) (backout.Executor, error) {
		return Snapshot{set{c}}, nil
	})
	rollback := executors.Define(rollbackKind, "go back to the baseline's snapshot of snapper; / at the next boot", func(_ context.Context, c Config) (backout.Executor, error) {
		return Rollback{set{c}}, nil
	})
	rollback.Destructive, rollback.Loses = true, "data written to the subvolumes of the configs since their snapshots"
	return []executors.Kind{snapshot, rollback}
}

var plainConfig = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// Validate refuses what names no config.
func (c *Config) Validate() error {
	if len(c.Configs) == 0 {
		c.Configs = []string{"root"}
	}
	var errs []error
	for i, name := range c.Configs {
		if !plainConfig.MatchString(name) {
			errs = append(errs, fmt.Errorf("configs: %q is not a name of a config: see snapper list-configs", name))
		}
		if slices.Contains(c.Configs[:i], name) {
			errs = append(errs, fmt.Errorf("configs: %s is named twice", name))
		}
	}
	if c.FreeMiB < 0 || c.FreeMiB > 1<<30 {
		errs = append(errs, fmt.Errorf("free_mib: %d is not a number of MiB", c.FreeMiB))
	}
	return errors.Join(errs...)
}

// set is what both kinds know of their section.
type set struct{ config Config }

func (s set) need() int64 {
	if s.config.FreeMiB == 0 {
		return 1 << 30
	}
	return int64(s.config.FreeMiB) << 20
}

// snapshots are the facts of the baseline step that has snapshotted the whole set.
func (s set) snapshots(t backout.Task) map[string]string {
	return t.PreparedBy(snapshotKind, func(facts map[string]string) bool {
		return !slices.ContainsFunc(s.config.Configs, func(name string) bool { return facts[factPrefix+name] == "" })
	})
}

// Sudo implements [backout.Privileged].
func (s set) Sudo() []string {
	return []string{"/usr/bin/snapper", "/usr/bin/sh", "/bin/sh"}
}
