package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/gate"
)

// desk is an ITSM system: what it answers, and how long that takes.
type desk struct {
	mu     sync.Mutex
	record backout.ITSMRecord
	err    error
	hangs  bool
	asked  []string
}

func (d *desk) Record(ctx context.Context, c backout.ChangeSpec) (backout.ITSMRecord, error) {
	d.mu.Lock()
	r, err, hangs := d.record, d.err, d.hangs
	r.ID = backout.ITSMID(c.ID, c.Labels)
	d.asked = append(d.asked, r.ID)
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		err = ctx.Err()
	}
	return r, err
}

func (d *desk) set(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
}

func newDesk() *desk {
	now := time.Now()
	return &desk{record: backout.ITSMRecord{System: "ServiceNow", Approved: true, Starts: now.Add(-time.Hour), Ends: now.Add(24 * time.Hour), Plan: "undo it"}}
}

func TestTheGateAsksForTheRecord(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		d := newDesk()
		w.cfg.Records = d
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		for name, tt := range map[string]struct {
			err   error
			hangs bool
			says  string
		}{
			"there is none": {fmt.Errorf("call x: %w", backout.ErrNotFound), false, `ServiceNow has no record "C1"`},
			"down":          {errors.New("x answered 503"), false, "ServiceNow cannot be asked for C1: x answered 503"},
			"slow":          {nil, true, "ServiceNow cannot be asked for C1: context deadline exceeded"},
		} {
			d.set(func() { d.err, d.hangs = tt.err, tt.hangs })
			begun := time.Now()
			r, err := e.CheckGate(t.Context(), alice, "C1")
			if took := time.Since(begun); took > recordTimeout+time.Second {
				t.Errorf("%s: the gate took %v", name, took)
			}
			if err != nil || r.Passed || len(r.Violations) != 1 || r.Violations[0].Check != gate.CheckITSM || r.Violations[0].Reason != tt.says || r.Violations[0].Fix == "" {
				t.Errorf("%s: %+v, %v", name, r.Violations, err)
			}
		}
		d.set(func() { d.err, d.hangs = nil, false })
		if r, err := e.CheckGate(t.Context(), alice, "C1"); err != nil || !r.Passed {
			t.Errorf("with an approved record: %+v, %v", r.Violations, err)
		}
	})
}

// TestAnApprovalTakenBackMeanwhile: the record counts as it is when the window opens,
// not as it was before targets were captured.
func TestAnApprovalTakenBackMeanwhile(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		d := newDesk()
		w.cfg.Records = d
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.captured = func(string) { d.set(func() { d.record.Approved = len(d.asked) < 1 }) }
		_, err := e.OpenChange(t.Context(), alice, "C1")
		var refused *backout.RefusedError
		if !errors.As(err, &refused) || !slices.ContainsFunc(refused.Violations, func(v backout.Violation) bool { return v.Check == gate.CheckITSM }) {
			t.Errorf("opened: %v", err)
		}
		if c, _ := e.Change(t.Context(), "C1"); c.State.Live() {
			t.Errorf("the window is %s", c.State)
		}
	})
}

// TestNoRollbackWaitsForTheRecord: once the window is open nobody asks for it.
func TestNoRollbackWaitsForTheRecord(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		d := newDesk()
		w.cfg.Records = d
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		if _, err := e.OpenChange(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		before := len(d.asked)
		d.set(func() { d.hangs = true })
		if r, err := e.CheckGate(t.Context(), alice, "C1"); err != nil || !r.Passed {
			t.Errorf("while it is open: %+v, %v", r.Violations, err)
		}
		time.Sleep(30 * time.Minute) // it is looked at every five minutes whether the way back works
		synctest.Wait()
		if len(d.asked) != before {
			t.Errorf("asked for %q while the window was open", d.asked[before:])
		}
	})
}

func TestTheLabelNamesTheRecordThatIsAskedFor(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		d := newDesk()
		w.cfg.Records = d
		e := w.serve("me", w.store)
		defer e.Close()
		_, err := e.PlanChange(t.Context(), alice, backout.ChangeSpec{
			ID: "C1", Plan: "web", Targets: []string{"web1"}, Window: backout.Window{Watch: backout.Duration(time.Hour)}, Labels: map[string]string{backout.LabelRecord: "CHG7"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.CheckGate(t.Context(), alice, "C1"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.asked, " "); got != "CHG7" {
			t.Errorf("asked for %q", got)
		}
	})
}
