package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// Monitoring is the dead-man's switch: an alert that always fires, and whom to tell
// when it does not come any more. Without the section nothing is missed.
type Monitoring struct {
	Watchdog     []string         `yaml:"watchdog" doc:"Matchers of an alert that always fires; all must hold. Required with monitoring."`
	MissingAfter backout.Duration `yaml:"missing_after" doc:"How long it may stay away before monitoring counts as blind; longer than its repeat_interval in Alertmanager. 1m to 12h. Default 10m."`
	Audience     []string         `yaml:"audience" doc:"Audiences to tell. Required with monitoring."`
}

// On tells whether monitoring is watched.
func (m *Monitoring) On() bool { return len(m.Watchdog) > 0 }

// The bounds of missing_after. Alerts are read back for a day at a start.
const (
	leastMissing = backout.Duration(time.Minute)
	mostMissing  = backout.Duration(12 * time.Hour)
)

// monitoring checks the dead-man's switch. It comes after the audiences.
func (l *loader) monitoring() {
	m := &l.cfg.Monitoring
	if !l.root.Has("monitoring") {
		return
	}
	if _, err := rules.ParseMatchers(m.Watchdog); err != nil {
		l.add(l.monitoringAt("watchdog").Problem("watchdog: "+err.Error(), `name the alert that always fires, such as [alertname="Watchdog"]`))
	}
	l.atLeast(int64(m.MissingAfter), int64(leastMissing), leastMissing.String(), "monitoring", "missing_after")
	if m.MissingAfter > mostMissing {
		l.add(l.at("monitoring", "missing_after").Problem("missing_after is too large", "give at most "+mostMissing.String()))
	}
	if len(m.Audience) == 0 {
		l.add(l.monitoringAt("audience").Problem("nobody would be told: monitoring has no audience", "name at least one of audiences"))
	}
	for i, name := range m.Audience {
		if _, ok := l.cfg.Audiences[name]; !ok && l.names("audiences") {
			l.add(l.at("monitoring", "audience", i).Problem(fmt.Sprintf("no audience %q", name),
				strictyaml.DidYouMean(name, slices.Collect(maps.Keys(l.cfg.Audiences)), "")))
		}
	}
}

// monitoringAt is the place of a key, or of the section where the key is missing.
func (l *loader) monitoringAt(key string) strictyaml.Pos {
	if l.root.Has("monitoring", key) {
		return l.at("monitoring", key)
	}
	return l.keyAt("monitoring")
}
