package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

// markKey names the document that holds the store's mark.
const markKey = "attempts-mark"

// storeMark is a random name that the store was given when it was new; all
// servers on it have the same. It tells its attempts on a target from those of
// any other store.
func storeMark(ctx context.Context, control *store.Control) (string, error) {
	doc, err := control.Get(ctx, markKey)
	if errors.Is(err, backout.ErrNotFound) {
		// Of servers that begin at once one wins.
		if _, err = control.Create(ctx, markKey, []byte(rand.Text()[:8])); err == nil || errors.Is(err, backout.ErrExists) {
			doc, err = control.Get(ctx, markKey)
		}
	}
	if err != nil {
		return "", fmt.Errorf("read mark of store: %w", err)
	}
	return string(doc.Value), nil
}
