package trigger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// TestDecide: what stands first counts, and says in words why.
func TestDecide(t *testing.T) {
	ref := func(id, target string, status backout.RollbackStatus) backout.RollbackRef {
		return backout.RollbackRef{ID: id, Targets: []string{target}, Status: status, RequestedAt: at(-5), Rule: "R"}
	}
	for name, tc := range map[string]struct {
		with func(c *Case)
		want Next
	}{
		"a rule in mode auto opens": {func(*Case) {}, Next{Do: Open, Targets: []string{"a"}}},
		"not live": {
			func(c *Case) { c.Change.State = backout.ChangeClosed },
			Next{Do: Nothing, Stopped: "the change is closed, not open or watching", Moot: true},
		},
		"shadow": {func(c *Case) { c.Verdict.Mode = backout.ModeShadow }, Next{Do: Record}},
		"shadow, as it is not promoted": {
			func(c *Case) { c.Verdict.Mode, c.Verdict.Stopped = backout.ModeShadow, "nobody has promoted it" },
			Next{Do: Record, Stopped: "nobody has promoted it"},
		},
		"shadow, and the throttle": {
			func(c *Case) {
				c.Verdict.Mode, c.Verdict.Stopped = backout.ModeShadow, "nobody has promoted it"
				c.Throttle = backout.Throttle{AtLeast: 2, Within: minutes(1)}
			},
			Next{Do: Record, Stopped: "nobody has promoted it; at_least: 1 of 2 alerts within 1m", Moot: true},
		},
		"shadow, while it is rolled back": {
			func(c *Case) {
				c.Verdict.Mode, c.Change.Rollbacks = backout.ModeShadow, []backout.RollbackRef{ref("r1", "a", backout.RollbackRunning)}
			},
			Next{Do: Record, Stopped: "a is being rolled back by r1", Moot: true},
		},
		"evidence": {
			func(c *Case) { c.Change.Rollbacks = []backout.RollbackRef{ref("r1", "a", backout.RollbackHeld)} },
			Next{Do: Evidence, RollbackID: "r1", Stopped: "a is being rolled back by r1", Moot: true},
		},
		"taken back": {
			func(c *Case) { c.Change.Rollbacks = []backout.RollbackRef{ref("r1", "a", backout.RollbackAborted)} },
			Next{Do: Nothing, Stopped: "a was already rolled back by r1: a person may start another", Moot: true},
		},
		"once within": {
			func(c *Case) {
				c.Change.Rollbacks, c.Throttle.OnceWithin = []backout.RollbackRef{ref("r1", "b", backout.RollbackRunning)}, minutes(30)
			},
			Next{Do: Record, Stopped: "once_within: it acted at 2026-03-01T21:55:00Z, and not again before 2026-03-01T22:25:00Z", Moot: true},
		},
		"once within is over": {
			func(c *Case) {
				c.Change.Rollbacks, c.Throttle.OnceWithin = []backout.RollbackRef{ref("r1", "b", backout.RollbackRunning)}, minutes(5)
			},
			Next{Do: Open, Targets: []string{"a"}},
		},
		"a cancelled rollback was no act": {
			func(c *Case) {
				c.Change.Rollbacks, c.Throttle = []backout.RollbackRef{ref("r1", "b", backout.RollbackCancelled)}, backout.Throttle{OnceWithin: minutes(30), Latch: true}
			},
			Next{Do: Open, Targets: []string{"a"}},
		},
		"latch": {
			func(c *Case) {
				c.Change.Rollbacks, c.Throttle.Latch = []backout.RollbackRef{ref("r1", "b", backout.RollbackRecovered)}, true
			},
			Next{Do: Open, Targets: []string{"a"}, AskFirst: "latch: a rollback of C1 has begun with L1 before"},
		},
		"latch of another level": {
			func(c *Case) {
				c.Change.Rollbacks, c.Throttle.Latch, c.Verdict.StartAt = []backout.RollbackRef{ref("r1", "b", backout.RollbackRecovered)}, true, "L2"
			},
			Next{Do: Open, Targets: []string{"a"}, StartAt: 1},
		},
		"ask": {
			func(c *Case) { c.Verdict.Mode = backout.ModeAsk },
			Next{Do: Open, Targets: []string{"a"}, AskFirst: "rule R is in mode ask"},
		},
		"a level that is not there": {
			func(c *Case) { c.Verdict.StartAt = "L7" },
			Next{Do: Open, Targets: []string{"a"}, AskFirst: "rule R wants to start at L7, which plan web does not have"},
		},
		"scope change leaves out what is rolled back": {
			func(c *Case) {
				c.Verdict.Scope, c.Change.Rollbacks = backout.ScopeChange, []backout.RollbackRef{ref("r1", "b", backout.RollbackRecovered)}
			},
			Next{Do: Open, Targets: []string{"a"}},
		},
		"for": {
			func(c *Case) { c.Verdict.For = minutes(2) },
			Next{Do: Open, Targets: []string{"a"}, StartAfter: at(2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := red(0, "a", "f1", backout.Throttle{})
			tc.with(&c)
			b := NewBook()
			b.Matched(c)
			if diff := cmp.Diff(tc.want, Decide(c, b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What other changes tell counts with per: rule only.
func TestPerRuleCountsAllChanges(t *testing.T) {
	for _, per := range []backout.Per{backout.PerChange, backout.PerRule} {
		b := NewBook()
		th := backout.Throttle{AtLeast: 2, Within: minutes(10), OnceWithin: minutes(30), Per: per}
		other := red(0, "a", "f1", th)
		other.Verdict.ChangeID, other.Change.ID = "C2", "C2"
		b.Matched(other)
		c := red(1, "b", "f2", th)
		b.Matched(c)
		if got := Decide(c, b); (got.Do == Open) != (per == backout.PerRule) {
			t.Errorf("per %s: at_least: %+v", per, got)
		}
		th.AtLeast, c.Throttle.AtLeast = 0, 0
		b.Acted(other.Verdict, 0, at(0))
		if got := Decide(c, b); (got.Do == Open) != (per == backout.PerChange) {
			t.Errorf("per %s: once_within: %+v", per, got)
		}
		b.Cancelled(other.Verdict, 0, at(0))
		if got := Decide(c, b); got.Do != Open {
			t.Errorf("per %s: after it was cancelled: %+v", per, got)
		}
	}
}

// A match on a target that is rolled back, or was, counts for nothing.
func TestMatchesOnTakenTargetsDoNotCount(t *testing.T) {
	for _, status := range []backout.RollbackStatus{backout.RollbackRunning, backout.RollbackRecovered} {
		b, th := NewBook(), backout.Throttle{AtLeast: 2, Within: minutes(10)}
		reboots := red(0, "a", "f1", th)
		reboots.Change.Rollbacks = []backout.RollbackRef{{ID: "r1", Targets: []string{"a"}, Status: status}}
		b.Matched(reboots)
		if got := Decide(red(1, "b", "f2", th), b); got.Do != Record {
			t.Errorf("%s: %+v", status, got)
		}
	}
}

// What a rule matched by what it said before says nothing of what it says now.
func TestMatchesOfOtherContentDoNotCount(t *testing.T) {
	b, th := NewBook(), backout.Throttle{AtLeast: 2, Within: minutes(10)}
	matched := func(hash, target string) Next {
		c := red(1, target, "f", th)
		c.Verdict.RuleHash = hash
		b.Matched(c)
		return Decide(c, b)
	}
	matched("before", "a")
	b.Recall(backout.Verdict{Rule: "R", RuleHash: "before", ChangeID: "C1", Target: "d", Fingerprint: "f"}, th, at(0), at(1))
	if next := matched("now", "b"); next.Do != Record {
		t.Errorf("counted what was matched before: %+v", next)
	}
	if next := matched("now", "c"); next.Do != Open {
		t.Errorf("%+v", next)
	}
}

// Every key of a throttle makes a difference.
func TestEveryKeyOfAThrottleBites(t *testing.T) {
	whole := backout.Throttle{OnceWithin: minutes(30), AtLeast: 3, Within: minutes(10), Per: backout.PerRule, Latch: true}
	story := func(th backout.Throttle) (out []Next) {
		b, changes := NewBook(), map[string]*backout.Change{"C1": open2(), "C2": open2()}
		changes["C2"].ID = "C2"
		for i, step := range []struct {
			minute     int
			id, target string
		}{{0, "C1", "a"}, {6, "C1", "b"}, {8, "C2", "a"}, {9, "C2", "b"}, {25, "C1", "a"}, {26, "C1", "b"}, {27, "C2", "a"}, {39, "C2", "b"}, {40, "C2", "a"}, {41, "C2", "b"}} {
			c := red(step.minute, step.target, string(rune('a'+i)), th)
			c.Verdict.ChangeID, c.Change = step.id, changes[step.id]
			b.Matched(c)
			next := Decide(c, b)
			out = append(out, next)
			if next.Do == Open {
				c.Change.Rollbacks = append(c.Change.Rollbacks, backout.RollbackRef{
					ID: "r", Targets: []string{"other"}, Status: backout.RollbackRunning, Rule: "R", RequestedAt: c.Now, StartAt: next.StartAt,
				})
				b.Acted(c.Verdict, next.StartAt, c.Now)
			}
		}
		return out
	}
	want := story(whole)
	for key, without := range map[string]func(*backout.Throttle){
		"once_within": func(th *backout.Throttle) { th.OnceWithin = 0 }, "at_least": func(th *backout.Throttle) { th.AtLeast = 2 },
		"within": func(th *backout.Throttle) { th.Within = backout.Duration(time.Minute) }, "per": func(th *backout.Throttle) { th.Per = backout.PerChange },
		"latch": func(th *backout.Throttle) { th.Latch = false },
	} {
		th := whole
		without(&th)
		if cmp.Equal(want, story(th)) {
			t.Errorf("%s makes no difference", key)
		}
	}
}
