package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/told"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// rollbackAlerts and rollbackNotices are how many of each the page of a rollback
	// shows; logLines how many lines of its log, logFew how many below many targets, and
	// logAll how many when it is to show all.
	rollbackAlerts  = 20
	rollbackNotices = 50
	logLines        = 200
	logFew          = 50
	logAll          = 5000
)

// rollbackAt is the rollback that the page's address names.
func (d *Dashboard) rollbackAt(ctx context.Context, q *query) (backout.Rollback, error) {
	id, err := handlers.PathName(q.r, "id")
	if err != nil {
		return backout.Rollback{}, err
	}
	return d.o.Services.Rollbacks.Rollback(ctx, id)
}

// rollback builds the page of one rollback.
func (d *Dashboard) rollback(ctx context.Context, q *query) (ui.Content, error) {
	r, err := d.rollbackAt(ctx, q)
	if err != nil {
		return nil, err
	}
	ask, err := gridAskOf(q, &r)
	if err != nil {
		return nil, err
	}
	all, err := flagOf(q, "all")
	if err != nil {
		return nil, err
	}
	page := ui.Rollback{Card: ui.Card{Rollback: r}, Alerts: r.Evidence}
	if d.o.ExternalURL != "" {
		page.Address = strings.TrimRight(d.o.ExternalURL, "/") + "/rollbacks/" + url.PathEscape(r.ID)
	}
	d.offer(ctx, q, &page.Card)
	log, err := d.logOf(ctx, &r)
	if err != nil {
		page.Log.Unknown = err.Error() // and the rest is of use without it
	}
	p := pastOf(log)
	page.Card.Spans = p.spans(len(r.Frozen.Plan.Levels))
	page.Grid = gridOf(&r, p, ask, chosen(q))
	if attempt := q.get("attempt"); attempt != "" {
		page.Output = d.outputOf(ctx, &r, p, r.ID+"."+attempt)
	}
	page.Explained, page.NotExplained = d.explainedOf(ctx, q, &r)
	if more := len(page.Alerts) - rollbackAlerts; more > 0 {
		page.MoreAlerts, page.Alerts = more, page.Alerts[:rollbackAlerts]
	}
	d.notices(ctx, &page, r.ID)
	if page.Log.Unknown == "" {
		most := logLines
		switch {
		case all:
			most = logAll
		case len(page.Grid.Rows) > gridRows/2:
			most = logFew
		}
		page.Log = linesOf(r.ID, log, &r.Frozen.Plan, most)
		page.Log.All = all
	}
	return page, nil
}

// chosen are the parameters that say what of the page is shown.
func chosen(q *query) url.Values {
	out := url.Values{}
	for _, name := range rollbackParams {
		if v := q.get(name); v != "" {
			out.Set(name, v)
		}
	}
	return out
}

// rollbackParams are what the page's address may say.
var rollbackParams = []string{"level", "show", "q", "page", "attempt", "all"}

func flagOf(q *query, name string) (bool, error) {
	text := q.get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, handlers.Refuse(http.StatusBadRequest, "invalid", name+": want true or false")
	}
	return on, nil
}

// notices adds what was told about the rollback. The page is of use without it.
func (d *Dashboard) notices(ctx context.Context, page *ui.Rollback, id string) {
	list, err := d.o.Services.Insight.RollbackNotices(ctx, id)
	if err != nil {
		page.NoNotices = err.Error()
		return
	}
	slices.Reverse(list)
	if more := len(list) - rollbackNotices; more > 0 {
		page.MoreNotices, list = more, list[:rollbackNotices]
	}
	for i := range list {
		n := &list[i]
		state := "sending"
		switch {
		case n.Delivered:
			state = "delivered"
		case n.GivenUp:
			state = "given_up"
		}
		page.Notices = append(page.Notices, ui.Notice{
			Moment: n.Notice.Moment, Audience: n.Notice.Audience, Channel: n.Channel, At: n.Notice.At, State: state, Since: n.At, Tries: n.Tries, Error: n.Error,
		})
	}
}

// linesOf says what the log of a rollback tells, the newest first, at most so many lines
// of it.
func linesOf(id string, entries []handlers.LogEntry, plan *backout.Plan, most int) ui.Log {
	out := ui.Log{Records: "rollbacks/" + id + "/records/"}
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if len(out.Lines) == most {
			out.More += told.Lines(e.Record)
			continue
		}
		lines := told.Record(e.Record, plan)
		slices.Reverse(lines)
		for _, line := range lines[:min(len(lines), most-len(out.Lines))] {
			out.Lines = append(out.Lines, ui.LogLine{At: e.Record.At, Seq: e.Seq, Kind: line.Kind, Said: line.Said})
			lines = lines[1:]
		}
		out.More += len(lines)
	}
	return out
}
