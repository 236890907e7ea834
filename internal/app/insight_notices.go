package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/store"
)

// noticesParallel is how many notices are asked for at once.
const noticesParallel = 8

// RollbackNotices implements [handlers.Insight]. What a notice says is derived from the
// rollback's log, in the words of this release; where it went, and what became of it
// there, the store knows for as long as receipts are kept (90 days). One that waits
// before the outbox has had it is listed on the channels that it would be routed to now.
// One that no channel was to carry, since a time interval silenced it or nobody is in
// its audience, is not listed.
func (i insight) RollbackNotices(ctx context.Context, rollbackID string) ([]handlers.NoticeStatus, error) {
	notices, err := i.NoticesOf(ctx, rollbackID)
	if err != nil {
		return nil, err
	}
	var groups [][]engine.LoggedNotice // those of one event share their id
	for _, n := range notices {
		if last := len(groups) - 1; last >= 0 && groups[last][0].ID == n.ID {
			groups[last] = append(groups[last], n)
		} else {
			groups = append(groups, []engine.LoggedNotice{n})
		}
	}
	found, failed := make([][]handlers.NoticeStatus, len(groups)), make([]error, len(groups))
	slots := make(chan struct{}, noticesParallel)
	var all sync.WaitGroup
	for k, group := range groups {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var known []store.Delivery
			if known, failed[k] = i.app.store.Outbox.Deliveries(ctx, group[0].ID); failed[k] == nil {
				found[k] = i.standing(group, known)
			}
		})
	}
	all.Wait()
	if k := slices.IndexFunc(failed, func(err error) bool { return err != nil }); k >= 0 {
		return nil, fmt.Errorf("notices of rollback %s: %w", rollbackID, failed[k])
	}
	return slices.Concat(found...), nil
}

// standing tells how one event's notices stand: by audience, in the order of the log,
// then by channel.
func (i insight) standing(group []engine.LoggedNotice, known []store.Delivery) []handlers.NoticeStatus {
	routes := make([][]string, len(group))
	for k, n := range group {
		routes[k] = i.app.outbox.Route(n.Notice)
	}
	type placed struct {
		audience int
		handlers.NoticeStatus
	}
	var list []placed
	for _, d := range known {
		// A channel that serves several audiences of one event is told once.
		at := slices.IndexFunc(group, func(n engine.LoggedNotice) bool { return d.Audience == n.Audience })
		if at < 0 { // an older release did not write it down
			at = max(0, slices.IndexFunc(routes, func(channels []string) bool { return slices.Contains(channels, d.Channel) }))
		}
		list = append(list, placed{at, handlers.NoticeStatus{
			Channel: d.Channel, Notice: group[at].Notice, GivenUp: d.GivenUp, Delivered: d.Delivered, At: d.At, Tries: d.Tries, Error: d.LastError,
		}})
	}
	for k, n := range group {
		for _, channel := range routes[k] {
			there := slices.ContainsFunc(list, func(p placed) bool { return p.Channel == channel })
			if !n.HandedOver && !there {
				list = append(list, placed{k, handlers.NoticeStatus{Channel: channel, Notice: n.Notice}})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.audience, b.audience), cmp.Compare(a.Channel, b.Channel))
	})
	out := make([]handlers.NoticeStatus, len(list))
	for k, p := range list {
		out[k] = p.NoticeStatus
	}
	return out
}
