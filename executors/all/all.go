// Package all lists every executor of this module.
package all

import (
	"slices"

	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/ansible"
	"github.com/backout-io/backout/executors/btrfs"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/executors/dnf"
	"github.com/backout-io/backout/executors/http"
	"github.com/backout-io/backout/executors/pkg"
	"github.com/backout-io/backout/executors/snapper"
	"github.com/backout-io/backout/executors/systemd"
	"github.com/backout-io/backout/executors/zypper"
)

// Kinds returns them.
func Kinds() []executors.Kind {
	return slices.Concat(
		[]executors.Kind{ansible.Kind(), command.Kind(), dnf.Kind(), http.Kind(), zypper.Kind()},
		btrfs.Kinds(),
		pkg.Kinds(),
		snapper.Kinds(),
		systemd.Kinds(),
	)
}
