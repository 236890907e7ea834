package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Rollbacks lists rollbacks, one a line.
func Rollbacks(list []backout.Rollback, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no rollbacks\n"
	}
	rows := make([][]cell, len(list))
	for i := range list {
		r := &list[i]
		back := 0
		for _, t := range r.Targets {
			if t.Phase == backout.TargetRecovered {
				back++
			}
		}
		rows[i] = []cell{
			data(r.ID), s.signed(rollbackSign(r.Status)), data(levelOrNone(r.Level)),
			data(strconv.Itoa(back) + "/" + strconv.Itoa(len(r.Targets))), data(relative(r.OpenedAt, now)), data(nextOf(r, now)),
		}
	}
	return s.table([]string{"ROLLBACK", "STATUS", "LEVEL", "BACK", "OPENED", "NEXT"}, rows)
}

func levelOrNone(level int) string {
	if level < 0 {
		return ""
	}
	return LevelName(level)
}

// nextOf says what happens next to a rollback, by itself or by whom.
func nextOf(r *backout.Rollback, now time.Time) string {
	at := standing(r, now)
	switch {
	case r.Status.Final():
		return r.Reason
	case r.Status == backout.RollbackHeld:
		return "needs a human" + because(r.HeldReason)
	case r.Ask != nil:
		return LevelName(r.Ask.Level) + ": " + Wanted(r.Ask.Policy)
	case r.Status == backout.RollbackPending && !r.StartAfter.IsZero():
		return "starts " + left(r.StartAfter, at)
	case !r.LevelEnds().IsZero():
		return "time is up " + left(r.LevelEnds(), at)
	case r.Status == backout.RollbackRunning && r.Overdue:
		return "time is up, its steps must end first"
	}
	return r.Reason
}

// BriefRollback is one line on a rollback, for answers to an action.
func BriefRollback(r *backout.Rollback, s Style, now time.Time) string {
	out := text(r.ID) + "  " + s.show(rollbackSign(r.Status))
	if next := nextOf(r, now); next != "" {
		out += ", " + text(next)
	}
	return out + "\n"
}

// Targets lists the inventory.
func Targets(list []backout.Target, s Style) string {
	if len(list) == 0 {
		return "no targets: the server's config names no inventory\n"
	}
	rows := make([][]cell, len(list))
	for i, t := range list {
		rows[i] = []cell{data(t.Name), data(t.Address), data(t.Transport), data(t.OS), data(t.Site), data(labels(t.Labels))}
	}
	return s.table([]string{"TARGET", "ADDRESS", "TRANSPORT", "OS", "SITE", "LABELS"}, rows)
}

// Notices lists what people have not been told yet.
func Notices(list []handlers.NoticeStatus, s Style, now time.Time) string {
	if len(list) == 0 {
		return "every notice was delivered\n"
	}
	rows := make([][]cell, len(list))
	for i, n := range list {
		g := sign{"○", "o", "waiting", toneWarn}
		if n.GivenUp {
			g = sign{"✗", "x", "given up", toneBad}
		}
		rows[i] = []cell{
			s.signed(g), data(n.Channel), data(string(n.Notice.Moment)), data(aboutNotice(n.Notice)),
			data(relative(n.Notice.At, now)), data(strconv.Itoa(n.Tries)), data(n.Error),
		}
	}
	return s.table([]string{"STATUS", "CHANNEL", "MOMENT", "ABOUT", "FROM", "TRIES", "ERROR"}, rows)
}

func aboutNotice(n backout.Notice) string {
	if n.RollbackID != "" {
		return n.RollbackID
	}
	return n.ChangeID
}

// Runners lists the runners near the targets.
func Runners(list []handlers.RunnerStatus, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no runner was heard of\n"
	}
	rows := make([][]cell, len(list))
	for i, r := range list {
		g := sign{"✗", "x", "silent", toneBad}
		if r.Alive {
			g = sign{"●", "*", "there", toneGood}
		}
		rows[i] = []cell{
			s.signed(g), data(r.Site), data(r.Name), data(relative(r.LastSeen, now)), data(fmt.Sprintf("%d of %d", r.Running, r.Slots)), data(r.Release),
		}
	}
	return s.table([]string{"STATUS", "SITE", "NAME", "HEARD", "STEPS", "RELEASE"}, rows)
}

// Pause shows the pause switch.
func Pause(p handlers.PauseState, s Style, now time.Time) string {
	if !p.On {
		return s.show(sign{"▶", ">", "not paused", toneGood}) + "\n"
	}
	out := s.show(sign{"‖", "=", "paused", toneWarn}) + by(p.By)
	if !p.At.IsZero() {
		out += " " + relative(p.At, now)
	}
	return out + because(p.Reason) + ": no new effects until resumed\n"
}

// Monitoring shows whether anybody would tell that a target is red.
func Monitoring(m handlers.MonitoringStatus, s Style, now time.Time) string {
	if !m.Watched {
		return "not watched: the server's config has no monitoring section, so nothing would show that monitoring is down\n"
	}
	seen := "never seen"
	if !m.LastSeen.IsZero() {
		seen = "seen last " + relative(m.LastSeen, now)
	}
	seen += ", may stay away for " + m.MissingAfter.String() + ": " + text(m.Watchdog) + "\n"
	if !m.Blind {
		return s.show(sign{"✓", "+", "monitoring sees", toneGood}) + ", " + seen
	}
	return s.show(sign{"✗", "x", "monitoring is blind", toneBad}) + " since " + stamp(m.BlindSince) + ", " + seen +
		"red targets may go unseen, and nothing counts as recovered: look at Prometheus and Alertmanager\n"
}

// Problems lists mistakes in files, one a line, as an editor or a pipeline reads
// them, and counts them.
func Problems(ps backout.Problems, s Style) string {
	var b strings.Builder
	mistakes, warnings := 0, 0
	for _, p := range ps {
		if p.Warning {
			warnings++
		} else {
			mistakes++
		}
		b.WriteString(s.problem(p))
	}
	switch {
	case mistakes > 0:
		b.WriteString(count(mistakes, "problem", "problems") + ", " + count(warnings, "warning", "warnings") + "\n")
	case warnings > 0:
		b.WriteString("good, with " + count(warnings, "warning", "warnings") + "\n")
	}
	return b.String()
}

func (s Style) problem(p backout.Problem) string {
	t := toneBad
	if p.Warning {
		t = toneWarn
	}
	place, rest, _ := strings.Cut(Clean(p.String()), ": ")
	return s.paint(t, place) + ": " + rest + "\n"
}

// Rows is a table of plain texts, for what has no view of its own.
func Rows(header []string, rows [][]string, s Style) string {
	cells := make([][]cell, len(rows))
	for i, row := range rows {
		cells[i] = make([]cell, len(row))
		for k, v := range row {
			cells[i][k] = data(v)
		}
	}
	return s.table(header, cells)
}
