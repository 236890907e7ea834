package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// replaySince is what the form asks for by itself.
	replaySince = "7d"
	// replayNames is how many rules the form has to choose from.
	replayNames = 500
	// replayRows is how many rows each table of the answer has, replayProblems how many
	// mistakes are shown.
	replayRows     = 100
	replayProblems = 50
)

// replayPage is the page's place among the others.
var replayPage = page{path: "/rules/replay", here: "rules"}

// replayRoutes are the routes of the page that says what rules would have done. The POST
// changes nothing; it is one because it takes long and because rules are too large for an
// address.
func (d *Dashboard) replayRoutes() []handlers.PageRoute {
	return []handlers.PageRoute{
		{Method: "GET", Path: replayPage.path, Needs: "read", Serve: d.replayForm, Doc: "What rules would have done in the past: a form."},
		{Method: "POST", Path: replayPage.path, Needs: "read", Slow: true, Serve: d.replayAsked, Doc: "What rules would have done in the past; does nothing."},
	}
}

// replayForm shows the form.
func (d *Dashboard) replayForm(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	get, err := handlers.Query(r, "since", "until", "rule")
	if err != nil {
		return err
	}
	q := &query{by: by, r: r, get: get, now: time.Now()}
	given := ui.ReplayGiven{Since: get("since"), Until: get("until"), Rule: get("rule"), Compare: true}
	if given.Since == "" {
		given.Since = replaySince
	}
	if given.Until == "" {
		given.Until = "now"
	}
	return d.answerReplay(w, q, given, nil, nil)
}

// replayAsked replays.
func (d *Dashboard) replayAsked(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	form, err := handlers.Form(w, r, maxForm, "since", "until", "rule", "file", "compare", "last")
	if err != nil {
		return err
	}
	q := &query{by: by, r: r, get: form, now: time.Now()}
	given := ui.ReplayGiven{Since: form("since"), Until: form("until"), Rule: form("rule"), File: form("file"), Compare: form("compare") == "yes"}
	if last := form("last"); last != "" {
		given.Since, given.Until = last, "now"
	}
	result, err := d.replayed(r.Context(), q, given)
	return d.answerReplay(w, q, given, result, err)
}

// replayed asks for the replay, and for another with the server's rules to compare with.
func (d *Dashboard) replayed(ctx context.Context, q *query, given ui.ReplayGiven) (*ui.Replayed, error) {
	ask, err := replayAsk(given, q.now)
	if err != nil {
		return nil, err
	}
	replays := d.o.Services.Replays
	answer, err := replays.ReplayRules(ctx, q.by, ask)
	if err != nil {
		return nil, err
	}
	out := shownReplay(ask, &answer, d.o.Base)
	if len(ask.File) > 0 && given.Compare {
		ask.File = nil
		server, err := replays.ReplayRules(ctx, q.by, ask)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		out.Compared = shownCompared(&server.Report, &answer.Report, err)
	}
	return out, nil
}

var errReplay = fmt.Errorf("a replay reads every alert that came in: it takes the right to read everywhere: %w", backout.ErrForbidden)

// replayAsk reads the form.
func replayAsk(given ui.ReplayGiven, now time.Time) (ask handlers.ReplayRequest, err error) {
	ask.Rule = strings.TrimSpace(given.Rule)
	if ask.Since, err = moment("since", given.Since, now); err != nil {
		return ask, err
	}
	if ask.Until, err = moment("until", given.Until, now); err != nil {
		return ask, err
	}
	invalid := func(text string) error { return handlers.Refuse(http.StatusBadRequest, "invalid", text) }
	switch {
	case !ask.Since.Before(ask.Until):
		return ask, invalid("since: it is not before until: nothing lies between")
	case ask.Until.After(now):
		return ask, invalid("until: it has not come yet: want a time that is over, or now")
	case ask.Until.Sub(ask.Since) > handlers.ReplayMost:
		return ask, invalid(fmt.Sprintf("since: that is %s, want at most %d days; the command backout rules replay goes back further",
			backout.Duration(ask.Until.Sub(ask.Since).Round(time.Minute)), handlers.ReplayMost/(24*time.Hour)))
	}
	if strings.TrimSpace(given.File) != "" {
		// Browsers end lines with both characters; columns and hashes are those of the text.
		ask.File = []byte(strings.ReplaceAll(given.File, "\r\n", "\n"))
	}
	return ask, nil
}

// moment reads a time as people write it: now, how long ago, or a time, which is in UTC
// unless it says another zone.
func moment(field, text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "now" {
		return now, nil
	}
	if d, err := backout.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-time.Duration(d)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSuffix(text, " UTC")); err == nil {
			return t, nil
		}
	}
	return time.Time{}, handlers.Refuse(http.StatusBadRequest, "invalid",
		fmt.Sprintf("%s: %.64q: want how long ago (7d, 12h), a time in UTC (2026-11-23, 2026-11-23 02:00, 2026-11-23T02:00:00Z), or now", field, text))
}

// answerReplay writes the page. What is wrong with the question stands on it, beside what
// was put in.
func (d *Dashboard) answerReplay(w http.ResponseWriter, q *query, given ui.ReplayGiven, result *ui.Replayed, no error) error {
	if !d.readsAll(q) {
		return errReplay
	}
	content := ui.Replay{Given: given, MostDays: int(handlers.ReplayMost / (24 * time.Hour)), Result: result}
	// Without the list a name can still be typed.
	list, err := d.o.Services.Rules.ListRules(q.r.Context())
	if err == nil {
		for i := range list[:min(len(list), replayNames)] {
			content.Rules = append(content.Rules, list[i].Rule)
		}
	}
	var problems backout.Problems
	if errors.As(no, &problems) {
		content.Problems = shownProblems(given.File, problems)
		content.MoreProblems = max(0, len(content.Problems)-replayProblems)
		content.Problems = content.Problems[:len(content.Problems)-content.MoreProblems]
		no = handlers.Refuse(http.StatusUnprocessableEntity, "problems", "the pasted rules have mistakes, so nothing was replayed")
	}
	return d.answered(w, q, replayPage, content, no)
}

// lineShown is how much of a line with a mistake is shown.
const lineShown = 200

// shownProblems puts each mistake beside its line.
func shownProblems(file string, problems backout.Problems) []ui.FileProblem {
	lines := strings.Split(strings.ReplaceAll(file, "\r\n", "\n"), "\n")
	out := make([]ui.FileProblem, len(problems))
	for i, p := range problems {
		row := ui.FileProblem{Line: p.Line, Column: p.Column, What: p.What, Fix: p.Fix, Warning: p.Warning}
		if p.Line > 0 && p.Line <= len(lines) {
			line := []rune(lines[p.Line-1])
			row.Text = string(line[:min(len(line), lineShown)])
			if p.Column > 0 && p.Column <= min(len(line)+1, lineShown) {
				row.Marked, row.Before = true, strings.Map(blank, string(line[:p.Column-1]))
			}
		}
		out[i] = row
	}
	return out
}

// blank keeps a tab, and makes anything else a space.
func blank(r rune) rune {
	if r == '\t' {
		return r
	}
	return ' '
}

// shownCompared says what pasted rules would have done otherwise than the server's.
func shownCompared(server, given *replay.Report, no error) *ui.Compared {
	if no != nil {
		_, body := handlers.Describe(no)
		return &ui.Compared{Unknown: body.Message}
	}
	out := &ui.Compared{}
	list := replay.Differences(*server, *given)
	out.More = max(0, len(list)-replayRows)
	for _, d := range list[:len(list)-out.More] {
		row := ui.Difference{ChangeID: d.ChangeID, Targets: d.Targets, Says: differs[d.Kind]}
		if d.Here != nil {
			here := shownRow(d.Here)
			row.Server = &here
		}
		if d.There != nil {
			there := shownRow(d.There)
			row.Pasted = &there
		}
		out.Differences = append(out.Differences, row)
	}
	return out
}

// differs says how the second of two rule sets differs from the first.
var differs = map[replay.Kind]string{
	replay.OnlyHere: "do not open it", replay.OnlyThere: "open one more", replay.Earlier: "open it later", replay.Later: "open it earlier",
	replay.Otherwise: "open it otherwise",
}
