package bus_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
)

func announce(t *testing.T, b *bus.Bus, o bus.PresenceOptions) *bus.Presence {
	t.Helper()
	p, err := b.Announce(o)
	if err != nil {
		t.Fatal(err)
	}
	p.Begin()
	return p
}

func TestPresence(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.StartIn(t, dir)
		defer b.Close()
		var namesakes atomic.Int32
		one := announce(t, b, bus.PresenceOptions{Name: "one", Namesake: func() { namesakes.Add(1) }})
		two := announce(t, b, bus.PresenceOptions{Name: "two"})
		if !one.Alive("stranger") {
			t.Error("right after the start it cannot be known who is gone")
		}
		time.Sleep(5 * time.Second)
		if one.Alive("stranger") || !one.Alive("two") || !one.Alive("one") {
			t.Errorf("alive: stranger %v, two %v, one %v", one.Alive("stranger"), one.Alive("two"), one.Alive("one"))
		}
		if got := one.Names(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("names %v", got)
		}
		if err := two.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if one.Alive("two") || !slices.Equal(one.Names(), []string{"one"}) {
			t.Error("two left, and is still thought to be there")
		}
		if n := namesakes.Load(); n != 0 {
			t.Errorf("%d namesakes heard", n)
		}
		again := announce(t, b, bus.PresenceOptions{Name: "one"})
		time.Sleep(2 * time.Second)
		if namesakes.Load() == 0 {
			t.Error("the other server of the same name was not noticed")
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A server that has lost its own connection hears nobody, and must not conclude
// anything from it.
func TestPresenceWithoutConnectionKnowsNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.StartIn(t, dir)
		one := announce(t, b, bus.PresenceOptions{Name: "one"})
		two := announce(t, b, bus.PresenceOptions{Name: "two"})
		time.Sleep(5 * time.Second)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !one.Alive("two") {
			t.Error("two counts as gone though nobody can be heard")
		}
		_, _ = one.Close(), two.Close()
	})
}

func TestPresenceOfAServerThatDied(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.StartIn(t, dir)
		defer b.Close()
		one := announce(t, b, bus.PresenceOptions{Name: "one", Every: 5 * time.Second})
		defer one.Close()
		if err := b.Say("two"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(19 * time.Second)
		if !one.Alive("two") {
			t.Error("gone after three missed announcements, want four")
		}
		time.Sleep(2 * time.Second)
		if one.Alive("two") {
			t.Error("four announcements stayed out, and it is still thought to be there")
		}
	})
}

// Who is there since when is told without comparing clocks; before Begin nobody
// counts on a server, and it knows nothing itself.
func TestPresenceBeginsLater(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.StartIn(t, dir)
		defer b.Close()
		one := announce(t, b, bus.PresenceOptions{Name: "one"})
		defer one.Close()
		began := time.Now()
		time.Sleep(time.Minute)
		two, err := b.Announce(bus.PresenceOptions{Name: "two"})
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		time.Sleep(10 * time.Second)
		if names := one.Names(); len(names) != 1 || two.Knows() {
			t.Errorf("before it began one hears %v, and it knows: %v", names, two.Knows())
		}
		two.Begin()
		time.Sleep(time.Second)
		if len(one.Names()) != 2 || two.Knows() {
			t.Errorf("right after it began one hears %v, and it knows: %v", one.Names(), two.Knows())
		}
		time.Sleep(5 * time.Second)
		if !two.Knows() || two.Since().Sub(began).Abs() > time.Second {
			t.Errorf("knows %v, somebody was there since %v, want %v", two.Knows(), two.Since(), began)
		}
	})
}
