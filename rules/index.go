package rules

import "slices"

// index finds the rules that an alert's labels do not rule out.
//
// Every rule hangs off one label that it demands, under each value that it
// takes; rules without a demand are looked at for every alert. A label that an
// alert lacks reads as empty, so rules that demand the empty value are found by
// absence.
type index struct {
	byLabel map[string]map[string][]int32
	// absent are the labels under which some rule demands the empty value.
	absent []string
	rest   []int32
}

// newIndex hangs each rule where the fewest others hang.
func newIndex(demands [][]demand) *index {
	counts := map[demandKey]int{}
	for _, list := range demands {
		for _, d := range list {
			for _, v := range d.values {
				counts[demandKey{d.label, v}]++
			}
		}
	}
	x := &index{byLabel: map[string]map[string][]int32{}}
	for i, list := range demands {
		best, cost := -1, 0
		for j, d := range list {
			sum := 0
			for _, v := range d.values {
				sum += counts[demandKey{d.label, v}]
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
	posts := x.byLabel[d.label]
	if posts == nil {
		posts = map[string][]int32{}
		x.byLabel[d.label] = posts
	}
	for _, v := range d.values {
		// Rules come in order, so a value listed twice shows at the end.
		if at := posts[v]; len(at) == 0 || at[len(at)-1] != rule {
			posts[v] = append(at, rule)
		}
	}
	if slices.Contains(d.values, "") && !slices.Contains(x.absent, d.label) {
		x.absent = append(x.absent, d.label)
	}
}

// candidates appends the rules that may match, in the order of the set. Each
// comes once: a rule hangs off one label only.
func (x *index) candidates(labels map[string]string, list []int32) []int32 {
	list = append(list, x.rest...)
	for name, value := range labels {
		if value == "" {
			continue
		}
		if posts, ok := x.byLabel[name]; ok {
			list = append(list, posts[value]...)
		}
	}
	for _, name := range x.absent {
		if labels[name] == "" {
			list = append(list, x.byLabel[name][""]...)
		}
	}
	slices.Sort(list)
	return list
}
