// Package plugin is what the registries of executors, notifiers and checks have
// in common: a kind has a name, a config type of its own that is decoded
// strictly, and a constructor. A registry is a value, not a global.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// Kind is one plug-in: how its section is decoded and how it is built.
type Kind[T any] struct {
	// Name is what files call it: "command", "systemd.restart".
	Name string
	// Doc is one line for people.
	Doc string

	newConfig func() any
	build     func(context.Context, any) (T, error)
}

// Validator is a section that can say what is wrong with it beyond its types.
type Validator interface{ Validate() error }

// Resolver fills in the secrets of a decoded section; config points to it.
type Resolver func(config any) error

// Define makes a kind whose section decodes into a C.
func Define[C, T any](name, doc string, build func(context.Context, C) (T, error)) Kind[T] {
	return Kind[T]{
		Name:      name,
		Doc:       doc,
		newConfig: func() any { return new(C) },
		build: func(ctx context.Context, config any) (T, error) {
			c, ok := config.(*C)
			if !ok {
				var none T
				return none, fmt.Errorf("build %s: section is a %T", name, config)
			}
			return build(ctx, *c)
		},
	}
}

// Config returns a pointer to an empty section, for generated schemas.
func (k Kind[T]) Config() any { return k.newConfig() }

// Decode reads the section through decode, which must be strict, validates it,
// and returns it as canonical JSON.
func (k Kind[T]) Decode(decode func(into any) error) (json.RawMessage, error) {
	config := k.newConfig()
	if err := decode(config); err != nil {
		return nil, err
	}
	if err := validate(config); err != nil {
		return nil, err
	}
	return json.Marshal(config)
}

// Build makes the plug-in from a section that [Kind.Decode] returned.
func (k Kind[T]) Build(ctx context.Context, section json.RawMessage, resolve Resolver) (T, error) {
	var none T
	config := k.newConfig()
	if len(section) > 0 {
		d := json.NewDecoder(bytes.NewReader(section))
		d.DisallowUnknownFields()
		if err := d.Decode(config); err != nil {
			return none, backout.Permanent(fmt.Errorf("decode section of %s: %w", k.Name, err))
		}
	}
	if err := validate(config); err != nil {
		return none, backout.Permanent(fmt.Errorf("section of %s: %w", k.Name, err))
	}
	if resolve != nil {
		if err := resolve(config); err != nil {
			return none, fmt.Errorf("secrets of %s: %w", k.Name, err)
		}
	}
	return k.build(ctx, config)
}

func validate(config any) error {
	if v, ok := config.(Validator); ok {
		return v.Validate()
	}
	return nil
}

// Registry finds kinds by name. The zero value is empty and ready.
type Registry[K interface{ KindName() string }] struct {
	kinds []K
}

// KindName makes a [Kind] fit a [Registry].
func (k Kind[T]) KindName() string { return k.Name }

// NewRegistry refuses two kinds of one name.
func NewRegistry[K interface{ KindName() string }](kinds ...K) (*Registry[K], error) {
	sorted := slices.SortedFunc(slices.Values(kinds), func(a, b K) int { return strings.Compare(a.KindName(), b.KindName()) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].KindName() == sorted[i-1].KindName() {
			return nil, fmt.Errorf("kind %q is registered twice", sorted[i].KindName())
		}
	}
	return &Registry[K]{kinds: sorted}, nil
}

// Lookup finds the kind of this name.
func (r *Registry[K]) Lookup(name string) (K, bool) {
	for _, k := range r.kinds {
		if k.KindName() == name {
			return k, true
		}
	}
	var none K
	return none, false
}

// Kinds returns every kind, by name.
func (r *Registry[K]) Kinds() []K { return slices.Clone(r.kinds) }

// Names returns the names, sorted.
func (r *Registry[K]) Names() []string {
	names := make([]string, len(r.kinds))
	for i, k := range r.kinds {
		names[i] = k.KindName()
	}
	return names
}
