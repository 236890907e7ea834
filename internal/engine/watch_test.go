package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/store"
)

func TestWhoWatchesAllHearsOfEachUntilItStops(t *testing.T) {
	w := newWatchers()
	var heard, other []string
	stop := w.addAll(func(id string) { heard = append(heard, id) })
	w.addAll(func(id string) { other = append(other, id) })
	w.tell(store.Entry{ID: "r1"})
	w.tell(store.Entry{ID: "r2"})
	stop()
	w.tell(store.Entry{ID: "r3"})
	if d := cmp.Diff([]string{"r1", "r2"}, heard); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"r1", "r2", "r3"}, other); d != "" {
		t.Error(d)
	}
}
