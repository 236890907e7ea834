package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// LoggedNotice is a notice that follows from a rollback's log.
type LoggedNotice struct {
	backout.Notice
	// HandedOver tells that the outbox has had it; else it has yet to be routed.
	HandedOver bool
}

// NoticesOf derives the notices about a rollback from its log, the oldest first, as the
// relay did when it handed them over: one for each audience, where one event's share
// their id. It wraps [backout.ErrNotFound] when there is no such rollback.
func (e *Engine) NoticesOf(ctx context.Context, rollbackID string) ([]LoggedNotice, error) {
	if _, err := e.Rollback(ctx, rollbackID); err != nil {
		return nil, err
	}
	// Asked first: what is handed over meanwhile is found by its receipts.
	done := e.relay.done().Rollbacks
	entries, err := e.store.Rollbacks.Load(ctx, rollbackID)
	if err != nil {
		return nil, fmt.Errorf("notices of rollback %s: %w", rollbackID, err)
	}
	var out []LoggedNotice
	var state backout.Rollback
	for _, entry := range entries {
		for _, n := range toldBy(state, entry.Seq, entry.Record) {
			out = append(out, LoggedNotice{e.withURL(n, "rollbacks/"+rollbackID), entry.Seq <= done})
		}
		state = rollback.Fold(state, entry.Seq, entry.Record)
	}
	return out, nil
}

// toldBy are the notices that follow from a record of a rollback's log; before is the
// state that it was appended to.
func toldBy(before backout.Rollback, seq uint64, rec backout.Record) []backout.Notice {
	var notices []backout.Notice
	for _, c := range rollback.Commands(before, seq, rec) {
		if tell, ok := c.(backout.Tell); ok {
			notices = append(notices, tell.Notice)
		}
	}
	return notices
}

// actingFirst sorts what is told of one event to several audiences: a channel that serves
// more than one is told once, and whoever can act must be told as such. What an audience
// is told that is gone from the config goes to all who can act, and comes behind what they
// are told themselves.
func (c *Config) actingFirst(notices []backout.Notice) {
	if c.Acts == nil {
		return
	}
	rank := func(n backout.Notice) int {
		switch gone := c.Audiences != nil && len(c.Audiences[n.Audience]) == 0; {
		case !c.Acts(n.Audience):
			return 2
		case gone:
			return 1
		}
		return 0
	}
	for begin, end := 0, 0; begin < len(notices); begin = end {
		for end = begin; end < len(notices) && notices[end].ID == notices[begin].ID; end++ {
		}
		slices.SortStableFunc(notices[begin:end], func(a, b backout.Notice) int { return rank(a) - rank(b) })
	}
}

// readers are the audiences of the plan whose people can do nothing about what they are
// told.
func (c *Config) readers(p backout.Plan) map[string]bool {
	out := map[string]bool{}
	for _, name := range audiencesOf(p) {
		if c.Acts != nil && !c.Acts(name) {
			out[name] = true
		}
	}
	return out
}

// withURL is the notice with the address of what it is about, where this server has one.
func (e *Engine) withURL(n backout.Notice, path string) backout.Notice {
	if base := e.cfg().ExternalURL; base != "" {
		n.URL = base + "/" + path
	}
	return n
}
