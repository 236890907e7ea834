// Package capture looks at a target and returns its inventory.
package capture

import (
	"context"
	"errors"

	"github.com/backout-io/backout"
)

// Take looks at the target once. It returns the whole inventory or an error, never
// a part of it; an error names the part, the tool and its version, and what to do.
// One that is about the target itself, not the way to it, is a [*MissingError] or
// wraps [backout.ErrInvalid]. It changes nothing.
func Take(_ context.Context, _ backout.Host, _ backout.BaselineSpec) (backout.Inventory, error) {
	return backout.Inventory{}, errors.New("not built yet")
}

// MissingError says that a tool is missing on the target.
type MissingError struct {
	Part, Tool, Package string
}

// Error implements error.
func (e *MissingError) Error() string {
	return "look at " + e.Part + ": " + e.Tool + " is not there: install " + e.Package
}
