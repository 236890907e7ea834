package engine

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// largeDeltas has a delta of 1 MiB under every digest.
type largeDeltas struct{ asked int }

func (l *largeDeltas) Get(context.Context, string) ([]byte, error) {
	l.asked++
	return json.Marshal(backout.Delta{Manager: strings.Repeat("x", 1<<20)})
}

// TestFoundIsBoundByItsSize: a thousand deltas may take more than there is memory.
func TestFoundIsBoundByItsSize(t *testing.T) {
	f, from := newFound(), &largeDeltas{}
	for i := range 100 {
		for range 2 {
			if d, err := f.delta(t.Context(), from, strconv.Itoa(i)); err != nil || len(d.Manager) != 1<<20 {
				t.Fatal(err)
			}
		}
	}
	if from.asked != 100 {
		t.Errorf("read %d times", from.asked)
	}
	if n := len(f.deltas.known); n > foundBytes>>20 {
		t.Errorf("%d MiB are remembered", n)
	}
}
