package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/rollback"
)

// everyStanding calls with a rollback of each way in which one can stand, also of those
// that the core never brings about.
func everyStanding(call func(r backout.Rollback)) {
	asks := []*backout.Ask{nil, {Level: 1}, {Level: 1, Deadline: now.Add(3 * time.Minute)}, {Level: 1, Deadline: now.Add(3 * time.Minute), DownAt: now}}
	for _, status := range []backout.RollbackStatus{
		backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting, backout.RollbackHeld,
		backout.RollbackAborting, backout.RollbackRecovered, backout.RollbackExhausted, backout.RollbackAborted, backout.RollbackCancelled,
	} {
		for _, ask := range asks {
			for bits := range 16 {
				r := backout.Rollback{ID: "r", Status: status, Frozen: plan(3), Ask: ask, Overdue: bits&1 != 0}
				if bits&2 != 0 {
					r.PausedAt, r.PausedBy = now, "ann"
				}
				if bits&4 != 0 {
					r.LevelDeadline = now.Add(2 * time.Minute)
				}
				if bits&8 != 0 {
					r.StartAfter = now.Add(time.Minute)
				}
				call(r)
			}
		}
	}
}

// TestAPageCountsToWhatTheCoreWaitsFor: however a rollback stands, the countdown is that
// of the clock by which the core moves it, and there is none where no clock does. That a
// question is asked anew is not counted down to: nothing happens to a target by it.
func TestAPageCountsToWhatTheCoreWaitsFor(t *testing.T) {
	everyStanding(func(r backout.Rollback) {
		want, _ := rollback.NextDeadline(r)
		if got := Due(&r); !got.Equal(want) {
			t.Errorf("%s, ask %+v, overdue %v, paused %v, level until %v, starts %v: due %v, and the core moves it at %v",
				r.Status, r.Ask, r.Overdue, !r.PausedAt.IsZero(), r.LevelDeadline, r.StartAfter, got, want)
		}
	})
}

// TestNoClockSaysWhatItWaitsFor: what is aborted ends with its steps, and what is overdue
// goes on after them; the clock of a level says nothing of either.
func TestNoClockSaysWhatItWaitsFor(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		r          backout.Rollback
		clock      bool
	}{
		{"aborted", "it ends with the steps that run", backout.Rollback{Status: backout.RollbackAborting, LevelDeadline: now.Add(time.Hour)}, false},
		{"aborted while it asked", "it ends with the steps that run", backout.Rollback{Status: backout.RollbackAborting, Ask: &backout.Ask{Level: 1, Deadline: now.Add(time.Hour)}}, false},
		{"overdue", "its time is up: it goes on when the steps that run have ended", backout.Rollback{Status: backout.RollbackRunning, Overdue: true, LevelDeadline: now.Add(-time.Minute)}, false},
		{"looked at after that", "L2 follows", backout.Rollback{Status: backout.RollbackVerifying, Overdue: true, LevelDeadline: now.Add(time.Minute)}, true},
		{"in time", "L2 follows", backout.Rollback{Status: backout.RollbackRunning, LevelDeadline: now.Add(time.Minute)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.ID, tt.r.Frozen = "r", plan(3)
			c := Card{Rollback: tt.r}
			if got := c.Next(); got != tt.want || c.Due().IsZero() == tt.clock {
				t.Errorf("%q, due %v, want %q and a clock: %v", got, c.Due(), tt.want, tt.clock)
			}
		})
	}
}

// TestALevelWhoseClockIsOverIsNotCountedAt: the ladder shows no time of it.
func TestALevelWhoseClockIsOverIsNotCountedAt(t *testing.T) {
	for _, status := range []backout.RollbackStatus{backout.RollbackAborting, backout.RollbackRunning} {
		c := Card{Rollback: backout.Rollback{Status: status, Overdue: true, Frozen: plan(2), LevelDeadline: now}}
		if rung := c.Ladder()[0]; !rung.Due.IsZero() {
			t.Errorf("%s: %s at %v", status, rung.DueSays, rung.Due)
		}
	}
}

// TestWhatNeedsNobodyIsNotFirst: a rollback that ends, or goes on, with the steps that run
// needs nobody, and stands behind what is due.
func TestWhatNeedsNobodyIsNotFirst(t *testing.T) {
	cards := []Card{
		{Rollback: backout.Rollback{ID: "aborted", Status: backout.RollbackAborting, Frozen: plan(3), LevelDeadline: now.Add(time.Second)}},
		{Rollback: backout.Rollback{ID: "overdue", Status: backout.RollbackRunning, Overdue: true, Frozen: plan(3), LevelDeadline: now.Add(-time.Minute)}},
		{Rollback: backout.Rollback{ID: "due", Status: backout.RollbackRunning, Frozen: plan(3), LevelDeadline: now.Add(time.Minute)}},
		{Rollback: backout.Rollback{ID: "paused", Status: backout.RollbackRunning, PausedAt: now, Frozen: plan(3), LevelDeadline: now.Add(time.Minute)}},
		{Rollback: backout.Rollback{ID: "untold", Status: backout.RollbackAwaiting, Frozen: plan(3), Ask: &backout.Ask{Level: 1, DownAt: now, Deadline: now.Add(time.Minute)}}},
	}
	SortCards(cards)
	var got []string
	for _, c := range cards {
		got = append(got, c.Rollback.ID)
	}
	if want := "paused untold due aborted overdue"; strings.Join(got, " ") != want {
		t.Errorf("order %s, want %s", strings.Join(got, " "), want)
	}
}
