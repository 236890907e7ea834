// Package executors knows how things are put back: a [Kind] for each mechanism,
// and the [Registry] that finds them by the name a plan's step uses.
//
// A mechanism is one folder below this one, and one line in all/all.go. It may
// also live in another module: everything it needs is exported.
package executors

import (
	"context"
	"encoding/json"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Kind is one executor as plans see it.
type Kind struct {
	// OnOverdue is what is done with a running step when its level's time is up.
	OnOverdue backout.OnOverdue
	// Destructive is set for executors that lose data written since the
	// baseline; Loses says in words what.
	Destructive bool
	Loses       string
	// WantsDelta is set for executors that undo the patch delta: it is captured
	// before such a step begins.
	WantsDelta bool
	// OnRunner is set for executors that work from the machine of the runner: the
	// host they get is that machine, and the attempt's record stands there.
	OnRunner bool
	// Reboots is set for executors that reboot their target: each of their steps is
	// one that Step.Reboots speaks of, also where the plan does not say so.
	Reboots bool

	kind plugin.Kind[backout.Executor]
}

// Define makes a kind whose step sections decode into a C. The section may
// implement Validate() error. Secrets in it (fields of type [backout.Secret]) are
// resolved before build is called. Steps wait when overdue unless the kind says
// otherwise: interrupting is what has to be argued for.
func Define[C any](name, doc string, build func(context.Context, C) (backout.Executor, error)) Kind {
	return Kind{OnOverdue: backout.OverdueWait, kind: plugin.Define(name, doc, build)}
}

// KindName is what a step's "uses" calls it.
func (k Kind) KindName() string { return k.kind.Name }

// Doc is one line for people.
func (k Kind) Doc() string { return k.kind.Doc }

// Config returns a pointer to an empty section, for generated schemas.
func (k Kind) Config() any { return k.kind.Config() }

// Decode reads a step's section through decode, which must be strict, and
// returns it as canonical JSON.
func (k Kind) Decode(decode func(into any) error) (json.RawMessage, error) {
	return k.kind.Decode(decode)
}

// Build makes the executor from what Decode returned. resolve fills in secrets;
// nil is for sections without any.
func (k Kind) Build(ctx context.Context, section json.RawMessage, resolve func(config any) error) (backout.Executor, error) {
	return k.kind.Build(ctx, section, resolve)
}

// Registry finds kinds by name.
type Registry struct{ r *plugin.Registry[Kind] }

// NewRegistry refuses two kinds of one name.
func NewRegistry(kinds ...Kind) (*Registry, error) {
	r, err := plugin.NewRegistry(kinds...)
	if err != nil {
		return nil, err
	}
	return &Registry{r}, nil
}

// Lookup finds the kind that a step uses.
func (r *Registry) Lookup(uses string) (Kind, bool) { return r.r.Lookup(uses) }

// Kinds returns every kind, by name.
func (r *Registry) Kinds() []Kind { return r.r.Kinds() }

// Names returns the names, sorted.
func (r *Registry) Names() []string { return r.r.Names() }
