package trigger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

var t0 = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

func minutes(n int) backout.Duration { return backout.Duration(time.Duration(n) * time.Minute) }

// model answers as the package's doc says, from everything that it was ever told.
type model struct {
	throttles map[string]backout.Throttle
	told      []told
	acts      []acted
}

type told struct {
	rule, change string
	alert        seen
	starts, at   time.Time
}

type acted struct {
	rule, change string
	level        int
	at           time.Time
}

// first is when the alert first matched since it turned red, as of what was told
// until now; zero when it counts no more.
func (m *model) first(rule, change string, alert seen, now time.Time) time.Time {
	var first, last time.Time
	th := m.throttles[rule]
	for _, t := range m.told {
		if t.rule != rule || th.Per != backout.PerRule && t.change != change || t.alert != alert {
			continue
		}
		if first.IsZero() || first.Before(t.starts) || t.at.Sub(last) > max(Lapse, time.Duration(th.Within)) {
			first = t.at
		}
		last = t.at
	}
	if now.Sub(first) > time.Duration(th.Within) {
		return time.Time{}
	}
	return first
}

func (m *model) stops(c Case) string {
	th, counted := c.Throttle, map[seen]bool{{c.Verdict.Target, c.Verdict.Fingerprint}: true}
	for _, t := range m.told {
		if !m.first(c.Verdict.Rule, c.Change.ID, t.alert, c.Now).IsZero() {
			counted[t.alert] = true
		}
	}
	if th.AtLeast > 1 && len(counted) < th.AtLeast {
		return fmt.Sprintf("at_least: %d of %d alerts within %s", len(counted), th.AtLeast, th.Within)
	}
	var last time.Time
	for _, a := range m.acts {
		if a.rule == c.Verdict.Rule && (th.Per == backout.PerRule || a.change == c.Change.ID) && a.at.After(last) {
			last = a.at
		}
	}
	if again := last.Add(time.Duration(th.OnceWithin)); th.OnceWithin > 0 && !last.IsZero() && c.Now.Before(again) {
		return fmt.Sprintf("once_within: it acted at %s, and not again before %s", clock(last), clock(again))
	}
	return ""
}

func (m *model) latched(c Case, level int) bool {
	for _, a := range m.acts {
		if c.Throttle.Latch && a.change == c.Change.ID && a.level == level {
			return true
		}
	}
	return false
}

// TestBookIsTheModel: whatever is matched, opened, cancelled and forgotten in whatever
// order, the book says what one says that never forgets anything.
func TestBookIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		throttle := func(name string) backout.Throttle {
			return backout.Throttle{
				OnceWithin: minutes(rapid.SampledFrom([]int{0, 5, 30}).Draw(t, name+" once_within")), AtLeast: rapid.IntRange(0, 4).Draw(t, name+" at_least"),
				Within: minutes(rapid.SampledFrom([]int{1, 10, 15}).Draw(t, name+" within")), Per: rapid.SampledFrom([]backout.Per{"", backout.PerChange, backout.PerRule}).Draw(t, name+" per"),
				Latch: rapid.Bool().Draw(t, name+" latch"),
			}
		}
		m := &model{throttles: map[string]backout.Throttle{"A": throttle("A"), "B": throttle("B")}}
		b, now := NewBook(), t0
		starts := map[seen]time.Time{}
		pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "pick") }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 5, 30, 60, 240, 660, 1000}).Draw(t, "seconds")) * time.Second)
			alert := seen{pick("t1", "t2"), pick("f1", "f2")}
			if starts[alert].IsZero() || rapid.IntRange(0, 5).Draw(t, "again") == 0 {
				starts[alert] = now
			}
			rule, id := pick("A", "B"), pick("C1", "C2")
			c := Case{
				Verdict: backout.Verdict{Rule: rule, ChangeID: id, Target: alert.target, Fingerprint: alert.fingerprint, Mode: backout.ModeAuto},
				Alert:   &backout.Alert{StartsAt: starts[alert]}, Throttle: m.throttles[rule], Now: now,
				Change: &backout.Change{ChangeSpec: backout.ChangeSpec{ID: id}, State: backout.ChangeOpen},
			}
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				b.Forget(now)
			case 1:
				level := rapid.IntRange(0, 1).Draw(t, "level")
				b.Acted(c.Verdict, level, now)
				m.acts = append(m.acts, acted{rule, id, level, now})
			case 2:
				if n := len(m.acts); n > 0 {
					a := m.acts[n-1]
					b.Cancelled(backout.Verdict{Rule: a.rule, ChangeID: a.change}, a.level, a.at)
					m.acts = m.acts[:n-1]
					for i := len(m.acts) - 1; i >= 0; i-- { // the same told twice is one
						if m.acts[i] == a {
							m.acts = append(m.acts[:i], m.acts[i+1:]...)
						}
					}
				}
			default:
				b.Matched(c)
				m.told = append(m.told, told{rule: rule, change: id, alert: alert, starts: starts[alert], at: now})
			}
			if got, want := b.stops(c), m.stops(c); got != want {
				t.Fatalf("%s on %s at %s: %q, want %q", rule, id, now, got, want)
			}
			for level := range 2 {
				if got, want := b.latched(c, level) != "", m.latched(c, level); got != want {
					t.Fatalf("latch of level %d: %v, want %v", level, got, want)
				}
			}
		}
	})
}

// red is a case of rule R in mode auto on change C1, at a minute.
func red(minute int, target, fingerprint string, th backout.Throttle) Case {
	return Case{
		Verdict: backout.Verdict{Rule: "R", ChangeID: "C1", Target: target, Fingerprint: fingerprint, Mode: backout.ModeAuto},
		Alert:   &backout.Alert{StartsAt: at(minute)}, Throttle: th, Now: at(minute), Change: open2(),
	}
}

// open2 is an open change of two targets and two levels.
func open2() *backout.Change {
	return &backout.Change{
		ChangeSpec: backout.ChangeSpec{ID: "C1", Targets: []string{"a", "b"}}, State: backout.ChangeOpen,
		Frozen: &backout.FrozenPlan{Plan: backout.Plan{Name: "web", Levels: []backout.Level{{Name: "L1"}, {Name: "L2"}}}},
	}
}

// A restart makes of the log what there was: each first match counts from its own
// time, and one that goes on is not new.
func TestRecallMakesWhatThereWas(t *testing.T) {
	th := backout.Throttle{AtLeast: 3, Within: minutes(10)}
	old, young, fresh := red(0, "a", "f1", th), red(55, "a", "f2", th), red(60, "b", "f3", th)
	b := NewBook()
	for _, c := range []Case{old, young} {
		b.Recall(c.Verdict, th, c.Now, at(60))
	}
	old.Now, young.Now = at(60), at(60) // both fire still
	for _, c := range []Case{old, young, fresh} {
		b.Matched(c)
	}
	if got := Decide(fresh, b); got.Do != Record || got.Stopped != "at_least: 2 of 3 alerts within 10m" {
		t.Errorf("%+v", got)
	}
	third := red(61, "b", "f4", th)
	b.Matched(third)
	if got := Decide(third, b); got.Do != Open {
		t.Errorf("%+v", got)
	}
}

// Where there are more than a book holds the newest count, and one that had to go
// does not come back as new.
func TestBookIsBounded(t *testing.T) {
	b, th := NewBook(), backout.Throttle{AtLeast: 2, Within: minutes(10)}
	for i := range MaxMatches + 10 {
		c := red(0, "a", fmt.Sprint(i), th)
		c.Now = t0.Add(time.Duration(i) * time.Second / 10)
		c.Alert.StartsAt = c.Now
		b.Matched(c)
	}
	m := b.matches[scope{rule: "R", change: "C1"}]
	if _, ok := m.of[seen{"a", fmt.Sprint(MaxMatches + 9)}]; !ok || len(m.of) != MaxMatches {
		t.Fatalf("%d matches, the newest among them: %v", len(m.of), ok)
	}
	again := red(0, "a", "0", th)
	again.Now = at(2)
	b.Matched(again)
	if _, ok := m.of[seen{"a", "0"}]; ok {
		t.Error("an old alert took the place of a newer one")
	}
	b.Forget(at(60))
	if len(b.matches) != 0 {
		t.Errorf("%d remembered", len(b.matches))
	}
	b.Acted(backout.Verdict{Rule: "R", ChangeID: "C1"}, 0, t0)
	b.Forget(t0.Add(MaxOnceWithin + time.Second))
	if len(b.byRule) != 0 || len(b.byChange) != 0 {
		t.Error("an act is remembered for ever")
	}
}
