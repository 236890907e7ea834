package dashboard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// keptLogs is how many rollbacks' logs are kept at once, keptRecords how many
	// records they may have together: an open page reads only what is new.
	keptLogs    = 8
	keptRecords = 50_000
	// readLog is how long a page waits for a log.
	readLog = 5 * time.Second
)

// logs keeps the logs of the rollbacks that were looked at last.
type logs struct {
	mu   sync.Mutex
	kept []*keptLog // the one used last is the last
}

// keptLog is the beginning of one rollback's log. What it has handed out never changes.
type keptLog struct {
	id string
	// turn is held while the log is read; records is how many entries there are.
	turn    turn
	records atomic.Int64
	entries []handlers.LogEntry
}

// of returns the log kept for the rollback, and forgets what was not used for longest.
func (l *logs) of(id string) *keptLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := &keptLog{id: id, turn: newTurn()}
	if i := slices.IndexFunc(l.kept, func(k *keptLog) bool { return k.id == id }); i >= 0 {
		k = l.kept[i]
		l.kept = slices.Delete(l.kept, i, i+1)
	}
	l.kept = append(l.kept, k)
	for len(l.kept) > keptLogs {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	return k
}

// bound forgets what is more than may be kept.
func (l *logs) bound() {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := int64(0)
	for i := len(l.kept) - 1; i >= 0; i-- {
		if records += l.kept[i].records.Load(); records > keptRecords {
			l.kept = slices.Delete(l.kept, 0, i+1)
			return
		}
	}
}

var errRead = errors.New("read")

// logOf returns the log of a rollback that whoever asks was given: at least as much of it
// as that tells of.
func (d *Dashboard) logOf(ctx context.Context, r *backout.Rollback) ([]handlers.LogEntry, error) {
	k := d.logs.of(r.ID)
	entries, err := k.upTo(ctx, d.o.Services.Rollbacks, r.Revision)
	d.logs.bound()
	return entries, err
}

func (k *keptLog) upTo(ctx context.Context, from handlers.Rollbacks, revision uint64) ([]handlers.LogEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, readLog)
	defer cancel()
	if err := k.turn.take(ctx); err != nil {
		return nil, err
	}
	defer k.turn.give()
	var last uint64
	if n := len(k.entries); n > 0 {
		last = k.entries[n-1].Seq
	}
	if last >= revision {
		return k.entries, nil
	}
	err := from.FollowRollback(ctx, k.id, last, func(e handlers.LogEntry) error {
		k.entries = append(k.entries, e)
		k.records.Add(1)
		if e.Seq >= revision {
			return errRead
		}
		return nil
	})
	if err != nil && !errors.Is(err, errRead) {
		return nil, err
	}
	return k.entries, nil
}
