package ui

import (
	"cmp"
	"slices"
)

// gateMaker gathers looks into a table.
type gateMaker struct {
	t GateTable
	// at is the column of a check at a level, columns how many there are.
	at      map[string]map[string]int
	columns int
	rows    map[string]int
	list    []GateRow
}

// column makes room for a check at a level.
func (m *gateMaker) column(level, check string) {
	checks := m.at[level]
	if checks == nil {
		checks = map[string]int{}
		m.at[level] = checks
		m.t.Levels = append(m.t.Levels, GateLevel{Name: level})
	}
	if _, known := checks[check]; !known {
		checks[check] = 0
		i := slices.IndexFunc(m.t.Levels, func(l GateLevel) bool { return l.Name == level })
		m.t.Levels[i].Checks = append(m.t.Levels[i].Checks, GateCheck{Name: check})
	}
}

// order puts the levels in the order of their lives, and numbers the columns.
func (m *gateMaker) order() {
	slices.SortStableFunc(m.t.Levels, func(a, b GateLevel) int {
		return cmp.Or(cmp.Compare(levelOrder(a.Name), levelOrder(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	for _, l := range m.t.Levels {
		for _, c := range l.Checks {
			m.at[l.Name][c.Name] = m.columns
			m.columns++
		}
	}
}

// add puts an answer into its cell; a no stays, whatever else is said of the same.
func (m *gateMaker) add(l *GateLook) {
	i, known := m.rows[l.Target]
	if !known {
		i = len(m.list)
		m.rows[l.Target] = i
		m.list = append(m.list, GateRow{Target: l.Target, Cells: make([]GateCell, m.columns)})
	}
	cell := &m.list[i].Cells[m.at[l.Level][l.Check]]
	switch {
	case !l.OK:
		*cell = GateNo
	case *cell == GateNone:
		*cell = GateYes
	}
}

// table counts, and keeps so many rows and names.
func (m *gateMaker) table(most int) GateTable {
	t := m.t
	nos := make([]int, len(m.list))
	for i, row := range m.list {
		column := 0
		for l := range t.Levels {
			for c := range t.Levels[l].Checks {
				switch row.Cells[column] {
				case GateNone:
				case GateYes:
					t.Levels[l].Checks[c].Yes++
					t.Cells++
				case GateNo:
					t.Levels[l].Checks[c].No++
					t.Cells++
					t.BadCells++
					nos[i]++
				}
				column++
			}
		}
	}
	worst := make([]int, 0, len(m.list))
	for i, n := range nos {
		if n > 0 {
			worst = append(worst, i)
			continue
		}
		if len(t.Yes) < 4*most {
			t.Yes = append(t.Yes, m.list[i].Target)
		} else {
			t.MoreYes++
		}
	}
	slices.SortStableFunc(worst, func(a, b int) int { return cmp.Compare(nos[b], nos[a]) })
	for _, i := range worst[:min(len(worst), most)] {
		t.Rows = append(t.Rows, m.list[i])
	}
	t.Targets, t.BadTargets, t.MoreRows = len(m.list), len(worst), len(worst)-len(t.Rows)
	return t
}

// Losses gathers what levels would lose, said once for all targets of which it is true;
// more is how many different ones are left out.
func Losses(looks []GateLook, most int) (list []Loss, more int) {
	type key struct{ level, loses string }
	at := map[key]int{}
	for _, l := range looks {
		if l.Loses == "" {
			continue
		}
		k := key{l.Level, l.Loses}
		i, known := at[k]
		if !known {
			i = len(list)
			at[k] = i
			list = append(list, Loss{Level: l.Level, Loses: l.Loses})
		}
		list[i].Targets = append(list[i].Targets, l.Target)
	}
	slices.SortStableFunc(list, func(a, b Loss) int { return cmp.Compare(levelOrder(a.Level), levelOrder(b.Level)) })
	return list[:min(len(list), most)], max(len(list)-most, 0)
}
