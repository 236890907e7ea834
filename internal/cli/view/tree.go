package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Picture is a rollback at one moment, as it is drawn.
type Picture struct {
	Rollback backout.Rollback
	History  History
	// Now is the server's time: deadlines count by its clock.
	Now time.Time
	// Broken says why the picture may be old; empty when the server was just
	// heard. Since is when it was heard last.
	Broken string
	Since  time.Time
}

// line is the pieces of one line; each has its own colour.
type line []cell

func say(format string, args ...any) cell { return cell{text: fmt.Sprintf(format, args...)} }

func (c cell) in(t tone) cell { c.tone = t; return c }

// Tree draws levels, their targets and their steps. With a height it leaves out
// steps first, then the targets that need the least attention, so that it never
// scrolls.
func Tree(p Picture, s Style) string {
	lines := treeLines(p, s, true, 0)
	room := s.Height - 1
	if s.Height > 0 && len(lines) > room {
		lines = treeLines(p, s, false, 0)
		for most := room; most > 0 && len(lines) > room; most-- {
			lines = treeLines(p, s, false, most)
		}
		if len(lines) > room {
			lines = lines[:max(room, 1)]
		}
	}
	var b strings.Builder
	for _, l := range lines {
		s.write(&b, l)
	}
	return b.String()
}

// write cuts the line at the terminal's width.
func (s Style) write(b *strings.Builder, l line) {
	used := 0
	for _, c := range l {
		value := c.text
		if s.Width > 0 {
			if used >= s.Width {
				break
			}
			value = s.cut(value, s.Width-used)
			used += Columns(value)
		}
		b.WriteString(s.paint(c.tone, value))
	}
	b.WriteByte('\n')
}

func treeLines(p Picture, s Style, steps bool, most int) []line {
	lines := heading(p, s)
	d := drawing{p: p, s: s, steps: steps, most: most}
	for i := range p.Rollback.Frozen.Plan.Levels {
		lines = append(lines, d.level(i)...)
	}
	return append(lines, d.footer()...)
}

// heading says whose rollback it is, and what people must know first.
func heading(p Picture, s Style) []line {
	r := &p.Rollback
	age := p.Now
	if r.Status.Final() && !r.EndedAt.IsZero() {
		age = r.EndedAt
	}
	title := text(r.ChangeTitle)
	if title == "" {
		title = text(r.ChangeID)
	}
	lines := []line{
		{say("%s", text(r.ID)).in(toneBold), say("  "), s.signed(rollbackSign(r.Status)), say("  %s  ", title), say("%s", clock(age.Sub(r.OpenedAt)))},
		{say("%s", about(r)).in(toneDim)},
	}
	if !r.PausedAt.IsZero() {
		lines = append(lines, line{say("%s paused%s%s: clocks stand still", s.plainIcon("‖", "="), by(r.PausedBy), because(r.PausedReason)).in(toneWarn)})
	}
	switch {
	case r.Status == backout.RollbackHeld:
		lines = append(lines, heldLines(r, s)...)
	case r.Ask != nil:
		lines = append(lines, askLines(r, p.Now, s)...)
	case r.Status == backout.RollbackPending && r.StartAfter.After(p.Now):
		lines = append(lines, line{say("starts %s unless the alert resolves", left(r.StartAfter, p.Now))})
	case r.Status.Final() && r.Reason != "":
		lines = append(lines, line{say("%s", text(r.Reason))})
	}
	return append(lines, reviewLines(r, s)...)
}

func (s Style) plainIcon(icon, ascii string) string {
	if s.Unicode {
		return icon
	}
	return ascii
}

func about(r *backout.Rollback) string {
	parts := []string{}
	if len(r.Patch.IDs) > 0 {
		parts = append(parts, "patch "+names(r.Patch.IDs, 3))
	}
	parts = append(parts, "plan "+text(r.Frozen.Plan.Name)+"@"+shortHash(r.Frozen.Hash))
	if why := trigger(r.Trigger); why != "" {
		parts = append(parts, text(why))
	}
	return strings.Join(parts, "  ")
}

func heldLines(r *backout.Rollback, s Style) []line {
	return []line{
		{say("%s held%s: needs a human", s.plainIcon("■", "#"), because(r.HeldReason)).in(toneWarn)},
		{say("  backout rollback release|escalate|abort %s --reason ...", text(r.ID))},
	}
}

// reviewLines ask for what is still to be reviewed, the end or not.
func reviewLines(r *backout.Rollback, s Style) (lines []line) {
	for _, v := range r.Reviews {
		if v.ReviewedBy == "" {
			lines = append(lines,
				line{say("%s break-glass: %s started %s alone%s: somebody else must review it", s.plainIcon("■", "#"), text(v.By), LevelName(v.Level), because(v.Reason)).in(toneWarn)},
				line{say("  backout rollback review %s --reason ...", text(r.ID))})
		}
	}
	return lines
}

func askLines(r *backout.Rollback, now time.Time, s Style) []line {
	a := r.Ask
	ask := fmt.Sprintf("%s %s: %s", s.plainIcon("✋", "!"), LevelName(a.Level), Wanted(a.Policy))
	if n := a.Approvals(); n > 0 {
		ask += fmt.Sprintf(", %d given", n)
	}
	switch {
	case !a.DownAt.IsZero():
		ask += ", its clock stands still, nobody can be told" + because(a.DownReason)
	case !a.Deadline.IsZero():
		ask += ", if nobody acts " + expiry(a.Policy) + " " + left(a.Deadline, standing(r, now))
	}
	lines := []line{{say("%s%s", ask, because(a.Why)).in(toneWarn)}}
	if a.Level >= 0 && a.Level < len(r.Frozen.Plan.Levels) {
		if loses := r.Lost(a.Level, now); loses != "" {
			lines = append(lines, line{say("  loses %s", text(loses)).in(toneBad)})
		}
	}
	verbs := "approve|deny"
	if a.Policy.Mode == backout.ApprovalVeto {
		verbs = "hold"
	}
	return append(lines, line{say("  backout rollback %s %s", verbs, text(r.ID))})
}

func expiry(p backout.Approval) string {
	switch {
	case p.Mode == backout.ApprovalVeto || p.OnExpiry == backout.ExpiryGo:
		return "starts by itself"
	case p.OnExpiry == backout.ExpiryEscalate:
		return "goes to the next level"
	default:
		return "held"
	}
}

// standing is the time by which the rollback's clocks are read: they stand still
// while it is held or paused.
func standing(r *backout.Rollback, now time.Time) time.Time {
	for _, since := range []time.Time{r.StillSince, r.PausedAt} {
		if !since.IsZero() && since.Before(now) {
			now = since
		}
	}
	return now
}

// stands tells whether the clocks stand still.
func stands(r *backout.Rollback) bool { return !r.HeldAt.IsZero() || !r.PausedAt.IsZero() }
