package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/told"
	"github.com/backout-io/backout/internal/ui"
)

// gridRows is how many targets one page shows.
const gridRows = 100

// worst are the phases in the order in which somebody wants to see them.
var worst = []backout.TargetPhase{
	backout.TargetInDoubt, backout.TargetFailed, backout.TargetRunning, backout.TargetWaiting, backout.TargetDone, backout.TargetRecovered,
}

// gridAsk is what rows of the grid are wanted.
type gridAsk struct {
	level  int
	show   backout.TargetPhase
	search string
	page   int
}

// gridAskOf reads it from the address. What cannot be is refused: a misspelt choice must
// not look like an empty one.
func gridAskOf(q *query, r *backout.Rollback) (ask gridAsk, err error) {
	plan := &r.Frozen.Plan
	ask = gridAsk{level: r.Level, show: backout.TargetPhase(q.get("show")), search: strings.TrimSpace(q.get("q")), page: 1}
	if ask.level < 0 {
		ask.level = r.StartAt
	}
	if name := q.get("level"); name != "" {
		if ask.level, err = plan.LevelNamed(name); err != nil {
			return ask, err
		}
	}
	if ask.show != "" && !slices.Contains(worst, ask.show) {
		return ask, handlers.Refuse(http.StatusBadRequest, "invalid", "show: want in_doubt, failed, running, waiting, done or recovered")
	}
	if page := q.get("page"); page != "" {
		if ask.page, err = strconv.Atoi(page); err != nil || ask.page < 1 {
			return ask, handlers.Refuse(http.StatusBadRequest, "invalid", "page: want a number from 1 on")
		}
	}
	return ask, nil
}

// gridOf is how the targets stand.
func gridOf(r *backout.Rollback, p *past, ask gridAsk, chosen url.Values) ui.Grid {
	plan := &r.Frozen.Plan
	g := ui.Grid{Show: string(ask.show), Search: ask.search, Query: chosen}
	for i := range plan.Levels {
		if p.levels[i] != nil || i == ask.level {
			g.Levels = append(g.Levels, ui.GridLevel{Name: plan.Levels[i].Name, Here: i == ask.level})
		}
	}
	if ask.level >= len(plan.Levels) {
		return g
	}
	level := &plan.Levels[ask.level]
	g.Level = level.Name
	for _, s := range level.Steps {
		g.Steps = append(g.Steps, cmp.Or(s.Name, s.Uses))
	}
	all := standings(r, p, ask.level)
	g.All = len(all)
	for _, phase := range worst {
		n := 0
		for _, s := range all {
			if s.phase == phase {
				n++
			}
		}
		if n > 0 {
			g.Counts = append(g.Counts, ui.GridCount{State: string(phase), N: n, Here: phase == ask.show})
		}
	}
	found := slices.DeleteFunc(all, func(s standing) bool {
		return ask.show != "" && s.phase != ask.show || !strings.Contains(strings.ToLower(s.target.Name), strings.ToLower(ask.search))
	})
	g.Found, g.Pages = len(found), max((len(found)+gridRows-1)/gridRows, 1)
	g.Number = min(ask.page, g.Pages)
	first := (g.Number - 1) * gridRows
	g.First = first + 1
	for _, s := range found[first:min(first+gridRows, len(found))] {
		g.Rows = append(g.Rows, rowOf(r, p, ask.level, s))
	}
	return g
}

// standing is a target and where it stands at the level that is looked at.
type standing struct {
	target *backout.TargetState
	phase  backout.TargetPhase
}

// standings are the targets that came to the level, the worst first: now, or as the level
// left them.
func standings(r *backout.Rollback, p *past, level int) []standing {
	out := make([]standing, 0, len(r.Targets))
	if l := p.levels[level]; l != nil && level < r.Level {
		for _, name := range l.targets {
			t := r.Target(name)
			if t == nil {
				continue
			}
			s := standing{t, backout.TargetDone}
			switch {
			case l.failed[name]:
				s.phase = backout.TargetFailed
			case t.Phase == backout.TargetRecovered && t.RecoveredLevel == level:
				s.phase = backout.TargetRecovered
			}
			out = append(out, s)
		}
	} else if level <= max(r.Level, r.StartAt) {
		for i := range r.Targets {
			out = append(out, standing{&r.Targets[i], r.Targets[i].Phase})
		}
	}
	slices.SortStableFunc(out, func(a, b standing) int {
		return cmp.Or(cmp.Compare(slices.Index(worst, a.phase), slices.Index(worst, b.phase)), green(a)-green(b))
	})
	return out
}

// green puts those first whose checks are not green.
func green(s standing) int {
	if s.phase == backout.TargetDone && !s.target.GreenSince.IsZero() {
		return 1
	}
	return 0
}

func rowOf(r *backout.Rollback, p *past, level int, s standing) ui.GridRow {
	t := s.target
	row := ui.GridRow{Target: t.Name, State: string(s.phase)}
	steps := r.Frozen.Plan.Levels[level].Steps
	for i := range steps {
		cell, says := cellOf(r, p, level, i, s)
		row.Cells = append(row.Cells, cell)
		if says != "" && row.Says == "" {
			row.Says = says
		}
	}
	switch {
	case s.phase != backout.TargetFailed:
	case level == r.Level && t.Failure != "":
		row.Says = t.Failure
	case row.Says == "" && p.levels[level] != nil && p.levels[level].cause == "time":
		row.Says = "not back when its time was up"
	}
	switch {
	case s.phase == backout.TargetRecovered:
		row.BackAt, row.Drift, row.Held = t.RecoveredAt, t.Drift, t.Held
		if t.RecoveredLevel != level {
			row.BackLevel = told.LevelName(t.RecoveredLevel)
		}
	case level == r.Level:
		row.Red, row.Drift, row.Held = t.Red, t.Drift, t.Held
		if !t.GreenSince.IsZero() && s.phase == backout.TargetDone {
			row.GreenSince, row.GreenUntil = t.GreenSince, rollback.GreenUntil(*r, *t)
		}
	}
	return row
}

// cellOf is one step on one target: as the log tells or, where that has nothing of it, as
// the target stands. says is why it went badly.
func cellOf(r *backout.Rollback, p *past, level, step int, s standing) (cell ui.Cell, says string) {
	t := p.latest[place{level, step, s.target.Name}]
	if t == nil {
		return ui.Cell{State: unrun(r, level, step, s)}, ""
	}
	cell = ui.Cell{State: t.state, Attempt: strings.TrimPrefix(t.id, r.ID+"."), Number: t.number, Exit: t.exit}
	switch {
	case t.started.IsZero():
	case t.ended.IsZero():
		cell.Since = t.started
	default:
		cell.Took = backout.Duration(t.ended.Sub(t.started).Round(time.Second)).String()
	}
	if t.state == "step_failed" || t.state == "step_in_doubt" {
		says = t.says
	}
	return cell, says
}

// unrun says of a step that nobody has asked for whether it may yet be.
func unrun(r *backout.Rollback, level, step int, s standing) string {
	going := s.phase == backout.TargetRunning || s.phase == backout.TargetWaiting || s.phase == backout.TargetInDoubt
	switch {
	case level == r.Level && s.target.Step > step && going, level == r.Level && s.phase == backout.TargetDone:
		return "step_done" // and the log is not known
	case level >= r.Level && going && !r.Status.Final():
		return "step_next"
	}
	return "step_none"
}
