package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/backout-io/backout/handlers"
)

// TestAListEndsWithWhoAsked: of years there is much to unpack, for nobody any more.
func TestAListEndsWithWhoAsked(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.asks(e)
		if list, err := e.ListRollbacks(t.Context(), handlers.RollbackFilter{}); err != nil || len(list) != 1 {
			t.Errorf("%d rollbacks, %v", len(list), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.ListRollbacks(gone, handlers.RollbackFilter{}); !errors.Is(err, context.Canceled) {
			t.Errorf("answered %v", err)
		}
	})
}
