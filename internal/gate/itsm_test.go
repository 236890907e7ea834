package gate

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// approved is a record with nothing wrong about it.
func approved() *ITSM {
	return &ITSM{Record: backout.ITSMRecord{
		System: "ServiceNow", ID: "CHG0030001", Approved: true, Approval: "approved", State: "Scheduled",
		Starts: now, Ends: now.Add(time.Hour), Plan: "undo the transaction",
	}}
}

// TestTheRecordIsLookedAt: each spoils one thing of the record, and is the one reason.
func TestTheRecordIsLookedAt(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Facts)
		says  string
	}{
		"nobody was asked":  {func(f *Facts) { f.ITSM = &ITSM{Unknown: "ServiceNow cannot be asked", Fix: "mend it"} }, "cannot be asked"},
		"not approved":      {func(f *Facts) { f.ITSM.Record.Approved, f.ITSM.Record.Approval = false, "requested" }, `it says "requested"`},
		"closed":            {func(f *Facts) { f.ITSM.Record.Ended, f.ITSM.Record.State = true, "Closed" }, `it is "Closed"`},
		"no start":          {func(f *Facts) { f.ITSM.Record.Starts = time.Time{} }, "no planned window"},
		"no end":            {func(f *Facts) { f.ITSM.Record.Ends = time.Time{} }, "no planned window"},
		"ends first":        {func(f *Facts) { f.ITSM.Record.Ends = f.ITSM.Record.Starts }, "no planned window"},
		"begins after ours": {func(f *Facts) { f.ITSM.Record.Starts = now.Add(time.Second) }, "not within"},
		"ends before ours":  {func(f *Facts) { f.ITSM.Record.Ends = now.Add(time.Hour - time.Second) }, "not within"},
		"ours has no end": {func(f *Facts) {
			f.Change.Window.Opens, f.Change.Window.Closes, f.OpenFor = time.Time{}, time.Time{}, 2*time.Hour
		}, "not within"},
		"no plan":    {func(f *Facts) { f.ITSM.Record.Plan = "" }, "no back-out plan"},
		"blank plan": {func(f *Facts) { f.ITSM.Record.Plan = " \n\t" }, "no back-out plan"},
	} {
		f := good()
		f.ITSM = approved()
		tt.spoil(&f)
		r := Check(f)
		if r.Passed() || len(r.Violations) != 1 || r.Violations[0].Check != CheckITSM || !strings.Contains(r.Violations[0].Reason, tt.says) || r.Violations[0].Fix == "" {
			t.Errorf("%s: passed %v, %+v", name, r.Passed(), r.Violations)
		}
	}
}

func TestAnApprovedRecordIsNoObstacle(t *testing.T) {
	f := good()
	f.ITSM = approved()
	if r := Check(f); !r.Passed() {
		t.Errorf("%+v", r.Violations)
	}
	f.Change.Window.Opens, f.Change.Window.Closes, f.OpenFor = time.Time{}, time.Time{}, time.Hour
	if r := Check(f); !r.Passed() {
		t.Errorf("a window of an hour from now: %+v", r.Violations)
	}
}

// TestTheRecordIsNotInTheWayBack: once the window is open, no ITSM system is asked.
func TestTheRecordIsNotInTheWayBack(t *testing.T) {
	f := good()
	f.ITSM = &ITSM{Unknown: "it is down", Fix: "wait"}
	if v := Still(f); len(v) != 0 {
		t.Errorf("%+v", v)
	}
}
