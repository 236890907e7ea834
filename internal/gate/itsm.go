package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// CheckITSM is the check of the change's record in the ITSM system.
const CheckITSM = "itsm"

// ITSM is what came of asking for the change's record.
type ITSM struct {
	Record backout.ITSMRecord
	// Unknown says why there is no answer, Fix what to do; empty when there is one.
	Unknown, Fix string
}

// checkITSM: people have approved the change where they approve changes, for our
// window, and have written down how to go back. What cannot be asked is a no.
func (v *verdict) checkITSM(f Facts) {
	if f.ITSM == nil {
		return
	}
	r := f.ITSM.Record
	if f.ITSM.Unknown != "" {
		v.no(CheckITSM, f.ITSM.Unknown, f.ITSM.Fix)
		return
	}
	if r.Ended {
		v.no(CheckITSM, fmt.Sprintf("%s has ended in %s: it is %q", r.ID, r.System, r.State), "plan the change under a record that is open")
	}
	if !r.Approved {
		v.no(CheckITSM, fmt.Sprintf("%s is not approved in %s: it says %q", r.ID, r.System, r.Approval), "have it approved there; backout approves nothing in it")
	}
	v.checkITSMWindow(f, r)
	if strings.TrimSpace(r.Plan) == "" {
		v.no(CheckITSM, fmt.Sprintf("%s has no back-out plan in %s", r.ID, r.System), "write there how to go back")
	}
}

// checkITSMWindow: the record's window holds the whole of ours.
func (v *verdict) checkITSMWindow(f Facts, r backout.ITSMRecord) {
	if r.Starts.IsZero() || r.Ends.IsZero() || !r.Ends.After(r.Starts) {
		v.no(CheckITSM, fmt.Sprintf("%s has no planned window in %s", r.ID, r.System), "give it a planned start and, after it, a planned end there")
		return
	}
	opens, closes := f.Change.Window.Opens, f.Change.Window.Closes
	if opens.IsZero() {
		opens = f.Now
	}
	if closes.IsZero() {
		closes = opens.Add(f.OpenFor)
	}
	if opens.Before(r.Starts) || closes.After(r.Ends) {
		v.no(CheckITSM, fmt.Sprintf("our window, %s to %s, is not within that of %s in %s, %s to %s", stamp(opens), stamp(closes), r.ID, r.System, stamp(r.Starts), stamp(r.Ends)),
			"correct the window of the one or the other")
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
