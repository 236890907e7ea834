package executors_test

import (
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

func TestMarksAreOfOneChange(t *testing.T) {
	for _, c := range []struct{ change, attempt, mark string }{
		{"CHG1", "CHG1-b1.B.s1.t1", "CHG1-b1.B.s1.t1"},
		{"CHG1-2", "CHG1-2-b1.B.s1.t1", "CHG1-2-b1.B.s1.t1"},
		{"CHG1", "a-try", "CHG1-a_try"},
		{"CHG1-b1", "CHG1-b1-b1.B.s1.t1", "CHG1-b1-b1.B.s1.t1"},
	} {
		mark, err := executors.Mark(backout.Task{ChangeID: c.change, AttemptID: c.attempt})
		if err != nil || mark != c.mark {
			t.Errorf("%s of %s: %q, %v", c.attempt, c.change, mark, err)
		}
		for _, change := range []string{"CHG1", "CHG1-2", "CHG1-b1", "CHG", ""} {
			if got := executors.IsMark(mark, change); got != (change == c.change) {
				t.Errorf("%s is a mark of %q: %t", mark, change, got)
			}
		}
	}
	for _, task := range []backout.Task{{ChangeID: "../x", AttemptID: "a"}, {ChangeID: "CHG1", AttemptID: "a b"}, {}} {
		if mark, err := executors.Mark(task); !backout.IsPermanent(err) {
			t.Errorf("%+v: %q, %v", task, mark, err)
		}
	}
}
