package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Changes lists changes, one a line.
func Changes(list []backout.Change, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no changes\n"
	}
	rows := make([][]cell, len(list))
	for i := range list {
		c := &list[i]
		rows[i] = []cell{data(c.ID), s.signed(changeSign(c.State)), data(windowShort(c, now)), data(count(len(c.Targets), "target", "targets")), data(c.Plan), data(c.Title)}
	}
	return s.table([]string{"CHANGE", "STATE", "NEXT", "TARGETS", "PLAN", "TITLE"}, rows)
}

// windowShort says what happens next to the change by the clock.
func windowShort(c *backout.Change, now time.Time) string {
	switch {
	case c.State.Final():
		return "ended " + relative(c.EndedAt, now)
	case c.State == backout.ChangePlanned || c.State == backout.ChangeReady:
		return "opens " + relative(c.Window.Opens, now)
	case c.State == backout.ChangeOpen:
		return "closes " + relative(c.Window.Closes, now)
	case !c.WatchUntil.IsZero():
		return "watch ends " + relative(c.WatchUntil, now)
	}
	return ""
}

// Change shows one change with its reasons and its rollbacks.
func Change(c *backout.Change, s Style, now time.Time) string {
	var b strings.Builder
	b.WriteString(s.paint(toneBold, text(c.ID)) + "  " + s.show(changeSign(c.State)) + "  " + text(c.Title) + "\n")
	b.WriteString(s.fields(
		"patch", patchWords(c.Patch),
		"targets", names(c.Targets, 20),
		"plan", planWords(c),
		"window", s.when(c.Window.Opens, now)+" to "+s.when(c.Window.Closes, now)+autoWords(c.Window),
		"watch", watchWords(c, s, now),
		"gate", gateWords(c, s, now),
		"baseline", baselineWords(c, now),
		"delta", ofAll(len(c.Deltas), c, "known"),
		"opened", timeOrNone(c.OpenedAt, s, now),
		"patched", patchedWords(c, s, now),
		"ended", timeOrNone(c.EndedAt, s, now),
		"owner", text(c.Owner),
		"requester", text(c.Requester),
		"stakeholders", names(c.Stakeholders, 0),
		"labels", labels(c.Labels),
	))
	if len(c.Violations) > 0 {
		b.WriteString("\nthe gate's last reasons for a no:\n" + Violations(c.Violations, s))
	}
	if len(c.NotReady) > 0 {
		b.WriteString("\n" + s.paint(toneBad, "the way back would not work now:") + "\n" + Violations(c.NotReady, s))
	}
	if len(c.Rules) > 0 {
		b.WriteString("\n" + Said(c, s, now))
	}
	if len(c.Rollbacks) > 0 {
		rows := make([][]cell, len(c.Rollbacks))
		for i, r := range c.Rollbacks {
			rows[i] = []cell{data(r.ID), s.signed(rollbackSign(r.Status)), {text: names(r.Targets, 8)}}
		}
		b.WriteString("\n" + s.table([]string{"ROLLBACK", "STATUS", "TARGETS"}, rows))
	}
	return b.String()
}

func patchWords(p backout.Patch) string {
	parts := []string{}
	if p.Kind != "" {
		parts = append(parts, text(p.Kind))
	}
	if len(p.IDs) > 0 {
		parts = append(parts, names(p.IDs, 20))
	}
	if len(p.CVEs) > 0 {
		parts = append(parts, "closes "+names(p.CVEs, 20))
	}
	return strings.Join(parts, "  ")
}

func planWords(c *backout.Change) string {
	if c.Frozen == nil {
		return text(c.Plan)
	}
	return text(c.Plan) + "@" + shortHash(c.Frozen.Hash) + " (frozen)"
}

// gateWords says what the gate's last yes is worth. An open window has had its yes.
func gateWords(c *backout.Change, s Style, now time.Time) string {
	switch {
	case c.ValidUntil.IsZero() || c.State != backout.ChangePlanned && c.State != backout.ChangeReady:
		return ""
	case c.ValidUntil.After(now):
		return "passed, valid until " + s.when(c.ValidUntil, now)
	}
	return s.paint(toneWarn, "passed, stale since "+s.when(c.ValidUntil, now)+": it is asked again when the window opens")
}

func baselineWords(c *backout.Change, now time.Time) string {
	out := ofAll(len(c.Baselines), c, "captured")
	if c.Capture == nil {
		return out
	}
	if out != "" {
		out += ", "
	}
	what := "being captured"
	if c.Capture.Opening {
		what = "being captured to open the window"
	}
	return out + what + " by " + text(c.Capture.Server) + ", begun " + relative(c.Capture.BeganAt, now)
}

// ofAll counts for how many targets something is there.
func ofAll(n int, c *backout.Change, what string) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n) + " of " + count(len(c.Targets), "target", "targets") + " " + what
}

func autoWords(w backout.Window) string {
	if w.Auto {
		return ", opens by itself"
	}
	return ""
}

func watchWords(c *backout.Change, s Style, now time.Time) string {
	if !c.WatchUntil.IsZero() {
		return "until " + s.when(c.WatchUntil, now)
	}
	return c.Window.Watch.String() + " after patching"
}

func timeOrNone(t time.Time, s Style, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return s.when(t, now)
}

func labels(m map[string]string) string {
	keys := slices.SortedFunc(maps.Keys(m), cmp.Compare[string])
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = text(k) + "=" + text(m[k])
	}
	return strings.Join(out, " ")
}

// Opened says that a window is open, and under what.
func Opened(c *backout.Change, s Style, now time.Time) string {
	out := Brief(c, s, now)
	if c.Frozen == nil {
		return out
	}
	out += "plan " + planWords(c)
	if captured := ofAll(len(c.Baselines), c, "captured"); captured != "" {
		out += ", baselines of " + captured
	}
	return out + "\n"
}

// Brief is one line on a change, for answers to an action.
func Brief(c *backout.Change, s Style, now time.Time) string {
	out := text(c.ID) + "  " + s.show(changeSign(c.State))
	if next := windowShort(c, now); next != "" {
		out += ", " + next
	}
	return out + "\n"
}

// patchedWords says when patching was over, or on how many targets it is.
func patchedWords(c *backout.Change, s Style, now time.Time) string {
	if !c.PatchedAt.IsZero() || len(c.PatchedTargets) == 0 {
		return timeOrNone(c.PatchedAt, s, now)
	}
	return fmt.Sprintf("%d of %d targets: %s", len(c.PatchedTargets), len(c.Targets), names(slices.Sorted(maps.Keys(c.PatchedTargets)), 8))
}
