package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

// TestTheGateCountsWhoMayApproveThere: a member of a group who may not approve on the
// change's targets gives no vote, so the gate must not count on it.
func TestTheGateCountsWhoMayApproveThere(t *testing.T) {
	groups := map[string][]string{"sre": {"ann", "bob"}, "dba": {"bob"}, "none": nil}
	c := &Config{Groups: groups, MayApprove: func(person string, targets []string) bool { return person == "ann" && targets[0] == "web-1" }}
	if diff := cmp.Diff(map[string][]string{"sre": {"ann"}, "dba": {}, "none": nil}, c.approvers([]string{"web-1"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{"sre": {}, "dba": {}, "none": nil}, c.approvers([]string{"db-1"})); diff != "" {
		t.Errorf("elsewhere (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{"sre": {"ann", "bob"}, "dba": {"bob"}, "none": nil}, groups); diff != "" {
		t.Errorf("the config changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(groups, (&Config{Groups: groups}).approvers(nil)); diff != "" {
		t.Errorf("where nobody says (-want +got):\n%s", diff)
	}
}

func TestLabelsOfATarget(t *testing.T) {
	e := &Engine{}
	e.config.Store(&Config{Inventory: map[string]backout.Target{"web-1": {Labels: map[string]string{"team": "web"}}, "bare": {}}})
	if got := e.TargetLabels("web-1"); got["team"] != "web" {
		t.Errorf("web-1: %v", got)
	}
	if got := e.TargetLabels("bare"); got == nil {
		t.Error("a target without labels looks like none")
	}
	if got := e.TargetLabels("gone"); got != nil {
		t.Errorf("one that is not there: %v", got)
	}
}
