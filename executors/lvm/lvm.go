// Package lvm takes volumes of LVM back to a snapshot that was made before the
// patch.
//
//	baseline:
//	  steps:
//	    - uses: lvm.snapshot
//	      with: {volumes: [rootvg/root, rootvg/var]}
//	levels:
//	  - steps:
//	      - uses: lvm.merge
//	      - uses: system.reboot
//	      - uses: lvm.finish
//
// The volumes of one change are one set: all of them are snapshotted, and all are
// merged or none. What was written to them since the snapshot is lost.
//
// A volume that is in use, as the root always is, is not merged by lvm.merge: the
// merge is scheduled, and the next activation does it. So exit code 0 of lvconvert
// is no rollback. Schedule, reboot at once, and let lvm.finish see the merge end:
// the old content is there from the first read on, yet a snapshot that nobody polls
// stays for ever and slows every write down.
//
// What is said of a volume goes by its uuid, never by its name alone. Before a merge
// the origin gets a tag with the uuid of the snapshot, which lives in the metadata of
// LVM and survives the merge: "the snapshot is gone" means merged only with that tag,
// and, on a mounted volume, with the marker of before the snapshot there and that of
// after it gone.
package lvm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// The names of the kinds.
const (
	SnapshotName = "lvm.snapshot"
	MergeName    = "lvm.merge"
	FinishName   = "lvm.finish"
)

// SnapshotConfig is the section of an lvm.snapshot step.
type SnapshotConfig struct {
	Volumes []string `json:"volumes" yaml:"volumes" doc:"the logical volumes that make one system, each as vg/lv; they are snapshotted and merged together"`
	Size    string   `json:"size,omitempty" yaml:"size,omitempty" doc:"room for what changes: 20%ORIGIN, 5G, or auto (the default): a fifth of the volume, or what it writes in window and watch at its pace so far if that is more; thin volumes need none"`
	Without []string `json:"without,omitempty" yaml:"without,omitempty" doc:"volumes (vg/lv) or mount points that belong to the system and are left as patched on purpose"`
	// UncheckedBoot leaves out what cannot be seen of some boot loaders.
	UncheckedBoot bool `json:"unchecked_boot,omitempty" yaml:"unchecked_boot,omitempty" doc:"do not ask whether the initramfs has dm-snapshot and the default kernel is the running one; only where you know that the next boot can merge"`
}

// MergeConfig is the section of an lvm.merge step.
type MergeConfig struct {
	MaxUsed int `json:"max_used,omitempty" yaml:"max_used,omitempty" doc:"percent of the snapshot (thin: of the pool) from which on the way back counts as lost soon; default 70"`
}

// FinishConfig is the section of an lvm.finish step.
type FinishConfig struct {
	Wait backout.Duration `json:"wait,omitempty" yaml:"wait,omitempty" doc:"how long the merge may take after the reboot; default 30m"`
}

// Kinds are lvm.snapshot, lvm.merge and lvm.finish.
func Kinds() []executors.Kind {
	snapshot := executors.Define(SnapshotName, "snapshot the volumes of a system as one set; a baseline step",
		func(_ context.Context, c SnapshotConfig) (backout.Executor, error) { return Snapshot{c}, nil })
	merge := executors.Define(MergeName, "merge the snapshots of lvm.snapshot back; volumes in use are merged by the next boot",
		func(_ context.Context, c MergeConfig) (backout.Executor, error) { return Merge{c}, nil })
	merge.Destructive, merge.Loses = true, "everything written to the volumes since their snapshot"
	finish := executors.Define(FinishName, "wait after the reboot until the merge has ended",
		func(_ context.Context, c FinishConfig) (backout.Executor, error) { return Finish{c}, nil })
	return []executors.Kind{snapshot, merge, finish}
}

// The characters are those of lvm(8); a name may not begin with a dash.
var (
	volumeName = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*/[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$`)
	sizeText   = regexp.MustCompile(`^([1-9][0-9]{0,9})(%ORIGIN|[kKmMgGtT])$`)
)

// Validate refuses what cannot be volumes and sizes of LVM.
func (c *SnapshotConfig) Validate() error {
	var errs []error
	if len(c.Volumes) == 0 {
		errs = append(errs, errors.New("volumes is empty: name the volumes of the system, each as vg/lv"))
	}
	for i, v := range c.Volumes {
		switch {
		case !volumeName.MatchString(v) || len(v) > 100:
			errs = append(errs, fmt.Errorf("volumes: %q is not a volume: write it as vg/lv", v))
		case slices.Contains(c.Volumes[:i], v):
			errs = append(errs, fmt.Errorf("volumes: %s stands there twice", v))
		}
	}
	for _, w := range c.Without {
		if !strings.HasPrefix(w, "/") && !volumeName.MatchString(w) {
			errs = append(errs, fmt.Errorf("without: %q is neither a volume (vg/lv) nor a mount point", w))
		}
	}
	if _, err := c.wanted(1 << 30); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// wanted is the configured size for an origin of this size; 0 means auto.
func (c *SnapshotConfig) wanted(origin int64) (int64, error) {
	if c.Size == "" || c.Size == "auto" {
		return 0, nil
	}
	m := sizeText.FindStringSubmatch(c.Size)
	if m == nil {
		return 0, fmt.Errorf("size: %q is not a size: write it as 20%%ORIGIN, 5G or auto", c.Size)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("size: %w", err)
	}
	if m[2] == "%ORIGIN" {
		if n > 200 {
			return 0, fmt.Errorf("size: %s is more than a snapshot can ever hold: 105%%ORIGIN never overflows", c.Size)
		}
		return origin / 100 * n, nil
	}
	return n << (10 * (1 + strings.Index("kmgt", strings.ToLower(m[2])))), nil
}

// Validate refuses what is no percentage.
func (c *MergeConfig) Validate() error {
	if c.MaxUsed < 0 || c.MaxUsed > 99 {
		return fmt.Errorf("max_used: %d: want 1 to 99 percent", c.MaxUsed)
	}
	return nil
}

// Validate refuses what is no wait.
func (c *FinishConfig) Validate() error {
	if c.Wait < 0 {
		return errors.New("wait: must not be negative")
	}
	return nil
}
