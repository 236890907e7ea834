// Package all lists every executor of this module.
package all

import (
	"slices"

	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/ansible"
	"github.com/backout-io/backout/executors/command"
	"github.com/backout-io/backout/executors/http"
	"github.com/backout-io/backout/executors/lvm"
	"github.com/backout-io/backout/executors/system"
	"github.com/backout-io/backout/executors/systemd"
)

// Kinds returns them.
func Kinds() []executors.Kind {
	return slices.Concat(
		[]executors.Kind{ansible.Kind(), command.Kind(), http.Kind(), system.Kind()},
		lvm.Kinds(),
		systemd.Kinds(),
	)
}
