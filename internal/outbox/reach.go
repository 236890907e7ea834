package outbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

const (
	// reachPatience is how long a question may be on its way to a channel before it counts
	// as one that has not arrived.
	reachPatience = 30 * time.Second
	// sentFirst is how long a question is left to whoever sends it in the first place.
	sentFirst = 10 * time.Second
)

const notArrived = "the question has not arrived yet"

// Reach tells whether people can be told of a question, and can answer it: whether the
// question itself has been delivered by one of the channels that it is routed to now, by
// whichever server and at whatever time, and who got it there can answer. How other
// notices fare says nothing of it. A no without a reason means that it is not known yet:
// it is on its way. Since is when the first of them had it; zero where an older release
// has not kept it.
//
// While it has reached nobody, the question is put where it was never sent, as after
// other routes were read, and handed over again where it was given up.
func (b *Outbox) Reach(ctx context.Context, asked []backout.Notice) (ok bool, since time.Time, why string) {
	ways := b.waysOf(asked)
	if len(ways) == 0 {
		return false, time.Time{}, "no channel leads to anybody of " + quoted(audiencesOf(asked)) + " who can act"
	}
	var failing []string
	var open []func()
	unknown := false
	for _, w := range ways {
		d, there, err := b.store.Delivery(ctx, w.channel, w.notice.ID)
		if err != nil {
			unknown = true // the store says in its own way that it does not answer
			continue
		}
		told, why := b.told(w, d, there)
		switch {
		case told:
			if !ok || d.At.Before(since) {
				ok, since = true, d.At
			}
			continue
		case why == "":
			unknown = true
			continue
		}
		failing = append(failing, w.channel+": "+why)
		if !d.Delivered {
			open = append(open, func() { b.carry(ctx, w, d, there) })
		}
	}
	if ok || unknown {
		return ok, since, ""
	}
	for _, carry := range open {
		carry()
	}
	return false, time.Time{}, strings.Join(failing, "; ")
}

// told tells it of one channel.
func (b *Outbox) told(w way, d store.Delivery, there bool) (ok bool, why string) {
	age := time.Since(w.notice.At).Abs() // of a server whose clock is far ahead it is no new one
	switch {
	case d.Delivered && b.answers != nil:
		return b.answers(w.channel)
	case d.Delivered:
		return true, ""
	case d.LastError != "":
		return false, "the question has not arrived: " + d.LastError
	case !there && age < sentFirst, there && age < reachPatience:
		return false, ""
	}
	return false, notArrived
}

// carry brings a question on its way that has not arrived by the channel.
func (b *Outbox) carry(ctx context.Context, w way, d store.Delivery, there bool) {
	if there && d.Tries > 0 {
		b.handOver(ctx, w, d)
	}
	if there {
		return
	}
	log := b.log.With("channel", w.channel, "notice", w.notice.ID)
	log.Info("an open question is put where it was not sent before")
	if err := fitting(w.notice, func(n backout.Notice) error { return b.store.Put(ctx, w.channel, n) }); err != nil {
		log.Warn("an open question was not put where it was not sent before", "error", err)
	}
}

// fitting stores the notice, or, where it is too large for the store, without its details.
func fitting(n backout.Notice, put func(backout.Notice) error) error {
	err := put(n)
	if errors.Is(err, backout.ErrInvalid) {
		err = put(n.Abridged())
	}
	return err
}

// way is one channel by which a question is asked, and how it is asked there.
type way struct {
	channel string
	notice  backout.Notice
}

// waysOf are the different channels by which this is asked of those who can act, sorted:
// stakeholders and the record can stop nothing.
func (b *Outbox) waysOf(asked []backout.Notice) (ways []way) {
	c := b.config.Load()
	for _, n := range asked {
		if !cmp.Or(c.Kinds[n.Audience], notifier.KindOf(n.Audience)).MayAct() {
			continue
		}
		for _, name := range c.decide(n).Channels {
			if !slices.ContainsFunc(ways, func(w way) bool { return w.channel == name }) {
				ways = append(ways, way{name, n})
			}
		}
	}
	slices.SortFunc(ways, func(a, b way) int { return strings.Compare(a.channel, b.channel) })
	return ways
}

func audiencesOf(asked []backout.Notice) (names []string) {
	for _, n := range asked {
		names = append(names, n.Audience)
	}
	return names
}
