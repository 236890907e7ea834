package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/ui"
)

// overlapTargets is how many shared targets are named.
const overlapTargets = 3

// overlaps tells which changes are about the same target at the same time.
type overlaps struct {
	// spans are in the order of their beginnings; places are those of changes in it.
	spans  []span
	places map[string]int
	on     map[string]*line
}

// span is the time in which alerts count for a change, in Unix seconds.
type span struct {
	from, until int64
	change      *backout.Change
	// targets are the change's, each once.
	targets []string
}

// line are the changes on one target, in the order of the spans. latest are, for each,
// the latest end of it and all before it.
type line struct {
	of     []int
	latest []int64
}

// overlapsOf looks at changes whose windows are, were, or may yet be opened. For a
// change that is live, alerts count until now at least.
func overlapsOf(changes []*backout.Change, now time.Time) *overlaps {
	o := &overlaps{places: map[string]int{}, on: map[string]*line{}}
	for _, c := range changes {
		from, until := ui.BeginOf(c), ui.EndOf(c)
		if c.State.Live() && until.Before(now) {
			until = now
		}
		never := c.OpenedAt.IsZero() && (c.State == backout.ChangeCancelled || until.Before(now))
		if !from.IsZero() && from.Before(until) && !never {
			o.spans = append(o.spans, span{from: from.Unix(), until: until.Unix(), change: c})
		}
	}
	slices.SortStableFunc(o.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.change.ID, b.change.ID))
	})
	for i := range o.spans {
		s := &o.spans[i]
		o.places[s.change.ID] = i
		for _, target := range s.change.Targets {
			l, end := o.on[target], s.until
			if l == nil {
				l = &line{}
				o.on[target] = l
			}
			if n := len(l.of); n > 0 {
				if l.of[n-1] == i {
					continue // named twice
				}
				end = max(end, l.latest[n-1])
			}
			l.of, l.latest = append(l.of, i), append(l.latest, end)
			s.targets = append(s.targets, target)
		}
	}
	return o
}

// count is how many of the changes that are wanted overlap with another.
func (o *overlaps) count(wanted map[string]bool) int {
	found := map[int]bool{}
	for _, l := range o.on {
		for k, i := range l.of {
			before := k > 0 && l.latest[k-1] > o.spans[i].from
			after := k+1 < len(l.of) && o.spans[l.of[k+1]].from < o.spans[i].until
			if (before || after) && wanted[o.spans[i].change.ID] {
				found[i] = true
			}
		}
	}
	return len(found)
}

// first are the first pairs of which one is wanted, by when their first one begins; more
// tells that there are others.
func (o *overlaps) first(wanted map[string]bool, most int) (out []ui.Overlap, more bool) {
	for i := 0; i < len(o.spans) && len(out) <= most; i++ {
		g := gathered{o: o, i: i, most: most + 1 - len(out), at: map[int]int{}}
		for _, target := range o.spans[i].targets {
			o.after(i, target, func(j int, target string) {
				if wanted[o.spans[i].change.ID] || wanted[o.spans[j].change.ID] {
					g.add(j, target)
				}
			})
		}
		out = append(out, g.out...)
	}
	return out[:min(len(out), most)], len(out) > most
}

// with are the first overlaps of one change, and how many more there are.
func (o *overlaps) with(id string, most int) (out []ui.Overlap, more int) {
	i, known := o.places[id]
	if !known {
		return nil, 0
	}
	g := gathered{o: o, i: i, most: most, at: map[int]int{}}
	for _, target := range o.spans[i].targets {
		o.before(i, target, g.add)
		o.after(i, target, g.add)
	}
	return g.out, g.more
}

// before finds those that began earlier and last until it begins, at least.
func (o *overlaps) before(i int, target string, found func(j int, target string)) {
	l := o.on[target]
	k, _ := slices.BinarySearch(l.of, i)
	for k--; k >= 0 && l.latest[k] > o.spans[i].from; k-- {
		if o.spans[l.of[k]].until > o.spans[i].from {
			found(l.of[k], target)
		}
	}
}

// after finds those that begin before it ends.
func (o *overlaps) after(i int, target string, found func(j int, target string)) {
	l := o.on[target]
	k, _ := slices.BinarySearch(l.of, i)
	for k++; k < len(l.of) && o.spans[l.of[k]].from < o.spans[i].until; k++ {
		found(l.of[k], target)
	}
}

// gathered are overlaps of the change at i, each with the targets that are shared.
type gathered struct {
	o    *overlaps
	i    int
	most int
	// at is where the overlap with a change stands in out, -1 when it is left out.
	at   map[int]int
	out  []ui.Overlap
	more int
}

func (g *gathered) add(j int, target string) {
	at, known := g.at[j]
	if !known {
		if at = len(g.out); at == g.most {
			at = -1
			g.more++
		} else {
			a, b := g.o.spans[g.i], g.o.spans[j]
			g.out = append(g.out, ui.Overlap{
				ID: a.change.ID, With: b.change.ID, From: time.Unix(max(a.from, b.from), 0).UTC(), Until: time.Unix(min(a.until, b.until), 0).UTC(),
			})
		}
		g.at[j] = at
	}
	if at < 0 {
		return
	}
	overlap := &g.out[at]
	if len(overlap.Targets) == overlapTargets {
		overlap.MoreTargets++
		return
	}
	overlap.Targets = append(overlap.Targets, target)
}
