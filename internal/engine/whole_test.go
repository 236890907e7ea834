package engine

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

// TestWholeDecisionIsMadeOnTheWholeLog: what another server has appended to some
// other id is seen before the decision stands.
func TestWholeDecisionIsMadeOnTheWholeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		table, _ := counter(log)
		others := log.put("b", backout.Record{By: "other", Events: []backout.Event{backout.Paused{}}})
		go func() {
			time.Sleep(10 * time.Millisecond) // the follower is behind
			table.replayed(t.Context(), others, true)
		}()
		var saw []bool
		_, err := table.transactWhole(t.Context(), "b", func() (decideFunc[int], error) {
			_, ok := table.get("b")
			saw = append(saw, ok)
			return add, nil
		})
		if err != nil || len(saw) != 2 || saw[0] || !saw[1] {
			t.Errorf("looked %v (%v), want once before and once after the other's record", saw, err)
		}
		if n, _ := table.get("b"); n != 2 || log.appends != 1 {
			t.Errorf("state %d after %d appends", n, log.appends)
		}
	})
}

func TestWholeDecisionThatIsRefusedAppendsNothing(t *testing.T) {
	log := &fakeLog{}
	table, _ := counter(log)
	_, err := table.transactWhole(t.Context(), "a", func() (decideFunc[int], error) { return nil, errTooMany })
	if !errors.Is(err, errTooMany) || log.appends != 0 {
		t.Errorf("%v after %d appends", err, log.appends)
	}
	refuse := func(int, time.Time) ([]backout.Event, error) { return nil, backout.ErrConflict }
	_, err = table.transactWhole(t.Context(), "a", func() (decideFunc[int], error) { return refuse, nil })
	if !errors.Is(err, backout.ErrConflict) || log.appends != 0 {
		t.Errorf("%v after %d appends", err, log.appends)
	}
}

func TestWholeDecisionEndsWhenNothingIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		log.put("b", backout.Record{By: "other", Events: []backout.Event{backout.Paused{}}})
		table, _ := counter(log)
		_, err := table.transactWhole(t.Context(), "a", func() (decideFunc[int], error) { return add, nil })
		if !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
}

// Many at once take their turn: none is refused, and none is decided twice.
func TestManyWholeDecisionsTakeTheirTurn(t *testing.T) {
	log := &fakeLog{}
	table, _ := counter(log)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			_, err := table.transactWhole(t.Context(), "a", func() (decideFunc[int], error) { return add, nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n, _ := table.get("a"); n != 200 || log.appends != 200 {
		t.Errorf("state %d after %d appends", n, log.appends)
	}
}

// What this server thinks of an id is held against the store: it waits for what it
// has not heard, and fails where it does not come or the store does not answer.
func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{}
		table, _ := counter(log)
		if err := table.confirm(t.Context(), "a"); err != nil {
			t.Errorf("of nothing: %v", err)
		}
		others := log.put("a", backout.Record{By: "other", Events: []backout.Event{backout.Paused{}}})
		if err := table.confirm(t.Context(), "a"); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("a record that this server does not hear of: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			table.replayed(t.Context(), others, true)
		}()
		if err := table.confirm(t.Context(), "a"); err != nil {
			t.Errorf("a record that comes: %v", err)
		}
		if n, _ := table.get("a"); n != 1 {
			t.Error("confirmed before it was folded")
		}
		log.err = backout.ErrUnavailable
		if err := table.confirm(t.Context(), "a"); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("a store that does not answer: %v", err)
		}
	})
}

// Of two that arm one key at once the newer state counts, whoever comes last.
func TestArmAsksUnderTheLock(t *testing.T) {
	d := newDeadlines()
	var at atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			at.Add(1)
			d.arm("a", func() (time.Time, bool) { return time.Unix(at.Load(), 0), true })
		})
	}
	all.Wait()
	if got := d.byKey["a"].at; !got.Equal(time.Unix(100, 0)) {
		t.Errorf("armed for %v, want the last state", got)
	}
}
