package executors_test

import (
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// TestStepsOfOneKindKeepApart: two steps of one kind in one plan keep in two folders,
// and each finds what it has prepared itself, whichever came first.
func TestStepsOfOneKindKeepApart(t *testing.T) {
	folders := map[string]bool{}
	var task backout.Task
	for _, parts := range [][]string{nil, {"web*"}, {"db*"}, {"db*", "web*"}} {
		folder, err := executors.Stash("CHG1", "dnf", parts...)
		if err != nil || folders[folder] {
			t.Fatalf("%v: %s, %v", parts, folder, err)
		}
		folders[folder] = true
		task.Prepared = append(task.Prepared, backout.Prepared{Uses: "dnf.undo", Facts: map[string]string{"folder": folder}})
	}
	for folder := range folders {
		if got := executors.Kept(task, "dnf.undo", folder)["folder"]; got != folder {
			t.Errorf("the step with %s reads what is of %q", folder, got)
		}
		if got := executors.Kept(task, "apt.undo", folder); got != nil {
			t.Errorf("another kind reads %v", got)
		}
	}
	if got := executors.Kept(task, "dnf.undo", ""); got != nil {
		t.Errorf("without a folder it reads %v", got)
	}
	for _, id := range []string{"", "..", "../x", "a/b", "-x"} {
		if folder, err := executors.Stash(id, "dnf"); err == nil {
			t.Errorf("change %q keeps in %s", id, folder)
		}
	}
}
