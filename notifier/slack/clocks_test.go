package slack

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestNoTimeThatEndsNothing: a level whose time is up, and an aborted rollback, have no
// more time.
func TestNoTimeThatEndsNothing(t *testing.T) {
	v := cards()["running"]
	has := func(r backout.Rollback) bool { return strings.Contains(whatNext(&r), "has time until") }
	if !has(v.Rollback) {
		t.Fatalf("a running level says %q", whatNext(&v.Rollback))
	}
	overdue, aborting := v.Rollback, v.Rollback
	overdue.Overdue, aborting.Status = true, backout.RollbackAborting
	if says := whatNext(&overdue); has(overdue) || !strings.Contains(says, "is up") {
		t.Errorf("an overdue level says %q", says)
	}
	if has(aborting) {
		t.Errorf("an aborted rollback says %q", whatNext(&aborting))
	}
}
