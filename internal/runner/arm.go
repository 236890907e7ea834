package runner

import "github.com/backout-io/backout"

// armer is what [Hosts] may offer: connections that are kept open.
type armer interface {
	KeepArmed(targets []backout.Target) (left int, err error)
	Unarmed(targets []backout.Target) map[string]error
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

// Unarmed are those of the targets that are to be kept connected and cannot be
// connected to just now, by name, with the reason.
func (r *Runner) Unarmed(targets []backout.Target) map[string]error {
	if a, ok := r.o.Hosts.(armer); ok {
		return a.Unarmed(targets)
	}
	return nil
}
