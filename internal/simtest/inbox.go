package simtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
)

// Inbox is the channel of one audience: what its people have read, in order.
type Inbox struct {
	mu    sync.Mutex
	down  bool
	fail  func(ctx context.Context, m backout.Message) error
	read  []backout.Notice
	times []time.Time
	tries int
	// unsure are notices whose delivery may be repeated: its answer was lost.
	unsure map[string]bool
	// refused are notices that it has refused for good; mended is since when it takes
	// everything again.
	refused map[string]bool
	mended  time.Time
}

// excuse allows one notice to come again.
func (b *Inbox) excuse(noticeID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unsure == nil {
		b.unsure = map[string]bool{}
	}
	b.unsure[noticeID] = true
}

// Notify implements [backout.Notifier].
func (b *Inbox) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	if err := b.try(ctx, m); err != nil {
		return backout.Receipt{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = append(b.read, m.Notice)
	b.times = append(b.times, time.Now())
	return backout.Receipt{Ref: m.Notice.ID}, nil
}

// try counts the delivery, and fails it as the channel is told to.
func (b *Inbox) try(ctx context.Context, m backout.Message) error {
	b.mu.Lock()
	b.tries++
	down, fail := b.down, b.fail
	b.mu.Unlock()
	switch {
	case down:
		return errors.New("the channel is down")
	case fail != nil:
		err := fail(ctx, m)
		if backout.IsPermanent(err) {
			b.refuse(m.Notice.ID)
		}
		return err
	}
	return nil
}

func (b *Inbox) refuse(noticeID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused == nil {
		b.refused = map[string]bool{}
	}
	b.refused[noticeID] = true
}

// hasRefused tells whether it has refused the notice for good: nobody need read it.
func (b *Inbox) hasRefused(noticeID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused[noticeID]
}

// mendedFor tells whether it has taken everything for so long.
func (b *Inbox) mendedFor(long time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fail == nil && !b.down && time.Since(b.mended) > long
}

// SetFailing makes every delivery end as fail does, which may take its time; nil
// lets them arrive again.
func (b *Inbox) SetFailing(fail func(ctx context.Context, m backout.Message) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
	if fail == nil {
		b.mended = time.Now()
	}
}

// Tries counts the deliveries, failed ones too.
func (b *Inbox) Tries() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

// SetDown takes the channel down, or up again.
func (b *Inbox) SetDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
	if !down {
		b.mended = time.Now()
	}
}

// Notices are what was delivered, in order.
func (b *Inbox) Notices() []backout.Notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.read)
}

// Moments are the notices as "moment level", one a line, in order.
func (b *Inbox) Moments() []string {
	notices := b.Notices()
	out := make([]string, len(notices))
	for i, n := range notices {
		out[i] = strings.TrimSpace(string(n.Moment) + " " + n.Level)
	}
	return out
}

// Count tells how many notices of the moment there are.
func (b *Inbox) Count(m backout.Moment) int {
	n := 0
	for _, notice := range b.Notices() {
		if notice.Moment == m {
			n++
		}
	}
	return n
}

// twice are the notices that were read again without an excuse: their channel's
// answer was lost, or a server ended between the two.
func (b *Inbox) twice(ends []time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := map[string]time.Time{}
	var out []string
	for i, n := range b.read {
		at, again := first[n.ID]
		if !again {
			first[n.ID] = b.times[i]
			continue
		}
		excused := slices.ContainsFunc(ends, func(end time.Time) bool { return !end.Before(at) && !end.After(b.times[i]) })
		if !excused && !b.unsure[n.ID] {
			out = append(out, n.ID)
		}
	}
	return out
}
