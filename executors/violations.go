package executors

import "github.com/backout-io/backout"

// Violations collects what stands in a step's way; the runner adds target and level.
type Violations []backout.Violation

// Add adds one: what was checked, why it is a no, and what to do about it.
func (v *Violations) Add(check, reason, fix string) {
	*v = append(*v, backout.Violation{Check: check, Reason: reason, Fix: fix})
}
