// Package notifier carries notices to people: a [Kind] for each channel type,
// the [Registry] that finds them, and the templates that turn a
// [backout.Notice] into words.
//
// A channel type is one folder below this one, and one line in all/all.go. It
// may also live in another module: everything it needs is exported.
package notifier

import (
	"context"
	"encoding/json"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Kind is one channel type as configs see it.
type Kind struct {
	// Escape makes one value from outside harmless in this channel's text; nil
	// means that the text is plain.
	Escape func(string) string
	// Time writes a time and Link an address in this channel's text; nil means
	// that they are plain.
	Time func(time.Time) string
	Link func(url string) string
	// Records tells that what the kind builds is a [Records].
	Records bool

	kind plugin.Kind[backout.Notifier]
}

// Define makes a kind whose channel sections decode into a C. The section may
// implement Validate() error. Secrets in it (fields of type [backout.Secret]) are
// resolved before build is called.
func Define[C any](name, doc string, build func(context.Context, C) (backout.Notifier, error)) Kind {
	return Kind{kind: plugin.Define(name, doc, build)}
}

// KindName is what a channel's "type" calls it.
func (k Kind) KindName() string { return k.kind.Name }

// Style is how channels of this kind write text.
func (k Kind) Style() Style {
	return Style{Kind: k.KindName(), Escape: k.Escape, Time: k.Time, Link: k.Link}
}

// Doc is one line for people.
func (k Kind) Doc() string { return k.kind.Doc }

// Config returns a pointer to an empty section, for generated schemas.
func (k Kind) Config() any { return k.kind.Config() }

// Decode reads a channel's section through decode, which must be strict, and
// returns it as canonical JSON.
func (k Kind) Decode(decode func(into any) error) (json.RawMessage, error) {
	return k.kind.Decode(decode)
}

// Build makes the notifier from what Decode returned. resolve fills in secrets.
func (k Kind) Build(ctx context.Context, section json.RawMessage, resolve func(config any) error) (backout.Notifier, error) {
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

// Lookup finds the kind of a channel's type.
func (r *Registry) Lookup(name string) (Kind, bool) { return r.r.Lookup(name) }

// Kinds returns every kind, by name.
func (r *Registry) Kinds() []Kind { return r.r.Kinds() }

// Names returns the names, sorted.
func (r *Registry) Names() []string { return r.r.Names() }
