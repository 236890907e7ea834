package replay

import (
	"cmp"
	"slices"
	"time"
)

// Kind says how two rule sets differ on a target of a change.
type Kind string

// The values of [Kind], seen from the first set.
const (
	// OnlyHere and OnlyThere are rollbacks that one of the sets would not open.
	OnlyHere  Kind = "only here"
	OnlyThere Kind = "only there"
	// Earlier and Later are rollbacks that both open, at other times.
	Earlier Kind = "earlier"
	Later   Kind = "later"
	// Otherwise are those that both open at one time, with another approval, another
	// first level, or waiting for another time.
	Otherwise Kind = "otherwise"
)

// Difference is what two rule sets would have done otherwise to targets of a change.
type Difference struct {
	Kind     Kind     `json:"kind"`
	ChangeID string   `json:"change_id"`
	Targets  []string `json:"targets"`
	Here     *Row     `json:"here,omitempty"`
	There    *Row     `json:"there,omitempty"`
}

// Differences compares the rollbacks that two sets would have opened over the same
// history, target by target: the first of each on every target. Targets that differ
// in the same way are one difference.
func Differences(here, there Report) []Difference {
	first, second := firsts(here.Rows), firsts(there.Rows)
	type pair struct{ here, there *Row }
	found := map[pair]*Difference{}
	list := []*Difference{}
	note := func(at place, h, t *Row) {
		kind := compare(h, t)
		if kind == "" {
			return
		}
		d := found[pair{h, t}]
		if d == nil {
			d = &Difference{Kind: kind, ChangeID: at.change, Here: h, There: t}
			found[pair{h, t}] = d
			list = append(list, d)
		}
		d.Targets = append(d.Targets, at.target)
	}
	for at, h := range first {
		note(at, h, second[at])
	}
	for at, t := range second {
		if first[at] == nil {
			note(at, nil, t)
		}
	}
	out := make([]Difference, len(list))
	for i, d := range list {
		slices.Sort(d.Targets)
		out[i] = *d
	}
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(a.at().Compare(b.at()), cmp.Compare(a.ChangeID, b.ChangeID), cmp.Compare(a.Targets[0], b.Targets[0]))
	})
	return out
}

// at is the earlier of the two times.
func (d Difference) at() time.Time {
	if d.Here == nil || d.There != nil && d.There.At.Before(d.Here.At) {
		return d.There.At
	}
	return d.Here.At
}

type place struct{ change, target string }

// firsts are the first rollbacks by change and target.
func firsts(rows []Row) map[place]*Row {
	out := map[place]*Row{}
	for i := range rows {
		if rows[i].RollbackID == "" {
			continue
		}
		for _, target := range rows[i].Targets {
			if at := (place{rows[i].ChangeID, target}); out[at] == nil {
				out[at] = &rows[i]
			}
		}
	}
	return out
}

func compare(here, there *Row) Kind {
	switch {
	case there == nil:
		return OnlyHere
	case here == nil:
		return OnlyThere
	case here.At.Before(there.At):
		return Earlier
	case here.At.After(there.At):
		return Later
	case here.Level != there.Level, (here.AskFirst == "") != (there.AskFirst == ""), !here.StartAfter.Equal(there.StartAfter):
		return Otherwise
	}
	return ""
}
