package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

// fakeLog is a log of one id in memory.
type fakeLog struct {
	mu      sync.Mutex
	entries []store.Entry
	seq     uint64
	takes   time.Duration
	err     error // answer to every append
	lose    bool  // stored, and answered with err
	appends int
}

func (l *fakeLog) Append(_ context.Context, id string, expected uint64, rec backout.Record) (uint64, error) {
	time.Sleep(l.takes)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends++
	if l.err != nil && !l.lose {
		return 0, l.err
	}
	if l.seq != expected {
		return 0, backout.ErrConflict
	}
	l.put(id, rec)
	return l.seq, l.err
}

func (l *fakeLog) AppendGuarded(ctx context.Context, id string, expected, streamSeq uint64, rec backout.Record) (uint64, error) {
	l.mu.Lock()
	moved := l.seq != streamSeq
	l.mu.Unlock()
	if moved {
		return 0, backout.ErrConflict
	}
	return l.Append(ctx, id, expected, rec)
}

func (l *fakeLog) put(id string, rec backout.Record) store.Entry {
	l.seq++
	e := store.Entry{ID: id, Seq: l.seq, Record: rec}
	l.entries = append(l.entries, e)
	return e
}

func (l *fakeLog) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq, nil
}

func (l *fakeLog) LastOf(_ context.Context, id string) (last uint64, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.ID == id {
			last = e.Seq
		}
	}
	return last, l.err
}

func (l *fakeLog) Load(context.Context, string) ([]store.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]store.Entry(nil), l.entries...), nil
}

// moves are what a table said had moved.
type move struct {
	Before, After int
	Own           bool
}

// counter is a table whose state counts events.
func counter(log appender) (*table[int], *[]move) {
	var moves []move
	t := newTable(log, "me", func(n int, _ uint64, rec backout.Record) int { return n + len(rec.Events) })
	t.moved = func(_ context.Context, _ string, before, after int, own bool, _ backout.Record) {
		moves = append(moves, move{before, after, own})
	}
	return t, &moves
}

func add(n int, _ time.Time) ([]backout.Event, error) {
	return []backout.Event{backout.Paused{By: fmt.Sprint(n)}}, nil
}

// small is a log whose records hold no more than so many events.
type small struct {
	fakeLog
	most int
}

func (l *small) Append(ctx context.Context, id string, expected uint64, rec backout.Record) (uint64, error) {
	if len(rec.Events) > l.most {
		return 0, fmt.Errorf("%w: larger than the server's max_payload", backout.ErrInvalid)
	}
	return l.fakeLog.Append(ctx, id, expected, rec)
}

// TestWhatIsTooLargeTogetherIsAppendedApart: many inputs at once must not fail each
// other, and one that is too large by itself fails alone.
func TestWhatIsTooLargeTogetherIsAppendedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &small{most: 3}
		log.takes = time.Millisecond
		table, _ := counter(log)
		var all sync.WaitGroup
		all.Go(func() { _, _ = table.transact(t.Context(), "a", add) })
		synctest.Wait() // it is being appended, the others gather
		for range 10 {
			all.Go(func() {
				if _, err := table.transact(t.Context(), "a", add); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			_, err := table.transact(t.Context(), "a", func(n int, at time.Time) ([]backout.Event, error) {
				return []backout.Event{backout.Paused{}, backout.Paused{}, backout.Paused{}, backout.Paused{}}, nil
			})
			if !errors.Is(err, backout.ErrInvalid) {
				t.Errorf("what no record holds: %v", err)
			}
		})
		all.Wait()
		if n, _ := table.get("a"); n != 11 {
			t.Errorf("%d events, want 11", n)
		}
	})
}

var errTooMany = errors.New("too many")

func TestConcurrentTransactsShareRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{takes: time.Millisecond}
		table, _ := counter(log)
		var all sync.WaitGroup
		var refused, ended int
		var mu sync.Mutex
		for range 100 {
			all.Go(func() {
				// Each sees what those before it in the same record made true.
				state, err := table.transact(t.Context(), "a", func(n int, at time.Time) ([]backout.Event, error) {
					if n >= 60 {
						return nil, errTooMany
					}
					return add(n, at)
				})
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, errTooMany) {
					refused++
				} else if err == nil && state > 0 {
					ended++
				}
			})
		}
		all.Wait()
		if ended != 60 || refused != 40 {
			t.Errorf("%d went through and %d were refused, want 60 and 40", ended, refused)
		}
		if log.appends > 3 {
			t.Errorf("%d appends, want at most 3", log.appends)
		}
		if n, ok := table.get("a"); n != 60 || !ok {
			t.Errorf("state %d", n)
		}
	})
}

func TestLostRaceIsDecidedAnewOnWhatTheOthersDid(t *testing.T) {
	log := &fakeLog{}
	log.put("a", backout.Record{By: "other", Events: []backout.Event{backout.Paused{}, backout.Paused{}}})
	table, moves := counter(log)
	var saw []int
	n, err := table.transact(t.Context(), "a", func(n int, at time.Time) ([]backout.Event, error) {
		saw = append(saw, n)
		return add(n, at)
	})
	if err != nil || n != 3 {
		t.Errorf("state %d, %v", n, err)
	}
	if diff := cmp.Diff([]int{0, 2}, saw); diff != "" {
		t.Errorf("decided on (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]move{{0, 2, false}, {2, 3, true}}, *moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
}

func TestRefusedAppendChangesNothingAndIsTold(t *testing.T) {
	log := &fakeLog{err: backout.ErrUnavailable}
	table, moves := counter(log)
	if _, err := table.transact(t.Context(), "a", add); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if _, ok := table.get("a"); ok || len(*moves) > 0 {
		t.Errorf("and yet it moved: %v", *moves)
	}
}

// TestLostAnswer: the record stands in the log, so what it asks for is this
// server's to carry out, whichever way it learns of it.
func TestLostAnswer(t *testing.T) {
	for name, learn := range map[string]func(*table[int], *fakeLog){
		"from the follower": func(table *table[int], log *fakeLog) {
			table.replayed(t.Context(), log.entries[0], true)
		},
		"from the next append": func(table *table[int], log *fakeLog) {
			log.err = nil
			_, _ = table.transact(t.Context(), "a", func(int, time.Time) ([]backout.Event, error) {
				if n, _ := table.get("a"); n > 0 {
					return nil, nil
				}
				return add(0, time.Time{})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := &fakeLog{err: backout.ErrUnavailable, lose: true}
			table, moves := counter(log)
			if _, err := table.transact(t.Context(), "a", add); !errors.Is(err, backout.ErrUnavailable) {
				t.Fatalf("error %v", err)
			}
			learn(table, log)
			if diff := cmp.Diff([]move{{0, 1, true}}, *moves); diff != "" {
				t.Errorf("moves (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadersDoNotWaitForAnAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		table, _ := counter(log)
		if _, err := table.transact(t.Context(), "a", add); err != nil {
			t.Fatal(err)
		}
		log.takes = time.Minute
		done := make(chan error)
		go func() { _, err := table.transact(t.Context(), "a", add); done <- err }()
		synctest.Wait()
		began := time.Now()
		n, ok := table.get("a")
		table.all(func(string, int) {})
		if n != 1 || !ok || time.Since(began) > 0 {
			t.Errorf("read %d after %s", n, time.Since(began))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRecordIsFoldedOnce(t *testing.T) {
	log := &fakeLog{}
	table, moves := counter(log)
	if _, err := table.transact(t.Context(), "a", add); err != nil {
		t.Fatal(err)
	}
	if table.replayed(t.Context(), log.entries[0], true) {
		t.Error("its own record was new to it")
	}
	if n, _ := table.get("a"); n != 1 || len(*moves) != 1 {
		t.Errorf("state %d, moves %v", n, *moves)
	}
}

func TestGivingUpDoesNotEndOthersInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{takes: time.Second}
		table, _ := counter(log)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _, _ = table.transact(ctx, "a", add) })
		synctest.Wait()
		all.Go(func() {
			if _, err := table.transact(t.Context(), "a", add); err != nil {
				t.Errorf("the second: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		all.Wait()
		if n, _ := table.get("a"); n != 2 {
			t.Errorf("state %d, want 2", n)
		}
	})
}
