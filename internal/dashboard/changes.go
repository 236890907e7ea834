package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/ui"
)

const (
	oneDay = 24 * time.Hour
	// daysBefore and daysAfter are the days around today that are shown unasked, and
	// daysMost is how many can be asked for.
	daysBefore, daysAfter, daysMost = 7, 14, 366
	// windowsDrawn is how many windows the picture has, windowsSaid how many of them are
	// said beside it, pairsTold how many overlaps stand above the list, and rowOverlaps how
	// many in a row of it.
	windowsDrawn, windowsSaid, pairsTold, rowOverlaps = 24, 12, 12, 2
	// pictureStep is how often the line of the present moves in a picture of days.
	pictureStep = 5 * time.Minute
	// pictureWidth is how wide pictures are before they are scaled: text in them is as
	// large as that of a page on a screen, and a phone scrolls.
	pictureWidth = 960
	// holdsTold is how many holds are listed.
	holdsTold = 50
)

var changesParams = []string{"from", "to", "state", "target", "text", "page"}

// changes builds the page of windows and changes.
func (d *Dashboard) changes(ctx context.Context, q *query) (ui.Content, error) {
	sought, err := soughtChanges(q)
	if err != nil {
		return nil, err
	}
	list, err := d.o.Services.Changes.ListChanges(ctx, handlers.ChangeFilter{})
	if err != nil {
		return nil, err
	}
	out := ui.Changes{Sought: sought}
	inTime := changesIn(&out, list, q.now)
	over := overlapsOf(inTime, q.now)
	found := slices.DeleteFunc(inTime, func(c *backout.Change) bool { return !isSought(c, sought) })
	wanted := map[string]bool{}
	for _, c := range found {
		wanted[c.ID] = true
	}
	out.Overlaps, out.MoreOverlaps = over.first(wanted, pairsTold)
	out.Overlapping = over.count(wanted)
	slices.SortStableFunc(found, byConcern)
	d.drawWindows(&out, found, q.now)
	out.Found, out.Pages = len(found), max((len(found)+ui.ChangesPage-1)/ui.ChangesPage, 1)
	out.Sought.Page = min(sought.Page, out.Pages)
	first := (out.Sought.Page - 1) * ui.ChangesPage
	for _, c := range found[first:min(len(found), first+ui.ChangesPage)] {
		row := ui.ChangeRow{Change: *c}
		row.Overlaps, row.MoreOverlaps = over.with(c.ID, rowOverlaps)
		out.Rows = append(out.Rows, row)
	}
	d.addHolds(ctx, &out)
	return out, nil
}

// soughtChanges reads what is asked for.
func soughtChanges(q *query) (ui.ChangesSought, error) {
	today := q.now.UTC().Truncate(oneDay)
	s := ui.ChangesSought{
		From: today.Add(-daysBefore * oneDay), To: today.Add(daysAfter * oneDay), Page: 1,
		State: backout.ChangeState(q.get("state")), Target: strings.TrimSpace(q.get("target")), Text: strings.TrimSpace(q.get("text")),
	}
	var err error
	if from := q.get("from"); from != "" {
		if s.From, err = time.Parse(time.DateOnly, from); err != nil {
			return s, wrong("from: want a day, such as 2026-11-23")
		}
		s.To = s.From.Add((daysBefore + daysAfter) * oneDay)
	}
	if to := q.get("to"); to != "" {
		if s.To, err = time.Parse(time.DateOnly, to); err != nil {
			return s, wrong("to: want a day, such as 2026-11-23")
		}
		if q.get("from") == "" {
			s.From = s.To.Add(-(daysBefore + daysAfter) * oneDay)
		}
	}
	if s.To.Before(s.From) || s.To.Sub(s.From) >= daysMost*oneDay {
		return s, wrong("to: want a day that is not before from, and not more than a year after it")
	}
	if s.State != "" && !slices.Contains(s.States(), s.State) {
		return s, wrong("state: want one of those that the page offers")
	}
	if page := q.get("page"); page != "" {
		if s.Page, err = strconv.Atoi(page); err != nil || s.Page < 1 {
			return s, wrong("page: want a number from 1")
		}
	}
	return s, nil
}

func wrong(what string) error { return handlers.Refuse(http.StatusBadRequest, "invalid", what) }

// changesIn are those of the time that is asked for, and all that are live; it counts
// them, and what else is sought before and after.
func changesIn(out *ui.Changes, list []backout.Change, now time.Time) []*backout.Change {
	from, until := out.Sought.From, out.Sought.To.Add(oneDay)
	var in []*backout.Change
	for i := range list {
		c := &list[i]
		begin, end := ui.BeginOf(c), ui.EndOf(c)
		// What has no time may be opened now; what is live has not ended.
		if begin.IsZero() && !c.State.Final() {
			begin, end = now, now
		}
		if c.State.Live() && end.Before(now) {
			end = now
		}
		if begin.IsZero() {
			begin = c.EndedAt // withdrawn before there was a time
		}
		if !begin.Before(until) || end.Before(from) {
			if isSought(c, out.Sought) {
				out.Elsewhere++
				if out.Nearest.IsZero() || begin.Sub(now).Abs() < out.Nearest.Sub(now).Abs() {
					out.Nearest = begin
				}
			}
			continue
		}
		in = append(in, c)
		switch {
		case c.State.Final():
			out.Over++
		case c.State.Live():
			out.Live++
		default:
			out.Coming++
		}
	}
	return in
}

// isSought tells whether the change is like what is sought, whenever it is.
func isSought(c *backout.Change, s ui.ChangesSought) bool {
	switch {
	case s.State != "" && c.State != s.State:
		return false
	case s.Target != "" && !slices.Contains(c.Targets, s.Target):
		return false
	}
	return s.Text == "" || hasText(c, strings.ToLower(s.Text))
}

// hasText looks for small letters in all that people call the change by.
func hasText(c *backout.Change, text string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if has(c.ID) || has(c.Title) || has(c.Plan) || has(c.Owner) || has(c.Requester) {
		return true
	}
	if slices.ContainsFunc(c.Patch.IDs, has) || slices.ContainsFunc(c.Patch.CVEs, has) || slices.ContainsFunc(c.Stakeholders, has) {
		return true
	}
	for name, value := range c.Labels {
		if has(name + "=" + value) {
			return true
		}
	}
	return false
}

// byConcern puts what is live first, what ends first first; then what comes, the next
// one first; then what is over, the last one first.
func byConcern(a, b *backout.Change) int {
	rank := func(c *backout.Change) int {
		switch {
		case c.State.Live():
			return 0
		case !c.State.Final():
			return 1
		}
		return 2
	}
	by := cmp.Compare(rank(a), rank(b))
	switch {
	case by != 0:
	case a.State.Live():
		by = ui.EndOf(a).Compare(ui.EndOf(b))
	case !a.State.Final():
		by = ui.BeginOf(a).Compare(ui.BeginOf(b))
	default:
		by = b.EndedAt.Compare(a.EndedAt)
	}
	return cmp.Or(by, cmp.Compare(a.ID, b.ID))
}

// drawWindows fills the picture with those of the changes that concern most.
func (d *Dashboard) drawWindows(out *ui.Changes, found []*backout.Change, now time.Time) {
	calendar := chart.Calendar{
		ID: "calendar", Width: pictureWidth, Title: "Windows of changes", From: out.Sought.From, Until: out.Sought.To.Add(oneDay), Now: now.Truncate(pictureStep),
	}
	for _, c := range found {
		begin := ui.BeginOf(c)
		if begin.IsZero() || c.State == backout.ChangeCancelled {
			continue
		}
		if len(calendar.Bars) == windowsDrawn {
			out.Undrawn++
			continue
		}
		calendar.Bars = append(calendar.Bars, chart.Bar{
			Name: c.ID, Href: d.o.Base + "/changes/" + url.PathEscape(c.ID), Title: c.Title,
			Opens: begin, Closes: windowEnd(c), Watch: ui.EndOf(c), State: ui.Word(c.State), Tone: tones[ui.ToneOf(c.State)], Targets: c.Targets,
		})
	}
	if len(calendar.Bars) > 0 {
		out.Windows = ui.InShort{Picture: calendar, Sentences: windowsSaid, Rest: "The list below says it of the others."}
	}
}

// tones are those of pictures, by those of pages.
var tones = map[string]chart.Tone{"good": chart.ToneGood, "wait": chart.ToneWait, "bad": chart.ToneBad}

// addHolds adds the newest holds. The page is of use without them.
func (d *Dashboard) addHolds(ctx context.Context, out *ui.Changes) {
	holds, err := d.o.Services.Baselines.Holds(ctx, false)
	if err != nil {
		out.HoldsUnknown = err.Error()
		return
	}
	out.Holds = holds[:min(len(holds), holdsTold)]
	out.MoreHolds = len(holds) - len(out.Holds)
}
