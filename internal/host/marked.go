package host

import (
	"context"
	"io"

	"github.com/backout-io/backout"
)

// marked is a host whose attempts carry a mark before their ids. Attempts are
// named after their change, and two stores may know a change of the same name;
// what one has left on a target is not the work of the other.
type marked struct {
	backout.Host
	mark string
}

var _ backout.Host = marked{}

func (m marked) id(attempt string) string { return m.mark + "." + attempt }

// Start implements [backout.Host].
func (m marked) Start(ctx context.Context, attempt string, e backout.Exec) error {
	return m.Host.Start(ctx, m.id(attempt), e)
}

// Attach implements [backout.Host].
func (m marked) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	return m.Host.Attach(ctx, m.id(attempt), offset, out)
}

// Probe implements [backout.Host].
func (m marked) Probe(ctx context.Context, attempt string) (backout.AttemptReport, error) {
	return m.Host.Probe(ctx, m.id(attempt))
}

// Stop implements [backout.Host].
func (m marked) Stop(ctx context.Context, attempt string) error {
	return m.Host.Stop(ctx, m.id(attempt))
}

// Forget implements [backout.Host].
func (m marked) Forget(ctx context.Context, attempt string) error {
	return m.Host.Forget(ctx, m.id(attempt))
}
