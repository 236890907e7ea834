package rules

import "slices"

// index finds the rules that an alert's labels do not rule out.
//
// Every rule hangs off one label that it demands, under each value that it
// takes; rules without a demand are looked at for every alert. A label that an
// alert lacks reads as empty, so rules that demand the empty value are found by
// absence.
type index struct {
	// labels are those that some rule hangs off, and postings the rules by value, in
	// the same order; byLabel finds the place of one.
	labels   []string
	postings []map[string][]int32
	byLabel  map[string]int
	// absent are the places of the labels under which some rule demands the empty
	// value.
	absent []int
	rest   []int32
}

// newIndex hangs each rule where the fewest others hang. Most alerts lack most
// labels, so the empty value is the last to choose.
func newIndex(demands [][]demand) *index {
	counts := map[demandKey]int{}
	for _, list := range demands {
		for _, d := range list {
			for _, v := range d.values {
				counts[demandKey{d.label, v}]++
			}
		}
	}
	x := &index{byLabel: map[string]int{}}
	for i, list := range demands {
		best, cost := -1, 0
		for j, d := range list {
			sum := 0
			for _, v := range d.values {
				if sum += counts[demandKey{d.label, v}]; v == "" {
					sum += len(demands)
				}
			}
			if best < 0 || sum < cost {
				best, cost = j, sum
			}
		}
		if best < 0 {
			x.rest = append(x.rest, int32(i))
			continue
		}
		x.add(list[best], int32(i))
	}
	return x
}

type demandKey struct{ label, value string }

func (x *index) add(d demand, rule int32) {
	place, known := x.byLabel[d.label]
	if !known {
		place = len(x.labels)
		x.byLabel[d.label] = place
		x.labels, x.postings = append(x.labels, d.label), append(x.postings, map[string][]int32{})
	}
	posts := x.postings[place]
	for _, v := range d.values {
		// Rules come in order, so a value listed twice shows at the end.
		if at := posts[v]; len(at) == 0 || at[len(at)-1] != rule {
			posts[v] = append(at, rule)
		}
	}
	if slices.Contains(d.values, "") && !slices.Contains(x.absent, place) {
		x.absent = append(x.absent, place)
	}
}

// candidates appends the rules that may match, in the order of the set. Each
// comes once: a rule hangs off one label only.
func (x *index) candidates(labels map[string]string, list []int32) []int32 {
	list = append(list, x.rest...)
	if len(x.labels) <= len(labels) {
		for place, name := range x.labels {
			list = append(list, x.postings[place][labels[name]]...)
		}
	} else {
		list = x.byAlert(labels, list)
	}
	slices.Sort(list)
	return list
}

// byAlert goes by the alert's labels, where rules hang off more than it has.
func (x *index) byAlert(labels map[string]string, list []int32) []int32 {
	for name, value := range labels {
		if place, ok := x.byLabel[name]; ok && value != "" {
			list = append(list, x.postings[place][value]...)
		}
	}
	for _, place := range x.absent {
		if labels[x.labels[place]] == "" {
			list = append(list, x.postings[place][""]...)
		}
	}
	return list
}
