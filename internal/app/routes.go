package app

import (
	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/notifier"
)

// Routes are where the notices of a config go, and what kind of people read them.
type Routes struct {
	Table route.Table
	// Kinds has every audience.
	Kinds map[string]notifier.AudienceKind
}

// NoticeRoutes loads the routes of a config. It reads no secrets and reaches nobody.
func NoticeRoutes(path string) (Routes, backout.Problems) {
	l, problems := read(path, true)
	if problems.Fatal() != nil {
		return Routes{}, problems
	}
	out := Routes{Table: l.config.Routes, Kinds: map[string]notifier.AudienceKind{}}
	for name := range l.config.Audiences {
		out.Kinds[name] = l.config.KindOf(name)
	}
	return out, nil
}
