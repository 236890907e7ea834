package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestTheApprovalsPage: its plan loads, and its table has every key there is.
func TestTheApprovalsPage(t *testing.T) {
	cfg, page := planOfPage(t, "approvals.md")
	if l := cfg.Plans["web"].Levels; l[0].Approval.Veto == 0 || l[1].Approval.Votes != 2 || l[1].Approval.StepUp != 0 || len(l[1].Approval.Channels) != 3 {
		t.Errorf("%+v", l)
	}
	typ := reflect.TypeFor[approvalEntry]()
	for i := range typ.NumField() {
		if key := typ.Field(i).Tag.Get("yaml"); key != "" && !strings.Contains(page, "`"+key+"`") {
			t.Errorf("the page does not say what %s is", key)
		}
	}
}
