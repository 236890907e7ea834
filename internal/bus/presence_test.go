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

// Whoever has not started does nothing: others must not wait for it.
func TestPresenceOfAServerThatStarts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bustest.StartIn(t, dir)
		defer b.Close()
		one := announce(t, b, bus.PresenceOptions{Name: "one"})
		defer one.Close()
		var started atomic.Bool
		two := announce(t, b, bus.PresenceOptions{Name: "two", Ready: started.Load})
		defer two.Close()
		time.Sleep(10 * time.Second)
		if one.Alive("two") {
			t.Error("two counts as there while it starts")
		}
		started.Store(true)
		time.Sleep(2 * time.Second)
		if !one.Alive("two") {
			t.Error("two has started, and counts as gone")
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
