package view

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Who says who somebody is, and what they may do where.
func Who(w handlers.Who, s Style, now time.Time) string {
	var b strings.Builder
	b.WriteString(Clean(w.Name))
	if len(w.Groups) > 0 {
		b.WriteString(" (" + Clean(strings.Join(w.Groups, ", ")) + ")")
	}
	b.WriteString("\n")
	for _, g := range w.Grants {
		b.WriteString("  " + Clean(string(g.Role)+" "+grantedWhere(g)) + "\n")
	}
	if len(w.Grants) == 0 && w.Session != "" {
		b.WriteString("  no role: you may do nothing here\n")
	}
	if !w.LoginAt.IsZero() {
		b.WriteString("  proved who they are " + relative(w.LoginAt, now) + "\n")
	}
	return b.String()
}

func grantedWhere(g backout.Grant) string {
	if g.Everywhere {
		return "everywhere"
	}
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		labels = append(labels, name+"="+g.Labels[name])
	}
	if labels == nil {
		return "nowhere"
	}
	return "where " + strings.Join(labels, ", ")
}

// Sessions lists sessions.
func Sessions(list []handlers.SessionStatus, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no sessions\n"
	}
	rows := make([][]cell, len(list))
	for i, one := range list {
		kind := "program"
		if one.Browser {
			kind = "browser"
		}
		if one.Present {
			kind += ", this one"
		}
		rows[i] = []cell{data(one.ID), data(one.Name), data(kind), data(relative(one.Begun, now)), data(relative(one.Seen, now)), data(relative(one.Ends, now)), data(one.Agent)}
	}
	return s.table([]string{"SESSION", "NAME", "WHAT", "BEGUN", "SEEN", "ENDS", "AGENT"}, rows)
}
