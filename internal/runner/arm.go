package runner

import "github.com/backout-io/backout"

// armer is what [Hosts] may offer: connections that are kept open.
type armer interface {
	KeepArmed(targets []backout.Target) (left int, err error)
}

// Arm says on which targets steps must start without first connecting, instead of
// those before. left are those above the limit of connections kept. Hosts that keep
// none need nothing.
func (r *Runner) Arm(targets []backout.Target) (left int, err error) {
	if a, ok := r.o.Hosts.(armer); ok {
		return a.KeepArmed(targets)
	}
	return 0, nil
}
