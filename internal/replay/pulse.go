package replay

import (
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// pulse remembers what is known beforehand of judging the same alert again, so that
// judging every few seconds what is red for hours costs next to nothing.
type pulse struct {
	// list is what fires on targets of live changes; stale says that it must be made
	// anew.
	list  []*judged
	stale bool
	// turns counts what has happened to changes and rollbacks, fires what has begun
	// and ended to fire.
	turns, fires uint64
	// every is set when somebody looks at each judging: then none is left out.
	every bool
	// judging is the alert that is being judged; tried, on what the answers of the
	// rules rest that were tried on it; settled, of which nothing new can follow.
	judging *backout.Alert
	tried   rules.Reads
	settled func(rule string, c *backout.Change, target string, a *backout.Alert) (settled bool, reads rules.Reads)
}

// judged is an alert with what its last judging rested on.
type judged struct {
	alert        *backout.Alert
	done         bool
	reads        rules.Reads
	turns, fires uint64
}

// again tells whether judging it again may say anything else.
func (p *pulse) again(j *judged) bool {
	return p.every || !j.done || j.reads.Time || j.turns != p.turns || j.reads.Evidence && j.fires != p.fires
}

// Settled implements rules.Settler.
func (w *world) Settled(rule string, c *backout.Change, target, _ string) bool {
	if w.judging == nil || w.every {
		return false
	}
	settled, reads := w.settled(rule, c, target, w.judging)
	if !settled {
		w.tried.Time = w.tried.Time || reads.Time
		w.tried.Evidence = w.tried.Evidence || reads.Evidence
	}
	return settled
}

// redOnLive lists what fires on targets of live changes, with what is remembered of
// it.
func (w *world) redOnLive() []*judged {
	if !w.stale {
		return w.list
	}
	known := make(map[*backout.Alert]*judged, len(w.list))
	for _, j := range w.list {
		known[j.alert] = j
	}
	w.list, w.stale = nil, false
	for _, target := range slices.Sorted(maps.Keys(w.redLive)) {
		for _, a := range w.table.Red(target) {
			j := known[a]
			if j == nil {
				j = &judged{alert: a}
			}
			w.list = append(w.list, j)
		}
	}
	return w.list
}
