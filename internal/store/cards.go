package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// cardsPrefix holds what each card shows, by channel and rollback; oncePrefix what was
// done once, by the digest of its name. Both are kept as long as receipts (90 days).
const (
	cardsPrefix = "$KV.BACKOUT_RECEIPTS.card."
	oncePrefix  = "$KV.BACKOUT_RECEIPTS.once."
)

// ShownCard is what the message about a rollback shows in a channel.
type ShownCard struct {
	// Seq is the rollback's revision that it was drawn from, Digest what it looks
	// like.
	Seq    uint64 `json:"seq"`
	Digest string `json:"digest"`
	// By is the server that edits it, since ClaimedAt; empty when none does.
	By        string    `json:"by,omitempty"`
	ClaimedAt time.Time `json:"claimed_at,omitzero"`
	// Revision must be named to replace it; 0 when nothing is kept.
	Revision uint64 `json:"-"`
}

// Once tells whether this is the first call with the key, on whichever server. A key
// is remembered for 90 days.
func (o *Outbox) Once(ctx context.Context, key string) (first bool, err error) {
	sum := sha256.Sum256([]byte(key))
	now, err := json.Marshal(time.Now().UTC())
	if err != nil {
		return false, fmt.Errorf("remember: %w", err)
	}
	_, err = o.receipts.put(ctx, oncePrefix+hex.EncodeToString(sum[:]), now, 0)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, backout.ErrConflict):
		return false, nil
	}
	return false, fmt.Errorf("remember: %w", err)
}

// Card reads what the channel's message about a rollback shows.
func (o *Outbox) Card(ctx context.Context, channel, rollbackID string) (ShownCard, error) {
	var card ShownCard
	at, err := subjectFor(cardsPrefix, channel, rollbackID)
	if err != nil {
		return card, fmt.Errorf("find card of %s on %s: %w", rollbackID, channel, err)
	}
	doc, err := o.receipts.get(ctx, at)
	if err == nil && doc.revision > 0 {
		err = json.Unmarshal(doc.value, &card)
	}
	if err != nil {
		return card, fmt.Errorf("find card of %s on %s: %w", rollbackID, channel, err)
	}
	card.Revision = doc.revision
	return card, nil
}

// PutCard replaces what is kept of a card if it still has the revision, and returns it
// with the new one; [backout.ErrConflict] when another server was faster.
func (o *Outbox) PutCard(ctx context.Context, channel, rollbackID string, card ShownCard) (ShownCard, error) {
	at, err := subjectFor(cardsPrefix, channel, rollbackID)
	var data []byte
	if err == nil {
		data, err = json.Marshal(card)
	}
	if err == nil {
		card.Revision, err = o.receipts.put(ctx, at, data, card.Revision)
	}
	if err != nil {
		return card, fmt.Errorf("keep card of %s on %s: %w", rollbackID, channel, err)
	}
	return card, nil
}
