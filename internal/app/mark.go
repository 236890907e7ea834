package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/store"
)

// markKey names the document that holds the store's mark.
const markKey = "attempts-mark"

// storeMark is a random name that the store was given when it was new; all
// servers on it have the same. It tells its attempts on a target from those of
// any other store.
//
// Every server gives its store the mark before it writes anything else. So a store
// without one is new, or it has lost its documents; abandoned is what speaks
// against a new one.
func storeMark(ctx context.Context, s *store.Store, abandoned error) (string, error) {
	doc, err := s.Control.Get(ctx, markKey)
	if errors.Is(err, backout.ErrNotFound) {
		if err := isNew(ctx, s); err != nil {
			return "", err
		}
		if abandoned != nil {
			return "", abandoned
		}
		// Of servers that begin at once one wins.
		if _, err = s.Control.Create(ctx, markKey, []byte(rand.Text()[:8])); err == nil || errors.Is(err, backout.ErrExists) {
			doc, err = s.Control.Get(ctx, markKey)
		}
	}
	if err != nil {
		return "", fmt.Errorf("read mark of store: %w", err)
	}
	return string(doc.Value), nil
}

// isNew refuses a store whose logs have records.
func isNew(ctx context.Context, s *store.Store) error {
	for _, log := range []*store.Log{s.Changes, s.Rollbacks} {
		last, err := log.Last(ctx)
		if err != nil {
			return err
		}
		if last > 0 {
			return fmt.Errorf("the store has %d records and not the documents that belong to them (KV_BACKOUT_CONTROL lacks %s): restore the store from a backup (backout restore, docs/backup.md)", last, markKey)
		}
	}
	return nil
}

// abandoned is an error when the config names the user's NATS and an embedded
// store lies in its data directory: an empty NATS must not take its place in
// silence.
func abandoned(cfg *config.Config) error {
	if cfg.NATS.URL == "" || !bus.HoldsStore(cfg.DataDir) {
		return nil
	}
	return fmt.Errorf("the store at nats.url is empty, but data_dir %s holds an embedded one: take it along with backout backup and backout restore (docs/backup.md), or move that directory away to start with nothing", cfg.DataDir)
}
