package notifier

import (
	"slices"
	"strconv"
	"time"

	"github.com/backout-io/backout"
)

// Samples returns notices of a moment as they may occur: with everything, for
// each of L1 to L3, and with as little as there can be. Templates are checked
// against them, and test notices show them. Those about monitoring are about no
// change.
func Samples(moment backout.Moment) []backout.Notice {
	if moment == backout.MomentMonitoringBlind || moment == backout.MomentMonitoringBack {
		return monitoringSamples(moment)
	}
	at := time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)
	levels := []struct{ name, next, summary, loses string }{
		{"L1", "L2", "uninstall the patch", ""},
		{"L2", "L3", "restore the snapshot from before the patch", "everything written since 01:30 UTC"},
		{"L3", "", "rebuild from the gold image", "everything on the local disks"},
	}
	samples := make([]backout.Notice, 0, len(levels)+1)
	first := 1 + len(levels)*slices.Index(backout.Moments(), moment)
	for i, l := range levels {
		n := backout.Notice{
			ID: "CHG0030001-r1." + strconv.Itoa(first+i) + ".0.ops", Moment: moment, Audience: "ops",
			ChangeID: "CHG0030001", Title: "openssl 3.0.14 on web", RollbackID: "CHG0030001-r1",
			Level: l.name, NextLevel: l.next, Summary: l.summary, Loses: l.loses,
			Targets: []string{"web-01", "web-02", "web-03"}, CVEs: []string{"CVE-2026-0001"},
			Rule: "WebErrorsAfterPatch", AlertName: "HTTPErrorsHigh", At: at.Add(time.Duration(i) * 30 * time.Minute),
			Reason:   "2 of 3 targets were still red when its time was up",
			PlanHash: "sha256:7f3a9c0d1e2b", PlanText: "L1 uninstall the patch: dnf.undo\nL2 restore the snapshot: lvm.merge\nL3 rebuild: http.request",
			Steps: []string{"undo the patch (dnf.undo)", "restart nginx (systemd.restart)"}, Groups: []string{"leads"}, Excluded: []string{"ana"},
			Exploited: []string{"CVE-2026-0001"}, Labels: map[string]string{"team": "web"}, Opened: at,
			AskID: "ask-1", VotesNeeded: 2, VotesGiven: 1, URL: "https://backout.example/rollbacks/CHG0030001-r1",
		}
		if l.next != "" {
			n.Deadline, n.IfNobodyActs = n.At.Add(30*time.Minute), l.next+" starts"
		} else {
			n.IfNobodyActs = "the rollback waits for a person"
		}
		samples = append(samples, n)
	}
	return append(samples, backout.Notice{ID: "CHG0030001.1.0.ops", Moment: moment, Audience: "ops", ChangeID: "CHG0030001", At: at})
}

func monitoringSamples(moment backout.Moment) []backout.Notice {
	at := time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)
	least := backout.Notice{ID: "monitoring.1773453780000000000." + string(moment), Moment: moment, Audience: "ops", At: at}
	whole := least
	whole.Summary = `the alert that always fires (alertname="Watchdog") is missing`
	whole.Reason = "it was seen last at 2026-03-14T01:53:00Z"
	whole.IfNobodyActs = "red targets may go unseen, and nothing counts as recovered"
	whole.URL = "https://backout.example/"
	return []backout.Notice{whole, least}
}
