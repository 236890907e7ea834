package evidence

import (
	"slices"
	"time"
)

// ControlGroup counts red targets by when they turned red. Every rule that
// compares patched with unpatched targets asks for that number, for every alert,
// while thousands of targets may be red: so it is kept, not counted anew.
type ControlGroup struct {
	starts []time.Time // sorted
	byName map[string]time.Time
}

// NewControlGroup counts targets by when they turned red, all at once.
func NewControlGroup(red map[string]time.Time) ControlGroup {
	g := ControlGroup{starts: make([]time.Time, 0, len(red)), byName: red}
	for _, start := range red {
		g.starts = append(g.starts, start)
	}
	slices.SortFunc(g.starts, time.Time.Compare)
	return g
}

// Set notes since when a target of the group is red, or with red false that it is
// green or not of the group.
func (g *ControlGroup) Set(target string, since time.Time, red bool) {
	old, was := g.byName[target]
	if was == red && (!was || old.Equal(since)) {
		return
	}
	if was {
		i := g.place(old)
		g.starts = slices.Delete(g.starts, i, i+1)
		delete(g.byName, target)
	}
	if !red {
		return
	}
	if g.byName == nil {
		g.byName = map[string]time.Time{}
	}
	g.byName[target] = since
	g.starts = slices.Insert(g.starts, g.place(since), since)
}

// Since is how many targets turned red at the time or after it.
func (g *ControlGroup) Since(start time.Time) int { return len(g.starts) - g.place(start) }

// place is that of the first start that is not before the time.
func (g *ControlGroup) place(at time.Time) int {
	i, _ := slices.BinarySearchFunc(g.starts, at, time.Time.Compare)
	return i
}
