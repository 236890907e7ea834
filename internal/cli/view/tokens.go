package view

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// Tokens lists API tokens.
func Tokens(list []handlers.TokenStatus, s Style, now time.Time) string {
	if len(list) == 0 {
		return "no tokens\n"
	}
	rows := make([][]cell, len(list))
	for i, t := range list {
		state, end := s.signed(sign{"●", "*", "active", toneGood}), "expires "+relative(t.ExpiresAt, now)
		switch t.State {
		case "expired":
			state, end = s.signed(sign{"-", "-", "expired", toneDim}), "expired "+relative(t.ExpiresAt, now)
		case "revoked":
			state, end = s.signed(sign{"-", "-", "revoked", toneDim}), "revoked "+relative(t.RevokedAt, now)+by(t.RevokedBy)+because(t.Reason)
		case "ended":
			state, end = s.signed(sign{"-", "-", "ended", toneDim}), "of another account or password"
		}
		used := "never"
		if !t.LastUsed.IsZero() {
			used = relative(t.LastUsed, now)
		}
		rows[i] = []cell{data(t.ID), data(t.Owner), data(t.Note), state, {text: orDash(grants(t.Grants))}, data(used), data(end)}
	}
	return s.table([]string{"ID", "OWNER", "NOTE", "STATE", "MAY", "USED", "END"}, rows)
}

// TokenMade says what was made, and that the token is not shown again.
func TokenMade(t handlers.TokenStatus, now time.Time) string {
	return "token " + text(t.ID) + ": " + grants(t.Grants) + ", expires " + relative(t.ExpiresAt, now) +
		"; keep it now, it is not shown again; end it with: backout token revoke " + text(t.ID) + "\n"
}

// grants says in words what is granted, and where.
func grants(list []backout.Grant) string {
	out := make([]string, len(list))
	for i, g := range list {
		where := "everywhere"
		if !g.Everywhere {
			var labels []string
			for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
				labels = append(labels, text(name)+"="+text(g.Labels[name]))
			}
			where = "where " + orDash(strings.Join(labels, ","))
		}
		out[i] = text(string(g.Role)) + " " + where
	}
	return strings.Join(out, "; ")
}
