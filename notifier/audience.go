package notifier

import (
	"slices"

	"github.com/backout-io/backout"
)

// AudienceKind is what an audience wants of a notice; it chooses the words.
type AudienceKind string

// The kinds of audiences.
const (
	// Deciders are asked, Responders do something: both read what can be done, and
	// the commands for it.
	Deciders   AudienceKind = "deciders"
	Responders AudienceKind = "responders"
	// Stakeholders must know and can do nothing: they read in plain words what is
	// happening and when they hear again.
	Stakeholders AudienceKind = "stakeholders"
	// Record is kept for later, such as a ticket of a change.
	Record AudienceKind = "record"
)

// AudienceKinds lists every kind.
func AudienceKinds() []AudienceKind {
	return []AudienceKind{Deciders, Responders, Stakeholders, Record}
}

// MayAct tells whether such people can do something about what they read.
func (k AudienceKind) MayAct() bool { return k != Stakeholders && k != Record }

// KindOf is the kind of an audience that the config says nothing about: the one it
// is called by, or else responders.
func KindOf(audience string) AudienceKind {
	if kind := AudienceKind(audience); slices.Contains(AudienceKinds(), kind) {
		return kind
	}
	return Responders
}

// Known are the names that templates may be for; nil lets every name pass.
type Known struct {
	// Channels are the channel types.
	Channels []string
	// Audiences are the audiences of the config. The kinds of audiences are known
	// besides.
	Audiences []string
}

// channel and audience tell whether there may be such a name.
func (k Known) channel(name string) bool {
	return len(k.Channels) == 0 || slices.Contains(k.Channels, name)
}

func (k Known) audience(name string) bool {
	return k.Audiences == nil || slices.Contains(k.Audiences, name) || slices.Contains(AudienceKinds(), AudienceKind(name))
}

// names of the templates of a message, the first there is counts: whom it is for
// goes before how it is carried.
func (s Style) names(n backout.Notice, part string) []string {
	base := string(n.Moment) + "." + part
	kind := s.Audience
	if kind == "" {
		kind = KindOf(n.Audience)
	}
	out := make([]string, 0, 6)
	for _, audience := range []string{n.Audience + ".", string(kind) + ".", ""} {
		if audience == "." {
			continue
		}
		out = append(out, s.Kind+"."+audience+base, audience+base)
	}
	return out
}
