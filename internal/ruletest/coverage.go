package ruletest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// Coverage is how much of some rules tests have seen: of each condition whether it
// was seen to hold, and to fail.
type Coverage struct {
	// Seen counts the outcomes that were seen, of Outcomes: two for each condition.
	Seen     int `json:"seen"`
	Outcomes int `json:"outcomes"`
	// Percent is Seen of Outcomes, 0 to 100; 100 where there are no rules.
	Percent  float64        `json:"percent"`
	Branches []rules.Branch `json:"branches"`
}

// together puts what was seen of the same rules by several files into one.
func together(parts ...Coverage) Coverage {
	type place struct {
		file         string
		line, column int
		kind, text   string
	}
	c := Coverage{Branches: []rules.Branch{}}
	at := map[place]int{}
	for _, part := range parts {
		for _, b := range part.Branches {
			p := place{b.File, b.Line, b.Column, b.Kind, b.Text}
			i, ok := at[p]
			if !ok {
				at[p] = len(c.Branches)
				c.Branches = append(c.Branches, b)
				continue
			}
			known := &c.Branches[i]
			known.Held, known.Failed = known.Held || b.Held, known.Failed || b.Failed
		}
	}
	slices.SortStableFunc(c.Branches, func(a, b rules.Branch) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, b := range c.Branches {
		c.Outcomes += 2
		for _, seen := range []bool{b.Held, b.Failed} {
			if seen {
				c.Seen++
			}
		}
	}
	c.Percent = 100
	if c.Outcomes > 0 {
		c.Percent = 100 * float64(c.Seen) / float64(c.Outcomes)
	}
	return c
}

// Missing lists the conditions that tests did not see both hold and fail.
func (c *Coverage) Missing() []rules.Branch {
	return slices.DeleteFunc(slices.Clone(c.Branches), func(b rules.Branch) bool { return b.Held && b.Failed })
}

// watch sees what the rules of a file are asked, and what follows.
type watch struct {
	rules *rules.Coverage
}

func newWatch(f *File) *watch { return &watch{rules.NewCoverage(f.set, f.rules)} }

func (w *watch) judged(a *backout.Alert, world rules.World, at time.Time) {
	w.rules.Observe(a, world, at)
}

// followed sees which part of a throttle stopped a rule: the reason names its key. A
// rule in shadow is told what would have stopped it.
func (w *watch) followed(e replay.Event) {
	if e.Error != "" || e.Cancelled {
		return
	}
	acts := e.Do == trigger.Open || e.Do == trigger.Record && e.Verdict.Stopped == ""
	for _, part := range []string{"at_least", "once_within", "latch"} {
		switch {
		case strings.Contains(e.Verdict.Stopped+e.AskFirst, part+":"):
			w.rules.Throttled(e.Verdict.Rule, part, false)
		case acts:
			w.rules.Throttled(e.Verdict.Rule, part, true)
		}
	}
}

func (w *watch) coverage() Coverage { return Coverage{Branches: w.rules.Branches()} }
