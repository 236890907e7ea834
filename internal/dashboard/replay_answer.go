package dashboard

import (
	"net/url"
	"slices"
	"strings"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/ui"
)

// shownReplay is the answer to a replay as its page shows it. base is the path that
// stands before every route.
func shownReplay(ask handlers.ReplayRequest, answer *authorized.ReplayAnswer, base string) *ui.Replayed {
	r := &answer.Report
	out := &ui.Replayed{
		Since: ask.Since, Until: ask.Until, Rule: ask.Rule, Pasted: len(ask.File) > 0,
		Alerts: r.Summary.Alerts, Changes: r.Summary.Changes, Verdicts: r.Summary.Verdicts,
		Agreed: r.Agreed, Disagreed: r.Disagreed, Undecided: r.Undecided, Notes: answer.Notes, Picture: pictured(ask, r, base),
	}
	for i := range r.Rows {
		switch row := &r.Rows[i]; {
		case row.RollbackID == "" && len(out.Recorded) == replayRows:
			out.MoreRecorded++
		case row.RollbackID == "":
			out.Recorded = append(out.Recorded, shownRow(row))
		case len(out.Rows) == replayRows:
			out.MoreRows++
		default:
			out.Rows = append(out.Rows, shownRow(row))
		}
	}
	out.MoreMissed = max(0, len(r.Missed)-replayRows)
	out.Missed = shownDid(r.Missed[:len(r.Missed)-out.MoreMissed])
	for _, f := range r.Failed {
		out.Failed = append(out.Failed, ui.RuleFailed{Rule: f.Rule, Error: f.Error, Times: f.Times})
	}
	return out
}

func shownRow(r *replay.Row) ui.ReplayRow {
	return ui.ReplayRow{
		At: r.At, ChangeID: r.ChangeID, Rule: r.Rule, Mode: r.Mode, Targets: r.Targets, Level: r.Level, Alert: r.Alert, Target: r.Target,
		Verdicts: r.Verdicts, AskFirst: r.AskFirst, StartAfter: r.StartAfter, CancelledAt: r.CancelledAt, Stopped: r.Stopped,
		Did: shownDid(r.Did), Ended: r.Ended, Outcome: string(r.Outcome),
	}
}

func shownDid(list []replay.Did) []ui.Did {
	var out []ui.Did
	for i := range list {
		d := &list[i]
		out = append(out, ui.Did{
			ChangeID: d.ChangeID, RollbackID: d.RollbackID, Targets: d.Targets, At: d.At, Who: whoDid(d),
			Approved: d.Approved, Denied: d.Denied, Status: d.Status,
		})
	}
	return out
}

// whoDid names who asked for a rollback.
func whoDid(d *replay.Did) string {
	switch {
	case d.Rule != "":
		return "rule " + d.Rule
	case d.By != "":
		return d.By
	}
	return "somebody"
}

// judged are the outcomes that a picture shows.
var judged = map[change.Outcome]chart.Judged{change.Agreed: chart.Agreed, change.Disagreed: chart.Disagreed}

// pictured is the answer as a picture: a lane for each rule, in the order in which they
// speak first, and one for what people really did.
func pictured(ask handlers.ReplayRequest, r *replay.Report, base string) chart.Replay {
	out := chart.Replay{ID: "replay", Title: "What rules would have done", Width: 1180, From: ask.Since, Until: ask.Until}
	lanes := map[string]int{}
	did := map[string]replay.Did{}
	for i := range r.Rows {
		row := &r.Rows[i]
		at, ok := lanes[row.Rule]
		if !ok {
			at = len(out.Rules)
			lanes[row.Rule] = at
			out.Rules = append(out.Rules, chart.RuleLane{Name: row.Rule})
		}
		kind := chart.WouldOpen
		switch {
		case row.RollbackID == "" && row.Stopped != "":
			kind = chart.WouldStop
		case row.RollbackID == "":
			kind = chart.WouldRecord
		}
		out.Rules[at].Would = append(out.Rules[at].Would, chart.Would{
			At: row.At, Kind: kind, Judged: judged[row.Outcome], Text: row.ChangeID + " on " + shortNames(row.Targets) + ": " + row.Alert,
			Href: base + "/changes/" + url.PathEscape(row.ChangeID),
		})
		for _, d := range row.Did {
			did[d.RollbackID] = d
		}
	}
	for _, d := range r.Missed {
		did[d.RollbackID] = d
	}
	missed := func(d replay.Did) bool {
		return slices.ContainsFunc(r.Missed, func(m replay.Did) bool { return m.RollbackID == d.RollbackID })
	}
	for _, d := range did {
		out.Did = append(out.Did, chart.Did{
			At: d.At, Until: d.EndedAt, Missed: missed(d), Text: d.RollbackID + " by " + whoDid(&d) + " on " + shortNames(d.Targets),
			Href: base + "/rollbacks/" + url.PathEscape(d.RollbackID),
		})
	}
	slices.SortFunc(out.Did, func(a, b chart.Did) int { return strings.Compare(a.Text, b.Text) })
	return out
}

// shortNames names the first few.
func shortNames(list []string) string {
	const most = 3
	if len(list) > most {
		return strings.Join(list[:most], ", ") + " and more"
	}
	return strings.Join(list, ", ")
}
