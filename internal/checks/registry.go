// Package checks probes whether a target is well again: http, command, promql
// and unit, one file each.
//
// A check looks and changes nothing. It answers green or red with a reason; what
// it could not find out is red, never green.
package checks

import (
	"context"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Result is what one check saw.
type Result struct {
	Green bool
	// Detail says what was seen, in one line.
	Detail string
}

// Subject is what a check looks at.
type Subject struct {
	Target   backout.Target
	Host     backout.Host
	ChangeID string
}

// Checker is one configured check.
type Checker interface {
	Check(ctx context.Context, s Subject) Result
}

// Kind is one check type.
type Kind = plugin.Kind[Checker]

// Registry finds check types by name.
type Registry = plugin.Registry[Kind]
