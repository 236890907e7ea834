package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// checkTargets: each is named once, and known to the inventory.
func (v *verdict) checkTargets(f Facts) {
	if len(f.Change.Targets) == 0 {
		v.no(CheckTargets, "the change names no target", "name each target; nothing never means all")
	}
	for i, name := range f.Change.Targets {
		if _, ok := f.Targets[name]; !ok {
			v.noTarget(CheckTargets, name, "it is not in the inventory", "add it to an inventory file, or correct its name in the change")
		}
		if slices.Contains(f.Change.Targets[:i], name) {
			v.noTarget(CheckTargets, name, "it is named twice", "name it once")
		}
	}
}

// checkWindow: it is not over, and there is time to see the patch go wrong.
func (v *verdict) checkWindow(f Facts) {
	w := f.Change.Window
	if f.Now.IsZero() {
		v.no(CheckWindow, "the time is not known", "give the gate the time")
	}
	if !w.Closes.IsZero() {
		if !w.Closes.After(w.Opens) {
			v.no(CheckWindow, "it closes before it opens", "correct its times")
		}
		if !f.Now.Before(w.Closes) {
			v.no(CheckWindow, "it was over at "+w.Closes.UTC().Format(time.RFC3339), "extend the window, or plan a new change")
		}
	}
	if w.Watch <= 0 {
		v.no(CheckWindow, "nobody watches after the patch: watch is zero", "say how long alerts count after patching, such as watch: 2h")
	}
}

// checkOverlaps: a red target must tell which patch it is about.
func (v *verdict) checkOverlaps(f Facts) {
	for _, name := range f.Change.Targets {
		var others []string
		for _, id := range f.Overlaps[name] {
			if id != f.Change.ID {
				others = append(others, id)
			}
		}
		if len(others) == 0 {
			continue
		}
		slices.Sort(others)
		v.noTarget(CheckOverlap, name,
			fmt.Sprintf("it is part of %s, which is open or watched: an alert could not be told apart", strings.Join(others, ", ")),
			"wait until that has ended, or leave the target out")
	}
}
