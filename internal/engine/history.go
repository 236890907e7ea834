package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// History implements [handlers.Rules].
func (e *Engine) History(context.Context, time.Time, time.Time, func(handlers.HistoryEntry) error) error {
	return fmt.Errorf("read history: %w", backout.ErrUnavailable)
}
