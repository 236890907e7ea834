package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout/internal/strictyaml"
)

// ITSM says whose record of a change the gate asks for.
type ITSM struct {
	// Channel names a channel of a kind that keeps records; empty asks nobody.
	Channel string `yaml:"channel" doc:"Channel (type servicenow or jira) whose system has a record for each change. Its approval, window and back-out plan are asked for before a window opens."`
}

// itsm checks which channel is asked. It comes after the routes.
func (l *loader) itsm() {
	name := l.cfg.ITSM.Channel
	switch {
	case !l.root.Has("itsm"):
		return
	case name == "":
		at := l.keyAt("itsm")
		l.add(at.Problem("itsm names no channel: no record would be asked for", "give channel: one of type "+quoteAll(l.recordKinds())+", or remove itsm"))
		return
	}
	at := l.at("itsm", "channel")
	channel, ok := l.cfg.Channels[name]
	if !ok {
		if _, given := l.file.Channels[name]; !given && l.names("channels") {
			l.add(at.Problem(fmt.Sprintf("no channel %q", name), strictyaml.DidYouMean(name, slices.Collect(maps.Keys(l.file.Channels)), "")))
		}
		return
	}
	if kinds := l.recordKinds(); !slices.Contains(kinds, channel.Type) {
		l.add(at.Problem(fmt.Sprintf("the channel %q of type %s keeps no records of changes", name, channel.Type), "name one of type "+quoteAll(kinds)))
		return
	}
	if !l.cfg.Routes.Reaches(name) {
		l.add(at.Warning(fmt.Sprintf("no notice reaches the channel %q, by audiences and routes: the records are read, and nothing is written into them", name), "add it to the audience that keeps the record, or to a route of that audience"))
	}
}

// recordKinds are the kinds of channels that keep records.
func (l *loader) recordKinds() []string {
	var out []string
	if l.kinds.Notifiers == nil {
		return out
	}
	for _, k := range l.kinds.Notifiers.Kinds() {
		if k.Records {
			out = append(out, k.KindName())
		}
	}
	return out
}
