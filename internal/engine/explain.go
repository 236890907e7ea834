package engine

import (
	"context"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Explain implements [handlers.Rules].
func (e *Engine) Explain(context.Context, handlers.ExplainRequest) (handlers.Explained, error) {
	return handlers.Explained{}, fmt.Errorf("explain: %w", backout.ErrUnavailable)
}
