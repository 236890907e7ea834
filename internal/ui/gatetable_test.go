package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTabulate: a target a row, the worst first; a check a column, below its level; a no
// stays whatever else is said of the same.
func TestTabulate(t *testing.T) {
	got := Tabulate([]GateLook{
		{Target: "c", Level: "L2", Check: "lvm", OK: true},
		{Target: "a", Check: "reachable", OK: true},
		{Target: "a", Level: "L1", Check: "dnf", OK: true},
		{Target: "b", Level: "L1", Check: "dnf"},
		{Target: "b", Level: "L1", Check: "dnf", OK: true},
		{Target: "d", Level: "L1", Check: "dnf"},
		{Target: "d", Level: "L2", Check: "lvm"},
		{Target: "d", Level: "L1", Check: "restart", OK: true},
		{Target: "a", Level: "baseline", Check: "snap", OK: true},
	}, 10)
	want := GateTable{
		Levels: []GateLevel{
			{"", []GateCheck{{"reachable", 1, 0}}},
			{"baseline", []GateCheck{{"snap", 1, 0}}},
			{"L1", []GateCheck{{"dnf", 1, 2}, {"restart", 1, 0}}},
			{"L2", []GateCheck{{"lvm", 1, 1}}},
		},
		Rows: []GateRow{
			{"d", []GateCell{GateNone, GateNone, GateNo, GateYes, GateNo}},
			{"b", []GateCell{GateNone, GateNone, GateNo, GateNone, GateNone}},
		},
		Yes: []string{"c", "a"}, Targets: 4, BadTargets: 2, Cells: 8, BadCells: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if says := got.Counts(); says != "3 of 8 answers say no, on 2 of 4 targets." {
		t.Error(says)
	}
}

// TestTabulateBoundsWhatItKeeps: and counts the rest.
func TestTabulateBoundsWhatItKeeps(t *testing.T) {
	var looks []GateLook
	for i := range 1000 {
		looks = append(looks, GateLook{Target: fmt.Sprint("t", i), Level: "L1", Check: "dnf", OK: i%2 == 0})
	}
	got := Tabulate(looks, 50)
	if len(got.Rows) != 50 || got.MoreRows != 450 || len(got.Yes) != 200 || got.MoreYes != 300 || got.BadTargets != 500 {
		t.Errorf("%d rows and %d more, %d names and %d more, %d targets with a no", len(got.Rows), got.MoreRows, len(got.Yes), got.MoreYes, got.BadTargets)
	}
}

// TestLossesAreSaidOnce: for all targets of which they are true, by level.
func TestLossesAreSaidOnce(t *testing.T) {
	list, more := Losses([]GateLook{
		{Target: "a", Level: "L3", Loses: "the disk"},
		{Target: "a", Level: "L2", Loses: "orders"},
		{Target: "b", Level: "L2", Loses: "orders"},
		{Target: "c", Level: "L2"},
		{Target: "c", Level: "L3", Loses: "else"},
	}, 2)
	if diff := cmp.Diff([]Loss{{"L2", "orders", []string{"a", "b"}}, {"L3", "the disk", []string{"a"}}}, list); diff != "" || more != 1 {
		t.Errorf("%d more (-want +got):\n%s", more, diff)
	}
}

// TestACheckNobodyWasAskedIsNoYes: an empty cell says neither.
func TestACheckNobodyWasAskedIsNoYes(t *testing.T) {
	s := ReadySection{Asked: true, Table: Tabulate([]GateLook{{Target: "a", Level: "L1", Check: "dnf"}, {Target: "b", Level: "L2", Check: "lvm", OK: true}}, 9)}
	page := render(t, Frame{}, Readiness{Sections: []ReadySection{s}})
	wants(t, page, `<th scope="row">a</th><td class="no">no</td><td>·</td>`, `colspan="1">L1<`)
	if strings.Count(page, `class="ok"`) != 0 {
		t.Error("a cell says yes")
	}
}
