// Package all lists every executor of this module.
package all

import (
	"slices"

	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/btrfs"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/executors/snapper"
	"github.com/backout-io/backout/executors/systemd"
	"github.com/backout-io/backout/executors/zypper"
)

// Kinds returns them.
func Kinds() []executors.Kind {
	return slices.Concat(
		btrfs.Kinds(),
		[]executors.Kind{command.Kind()},
		snapper.Kinds(),
		systemd.Kinds(),
		[]executors.Kind{zypper.Kind()},
	)
}
