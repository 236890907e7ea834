package slackedge

import (
	"context"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier/slack"
)

// show edits the card unless it shows what is already. done is false while no card was
// posted.
func (k *keeper) show(ctx context.Context, n *slack.Notifier, p place, r backout.Rollback, now time.Time) (done bool, err error) {
	thread, err := k.e.o.Store.Thread(ctx, p.channel, p.rollback)
	if err != nil || thread == nil || thread.Ref == "" || thread.Channel != "" && thread.Channel != n.Channel() {
		return false, err
	}
	card := k.e.draw(r, now)
	shown, err := k.e.o.Store.Card(ctx, p.channel, p.rollback)
	if err != nil {
		return false, err
	}
	digest := card.Digest()
	if shown.Digest == digest || shown.Seq > r.Revision {
		return true, nil
	}
	if shown.Digest == "" && k.drawn(p) == digest {
		shown.Seq, shown.Digest = r.Revision, digest
		_, err = k.e.o.Store.PutCard(ctx, p.channel, p.rollback, shown)
		return true, err
	}
	if !k.e.o.Sole {
		if shown.By != "" && shown.By != k.e.o.Server && now.Sub(shown.ClaimedAt) < claimLife {
			return false, fmt.Errorf("%w: server %s edits it", backout.ErrConflict, shown.By)
		}
		shown.By, shown.ClaimedAt = k.e.o.Server, now.UTC()
		if shown, err = k.e.o.Store.PutCard(ctx, p.channel, p.rollback, shown); err != nil {
			return false, err
		}
	}
	if err := n.Update(ctx, thread.Ref, card); err != nil {
		return false, err
	}
	shown.By, shown.ClaimedAt, shown.Seq, shown.Digest = "", time.Time{}, r.Revision, digest
	_, err = k.e.o.Store.PutCard(ctx, p.channel, p.rollback, shown)
	return true, err
}

// drawn is the digest of the card that was posted.
func (k *keeper) drawn(p place) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := k.tasks[p]; t != nil {
		return t.drawn
	}
	return ""
}

// draw makes the card of a rollback.
func (e *Edge) draw(r backout.Rollback, now time.Time) slack.Card {
	v := slack.View{Rollback: r, Now: now}
	if e.o.ExternalURL != "" {
		v.URL = e.o.ExternalURL + "/rollbacks/" + r.ID
	}
	return slack.Draw(v)
}

// cards draws the first messages of one channel.
type cards struct {
	e       *Edge
	channel string
}

// Card implements [slack.Cards].
func (c cards) Card(ctx context.Context, rollbackID string) (slack.Card, bool) {
	r, err := c.e.o.Reader.Rollback(ctx, rollbackID)
	if err != nil {
		return slack.Card{}, false
	}
	card := c.e.draw(r, time.Now())
	k := c.e.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	p := place{c.channel, rollbackID}
	if k.tasks[p] == nil {
		k.tasks[p] = &task{}
	}
	k.tasks[p].drawn = card.Digest()
	return card, true
}

// Posted implements [slack.Cards].
func (c cards) Posted(rollbackID string) {
	k := c.e.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.note(c.channel, rollbackID, time.Now().Add(postedWait))
	t.posted, t.urgent = postedTries, true
}
